"""rule.layouts on float16, fused: torch.optim.Adam against rule adam.

after step 1, parameter 0, element 34: exp_avg is not what rule adam gives
exact       1   got nan   error nan = beyond any allowance
first wrong quantity: exp_avg
smallest    build [0] with lr=1, beta1=0, beta2=0, eps=1, weight_decay=0; step(grad=1)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').Adam

torch.set_num_threads(1)
dtype = torch.float16
p0 = torch.full((5, 7), 0.0, dtype=torch.float64).to(torch.float16).to('cpu').detach().requires_grad_(True)
optimizer = Optimizer([p0], lr=1.0, betas=(0.0, 0.0), eps=1.0, weight_decay=0.0, amsgrad=False, decoupled_weight_decay=False, maximize=False, foreach=False, fused=True)
p0.grad = torch.full((), 1.0, dtype=torch.float64).to(torch.float16).expand((5, 7)).to('cpu')
optimizer.step()
found = torch.as_tensor(optimizer.state[p0]['exp_avg']).detach()
got = found.reshape(-1)[34].double().item()
exact, allowance = 1.0, 0.00781345367431685
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
