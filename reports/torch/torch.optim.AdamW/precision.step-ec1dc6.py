"""precision.step on bfloat16, differentiable: torch.optim.AdamW against rule adamw.

after step 1, parameter 0, element 0: the parameter is not what rule adamw gives
exact       1   got nan   error nan = beyond any allowance
first wrong quantity: the parameter
smallest    build [1] with lr=0, beta1=0, beta2=0, eps=1, weight_decay=0, decoupled_weight_decay; step(grad=0)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').AdamW

torch.set_num_threads(1)
dtype = torch.bfloat16
p0 = torch.tensor([1.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu').detach().requires_grad_(True)
p0 = p0.clone()
p0.retain_grad()
optimizer = Optimizer([p0], lr=0.0, betas=(0.0, 0.0), eps=1.0, weight_decay=0.0, amsgrad=False, maximize=False, foreach=False, fused=False, differentiable=True)
p0.grad = torch.tensor([0.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu')
optimizer.step()
found = torch.as_tensor(p0).detach()
got = found.reshape(-1)[0].double().item()
exact, allowance = 1.0, 0.03125
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
