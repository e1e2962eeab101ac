"""groups.meetings on bfloat16, fused: torch.optim.Adagrad against rule adagrad.

after step 1, parameter 0, element 0: sum is not what rule adagrad gives
exact       1   got 0   error 1 = 64 × allowance
first wrong quantity: sum
smallest    build [] with lr=1, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1 and [] with lr=1, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1 and [0] with lr=1, lr_decay=0, weight_decay=0, initial_accumulator_value=1, eps=1; step(grad=0)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').Adagrad

torch.set_num_threads(1)
dtype = torch.bfloat16
p0 = torch.tensor([0.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu').detach().requires_grad_(True)
optimizer = Optimizer([{"params": []}, {"params": []}, {"params": [p0], 'initial_accumulator_value': 1.0}], lr=1.0, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1.0, maximize=False, foreach=False, fused=True)
p0.grad = torch.tensor([0.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu')
optimizer.step()
found = torch.as_tensor(optimizer.state[p0]['sum']).detach()
got = found.reshape(-1)[0].double().item()
exact, allowance = 1.0, 0.015625
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
