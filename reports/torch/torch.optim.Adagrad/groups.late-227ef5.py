"""groups.late on bfloat16, differentiable: torch.optim.Adagrad against rule adagrad.

after step 1, parameter 1, element 0: sum is not what rule adagrad gives
exact       4   got 1   error 3 = 27.4 × allowance
first wrong quantity: sum
smallest    build [1] with lr=1, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1 and [1] with lr=1, lr_decay=0, weight_decay=0, initial_accumulator_value=3, eps=1; step(grad=1, 1)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').Adagrad

torch.set_num_threads(1)
dtype = torch.bfloat16
p0 = torch.tensor([1.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu').detach().requires_grad_(True)
p0 = p0.clone()
p0.retain_grad()
p1 = torch.tensor([1.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu').detach().requires_grad_(True)
p1 = p1.clone()
p1.retain_grad()
optimizer = Optimizer([{"params": [p0]}, {"params": [p1], 'initial_accumulator_value': 3.0}], lr=1.0, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1.0, maximize=False, foreach=False, fused=False, differentiable=True)
p0.grad = torch.tensor([1.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu')
p1.grad = torch.tensor([1.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu')
optimizer.step()
found = torch.as_tensor(optimizer.state[p1]['sum']).detach()
got = found.reshape(-1)[0].double().item()
exact, allowance = 4.0, 0.109619140625
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
