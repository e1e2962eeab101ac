"""state.round_trip on bfloat16, for-loop: torch.optim.NAdam against rule nadam.

saved and loaded into itself, parameter 0, state 'mu_product' is 0.0698242188 instead of 0.070096001 after step 2 (element 0); it must be the same, bit for bit
smallest    build [0] with lr=1, beta1=0.5, beta2=0, eps=1, weight_decay=0, momentum_decay=1; step(grad=0); step(grad=0)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').NAdam

torch.set_num_threads(1)


def plain():
    dtype = torch.bfloat16
    p0 = torch.tensor([0.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu').detach().requires_grad_(True)
    optimizer = Optimizer([p0], lr=1.0, betas=(0.5, 0.0), eps=1.0, weight_decay=0.0, momentum_decay=1.0, decoupled_weight_decay=False, maximize=False, foreach=False)
    p0.grad = torch.tensor([0.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu')
    optimizer.step()
    p0.grad = torch.tensor([0.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu')
    optimizer.step()
    found = torch.as_tensor(optimizer.state[p0]['mu_product']).detach()
    return found.reshape(-1)[0].double().item()


def other():
    dtype = torch.bfloat16
    p0 = torch.tensor([0.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu').detach().requires_grad_(True)
    optimizer = Optimizer([p0], lr=1.0, betas=(0.5, 0.0), eps=1.0, weight_decay=0.0, momentum_decay=1.0, decoupled_weight_decay=False, maximize=False, foreach=False)
    p0.grad = torch.tensor([0.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu')
    optimizer.step()
    saved = optimizer.state_dict()
    optimizer.load_state_dict(saved)
    p0.grad = torch.tensor([0.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu')
    optimizer.step()
    found = torch.as_tensor(optimizer.state[p0]['mu_product']).detach()
    return found.reshape(-1)[0].double().item()


due, allowance = plain(), 0.0
got = other()
print("got  ", got)
print("due  ", due, " allowance", allowance)
sys.exit(0 if abs(got - due) <= allowance or (got != got and due != due) else 1)
