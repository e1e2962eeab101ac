"""groups.empty on bfloat16, fused: torch.optim.SGD against rule sgd.

the subject raised TypeError: expected Tensor as element 1 in argument 2, but got NoneType
smallest    build [1, 1] with lr=1, momentum=0.5, dampening=0, weight_decay=0; step(grad=1, None); step(grad=1, 1)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').SGD

torch.set_num_threads(1)
try:
    dtype = torch.bfloat16
    p0 = torch.tensor([1.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu').detach().requires_grad_(True)
    p1 = torch.tensor([1.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu').detach().requires_grad_(True)
    optimizer = Optimizer([p0, p1], lr=1.0, momentum=0.5, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False, foreach=False, fused=True)
    p0.grad = torch.tensor([1.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu')
    p1.grad = None
    optimizer.step()
    p0.grad = torch.tensor([1.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu')
    p1.grad = torch.tensor([1.0], dtype=torch.float64).to(torch.bfloat16).reshape((1,)).to('cpu')
    optimizer.step()
except Exception as error:
    print("got  ", type(error).__name__, error)
    print("exact  no exception")
    sys.exit(1)
print("no exception")
sys.exit(0)
