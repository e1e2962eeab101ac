"""rule.layouts on float16, fused: torch.optim.AdamW against rule adamw.

after step 1, parameter 0, element 4: exp_avg is not what rule adamw gives
exact       1   got nan   error nan = beyond any allowance
first wrong quantity: exp_avg
smallest    build [0] with lr=1, beta1=0, beta2=0, eps=1, weight_decay=0, decoupled_weight_decay; step(grad=1)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').AdamW

torch.set_num_threads(1)
dtype = torch.float16
p0 = torch.full((5, 7), 0.0, dtype=torch.float64).to(torch.float16).to('cpu').detach().requires_grad_(True)
optimizer = Optimizer([p0], lr=1.0, betas=(0.0, 0.0), eps=1.0, weight_decay=0.0, amsgrad=False, maximize=False, foreach=False, fused=True)
p0.grad = torch.full((), 1.0, dtype=torch.float64).to(torch.float16).expand((5, 7)).to('cpu')
optimizer.step()
found = torch.as_tensor(optimizer.state[p0]['exp_avg']).detach()
got = found.reshape(-1)[4].double().item()
exact, allowance = 1.0, 0.005860090255737749
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
