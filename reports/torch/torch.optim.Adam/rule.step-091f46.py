"""rule.step on complex128, differentiable: torch.optim.Adam against rule adam.

after step 1, parameter 0, element 0: the parameter is not what rule adam gives
exact       1   got nan   error nan = beyond any allowance
first wrong quantity: the parameter
smallest    build [1] with lr=0, beta1=0, beta2=0, eps=1, weight_decay=0; step(grad=0)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').Adam

torch.set_num_threads(1)
dtype = torch.complex128
p0 = torch.view_as_complex(torch.tensor([1.0, 1.0], dtype=torch.float64).to(torch.float64).reshape((1, 2))).to('cpu').detach().requires_grad_(True)
p0 = p0.clone()
p0.retain_grad()
optimizer = Optimizer([p0], lr=0.0, betas=(0.0, 0.0), eps=1.0, weight_decay=0.0, amsgrad=False, decoupled_weight_decay=False, maximize=False, foreach=False, fused=False, differentiable=True)
p0.grad = torch.view_as_complex(torch.tensor([0.0, 0.0], dtype=torch.float64).to(torch.float64).reshape((1, 2))).to('cpu')
optimizer.step()
found = torch.as_tensor(p0).detach()
found = torch.view_as_real(found.resolve_conj()) if found.is_complex() else found
got = found.reshape(-1)[0].double().item()
exact, allowance = 1.0, 4.440892098500626e-16
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
