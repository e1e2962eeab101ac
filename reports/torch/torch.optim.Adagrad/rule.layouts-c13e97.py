"""rule.layouts on float32, fused: torch.optim.Adagrad against rule adagrad.

after step 1, parameter 0, element 2: sum is not what rule adagrad gives
exact       1   got inf   error inf = beyond any allowance
first wrong quantity: sum
smallest    build [0] with lr=1, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1; step(grad=1)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').Adagrad

torch.set_num_threads(1)
dtype = torch.float32
p0 = torch.full((5, 7), 0.0, dtype=torch.float64).to(torch.float32).to('cpu').detach().requires_grad_(True)
optimizer = Optimizer([p0], lr=1.0, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1.0, maximize=False, foreach=False, fused=True)
p0.grad = torch.full((), 1.0, dtype=torch.float64).to(torch.float32).expand((5, 7)).to('cpu')
optimizer.step()
found = torch.as_tensor(optimizer.state[p0]['sum']).detach()
got = found.reshape(-1)[2].double().item()
exact, allowance = 1.0, 9.536743732496689e-07
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
