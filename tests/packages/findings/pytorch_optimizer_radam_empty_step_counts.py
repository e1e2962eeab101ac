"""groups.empty on float32, for-loop: pytorch_optimizer.RAdam against rule radam_decoupled.

after two steps without any gradient, parameter 0 is -0.571428597 instead of -1 after step 1 (element 0); it must be the same, bit for bit
smallest    build [0] with lr=1, beta1=0.5, beta2=0, eps=1, weight_decay=0, decoupled_weight_decay; step(grad=1)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('pytorch_optimizer').RAdam

torch.set_num_threads(1)


def plain():
    dtype = torch.float32
    p0 = torch.tensor([0.0], dtype=torch.float64).to(torch.float32).reshape((1,)).to('cpu').detach().requires_grad_(True)
    optimizer = Optimizer([p0], lr=1.0, betas=(0.5, 0.0), eps=1.0, weight_decay=0.0, foreach=False, degenerated_to_sgd=True, maximize=False)
    p0.grad = torch.tensor([1.0], dtype=torch.float64).to(torch.float32).reshape((1,)).to('cpu')
    optimizer.step()
    found = torch.as_tensor(p0).detach()
    return found.reshape(-1)[0].double().item()


def other():
    dtype = torch.float32
    p0 = torch.tensor([0.0], dtype=torch.float64).to(torch.float32).reshape((1,)).to('cpu').detach().requires_grad_(True)
    optimizer = Optimizer([p0], lr=1.0, betas=(0.5, 0.0), eps=1.0, weight_decay=0.0, foreach=False, degenerated_to_sgd=True, maximize=False)
    p0.grad = None
    optimizer.step()
    p0.grad = None
    optimizer.step()
    p0.grad = torch.tensor([1.0], dtype=torch.float64).to(torch.float32).reshape((1,)).to('cpu')
    optimizer.step()
    found = torch.as_tensor(p0).detach()
    return found.reshape(-1)[0].double().item()


due, got, allowance = plain(), other(), 0.0
print("got  ", got)
print("due  ", due, " allowance", allowance)
sys.exit(0 if abs(got - due) <= allowance or (got != got and due != due) else 1)
