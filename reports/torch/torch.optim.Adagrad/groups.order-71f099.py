"""groups.order on float32, fused: torch.optim.Adagrad against rule adagrad.

with parameters and groups in reverse order, parameter 0 is 0.666666627 instead of 0.5 after step 1 (element 0); it must be the same, bit for bit
smallest    build [1] with lr=1, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1 and [1] with lr=1, lr_decay=0, weight_decay=0, initial_accumulator_value=3, eps=1; step(grad=1, 1)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').Adagrad

torch.set_num_threads(1)


def plain():
    dtype = torch.float32
    p0 = torch.tensor([1.0], dtype=torch.float64).to(torch.float32).reshape((1,)).to('cpu').detach().requires_grad_(True)
    p1 = torch.tensor([1.0], dtype=torch.float64).to(torch.float32).reshape((1,)).to('cpu').detach().requires_grad_(True)
    optimizer = Optimizer([{"params": [p0]}, {"params": [p1], 'initial_accumulator_value': 3.0}], lr=1.0, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1.0, maximize=False, foreach=False, fused=True)
    p0.grad = torch.tensor([1.0], dtype=torch.float64).to(torch.float32).reshape((1,)).to('cpu')
    p1.grad = torch.tensor([1.0], dtype=torch.float64).to(torch.float32).reshape((1,)).to('cpu')
    optimizer.step()
    found = torch.as_tensor(p0).detach()
    return found.reshape(-1)[0].double().item()


def other():
    dtype = torch.float32
    p0 = torch.tensor([1.0], dtype=torch.float64).to(torch.float32).reshape((1,)).to('cpu').detach().requires_grad_(True)
    p1 = torch.tensor([1.0], dtype=torch.float64).to(torch.float32).reshape((1,)).to('cpu').detach().requires_grad_(True)
    optimizer = Optimizer([{"params": [p0]}, {"params": [p1], 'initial_accumulator_value': 0.0}], lr=1.0, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=3.0, eps=1.0, maximize=False, foreach=False, fused=True)
    p0.grad = torch.tensor([1.0], dtype=torch.float64).to(torch.float32).reshape((1,)).to('cpu')
    p1.grad = torch.tensor([1.0], dtype=torch.float64).to(torch.float32).reshape((1,)).to('cpu')
    optimizer.step()
    found = torch.as_tensor(p1).detach()
    return found.reshape(-1)[0].double().item()


due, allowance = plain(), 0.0
got = other()
print("got  ", got)
print("due  ", due, " allowance", allowance)
sys.exit(0 if abs(got - due) <= allowance or (got != got and due != due) else 1)
