"""rule.groups on float64, fused: torch.optim.SGD against rule sgd.

the subject raised TypeError: expected Tensor as element 1 in argument 2, but got NoneType
smallest    build [tensor(3,), tensor(5,)] with lr=1, momentum=1, dampening=0, weight_decay=0; step(grad=0, None); step(grad=pool[23:], pool[40:])
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').SGD

torch.set_num_threads(1)
dtype = torch.float64
p0 = torch.tensor([-0.008542178680460675, -0.2841664087320641, -2.789177411766445], dtype=torch.float64).to(dtype).reshape((3,)).to('cpu').detach().requires_grad_(True)
p1 = torch.tensor([-2.789177411766445, 0.75, -0.5584781217725405, 0.007355721843275203, -0.875], dtype=torch.float64).to(dtype).reshape((5,)).to('cpu').detach().requires_grad_(True)
try:
    optimizer = Optimizer([p0, p1], lr=1.0, momentum=1.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False, foreach=False, fused=True)
    p0.grad = torch.full((3,), 0.0, dtype=torch.float64).to(dtype).to('cpu')
    p1.grad = None
    optimizer.step()
    p0.grad = torch.tensor([1.9031730837131138e-137, -0.7498509739175254, 0.014218251577346437], dtype=torch.float64).to(dtype).reshape((3,)).to('cpu')
    p1.grad = torch.tensor([-0.7163909497010879, -0.5209127703989876, 6.160697928842658e-119, -5.5480687961023436e-52, 13.725264656859798], dtype=torch.float64).to(dtype).reshape((5,)).to('cpu')
    optimizer.step()
except Exception as error:
    print("got  ", type(error).__name__, error)
    print("exact  no exception")
    sys.exit(1)
print("no exception")
sys.exit(0)
