"""rule.layouts on float32, fused: torch.optim.AdamW against rule adamw.

after step 1, parameter 0, element 2: exp_avg is not what rule adamw gives
exact       1   got -6.35085243e+37   error 6.4e+37 = 8.88e+43 × allowance
first wrong quantity: exp_avg
smallest    build [0] with lr=1, beta1=0, beta2=0, eps=1, weight_decay=0, decoupled_weight_decay; step(grad=1)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').AdamW

torch.set_num_threads(1)
dtype = torch.float32
p0 = torch.full((5, 7), 0.0, dtype=torch.float64).to(torch.float32).to('cpu').detach().requires_grad_(True)
optimizer = Optimizer([p0], lr=1.0, betas=(0.0, 0.0), eps=1.0, weight_decay=0.0, amsgrad=False, maximize=False, foreach=False, fused=True)
p0.grad = torch.full((), 1.0, dtype=torch.float64).to(torch.float32).expand((5, 7)).to('cpu')
optimizer.step()
found = torch.as_tensor(optimizer.state[p0]['exp_avg']).detach()
got = found.reshape(-1)[2].double().item()
exact, allowance = 1.0, 7.152557377487767e-07
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
