"""parity.implementations on float16, fused: torch.optim.SGD against rule sgd.

fused beside for-loop, the parameter is 1 where 0.5 is due after step 1 (parameter 0, element 0): 0.5 apart, and the allowances of both add up to 0.012
smallest    build [1] with lr=1, momentum=0, dampening=0, weight_decay=0; step(grad=0.5); step(grad=0.5)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').SGD

torch.set_num_threads(1)


def plain():
    dtype = torch.float16
    p0 = torch.full((65,), 1.0, dtype=torch.float64).to(torch.float16).to('cpu').detach().requires_grad_(True)
    optimizer = Optimizer([p0], lr=1.0, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False, foreach=False, fused=False)
    p0.grad = torch.full((65,), 0.5, dtype=torch.float64).to(torch.float16).to('cpu')
    optimizer.step()
    found = torch.as_tensor(p0).detach()
    return found.reshape(-1)[0].double().item()


def other():
    dtype = torch.float16
    p0 = torch.full((65,), 1.0, dtype=torch.float64).to(torch.float16).to('cpu').detach().requires_grad_(True)
    optimizer = Optimizer([p0], lr=1.0, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False, foreach=False, fused=True)
    p0.grad = torch.full((65,), 0.5, dtype=torch.float64).to(torch.float16).to('cpu')
    optimizer.step()
    found = torch.as_tensor(p0).detach()
    return found.reshape(-1)[0].double().item()


due, allowance = plain(), 0.011720418930053711
got = other()
print("got  ", got)
print("due  ", due, " allowance", allowance)
sys.exit(0 if abs(got - due) <= allowance or (got != got and due != due) else 1)
