"""state.copies on float32, for-loop: lion_pytorch.Lion against rule lion.

the subject raised AttributeError: 'Lion' object has no attribute 'decoupled_wd'
smallest    build [0] with lr=1, beta1=0, beta2=0, weight_decay=0; step(grad=0); step(grad=0)
"""
import sys

import copy

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('lion_pytorch').Lion

torch.set_num_threads(1)
try:
    dtype = torch.float32
    p0 = torch.tensor([0.0], dtype=torch.float64).to(torch.float32).reshape((1,)).to('cpu').detach().requires_grad_(True)
    optimizer = Optimizer([p0], lr=1.0, betas=(0.0, 0.0), weight_decay=0.0)
    p0.grad = torch.tensor([0.0], dtype=torch.float64).to(torch.float32).reshape((1,)).to('cpu')
    optimizer.step()
    (p0,), optimizer = copy.deepcopy(((p0,), optimizer))
    p0.grad = None
    p0.grad = torch.tensor([0.0], dtype=torch.float64).to(torch.float32).reshape((1,)).to('cpu')
    optimizer.step()
except Exception as error:
    print("got  ", type(error).__name__, error)
    print("exact  no exception")
    sys.exit(1)
print("no exception")
sys.exit(0)
