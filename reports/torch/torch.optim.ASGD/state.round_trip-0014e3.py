"""state.round_trip on bfloat16, differentiable: torch.optim.ASGD against rule asgd.

saved and loaded into itself, parameter 0, state 'eta' is 0.333984375 instead of 0.333333343 after step 2 (element 0); it must be the same, bit for bit
smallest    build [0] with lr=1, lambd=1, alpha=1, t0=0, weight_decay=0; step(grad=0); step(grad=0)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').ASGD

torch.set_num_threads(1)


def plain():
    dtype = torch.bfloat16
    p0 = torch.tensor([0.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu').detach().requires_grad_(True)
    p0 = p0.clone()
    p0.retain_grad()
    optimizer = Optimizer([p0], lr=1.0, lambd=1.0, alpha=1.0, t0=0.0, weight_decay=0.0, maximize=False, foreach=False, differentiable=True)
    p0.grad = torch.tensor([0.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu')
    optimizer.step()
    p0.grad = torch.tensor([0.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu')
    optimizer.step()
    found = torch.as_tensor(optimizer.state[p0]['eta']).detach()
    return found.reshape(-1)[0].double().item()


def other():
    dtype = torch.bfloat16
    p0 = torch.tensor([0.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu').detach().requires_grad_(True)
    p0 = p0.clone()
    p0.retain_grad()
    optimizer = Optimizer([p0], lr=1.0, lambd=1.0, alpha=1.0, t0=0.0, weight_decay=0.0, maximize=False, foreach=False, differentiable=True)
    p0.grad = torch.tensor([0.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu')
    optimizer.step()
    saved = optimizer.state_dict()
    optimizer.load_state_dict(saved)
    p0.grad = torch.tensor([0.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu')
    optimizer.step()
    found = torch.as_tensor(optimizer.state[p0]['eta']).detach()
    return found.reshape(-1)[0].double().item()


due, allowance = plain(), 0.0
got = other()
print("got  ", got)
print("due  ", due, " allowance", allowance)
sys.exit(0 if abs(got - due) <= allowance or (got != got and due != due) else 1)
