"""rule.layouts on float64, fused: torch.optim.Adam against rule adam.

after step 1, parameter 0, element 28: exp_avg is not what rule adam gives
exact       1   got 1.57627842e+149   error 1.6e+149 = 7.1e+163 × allowance
first wrong quantity: exp_avg
smallest    build [0] with lr=1, beta1=0, beta2=0, eps=1, weight_decay=0; step(grad=1)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').Adam

torch.set_num_threads(1)
dtype = torch.float64
p0 = torch.full((5, 7), 0.0, dtype=torch.float64).to(torch.float64).to('cpu').detach().requires_grad_(True)
optimizer = Optimizer([p0], lr=1.0, betas=(0.0, 0.0), eps=1.0, weight_decay=0.0, amsgrad=False, decoupled_weight_decay=False, maximize=False, foreach=False, fused=True)
p0.grad = torch.full((), 1.0, dtype=torch.float64).to(torch.float64).expand((5, 7)).to('cpu')
optimizer.step()
found = torch.as_tensor(optimizer.state[p0]['exp_avg']).detach()
got = found.reshape(-1)[28].double().item()
exact, allowance = 1.0, 2.220446049250313e-15
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
