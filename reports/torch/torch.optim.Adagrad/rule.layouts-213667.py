"""rule.layouts on float64, fused: torch.optim.Adagrad against rule adagrad.

after step 1, parameter 0, element 1: sum is not what rule adagrad gives
exact       1   got 0   error 1 = 5.63e+14 × allowance
first wrong quantity: sum
smallest    build [0] with lr=1, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1; step(grad=1)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').Adagrad

torch.set_num_threads(1)
dtype = torch.float64
p0 = torch.full((5, 7), 0.0, dtype=torch.float64).to(torch.float64).to('cpu').detach().requires_grad_(True)
optimizer = Optimizer([p0], lr=1.0, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1.0, maximize=False, foreach=False, fused=True)
p0.grad = torch.full((), 1.0, dtype=torch.float64).to(torch.float64).expand((5, 7)).to('cpu')
optimizer.step()
found = torch.as_tensor(optimizer.state[p0]['sum']).detach()
got = found.reshape(-1)[1].double().item()
exact, allowance = 1.0, 1.7763568394002505e-15
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
