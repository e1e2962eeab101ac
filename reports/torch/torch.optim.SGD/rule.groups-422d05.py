"""rule.groups on float32, fused: torch.optim.SGD against rule sgd.

the subject raised TypeError: expected Tensor as element 1 in argument 2, but got NoneType
smallest    build [tensor(3,), tensor(5,)] with lr=1, momentum=1, dampening=0, weight_decay=0; step(grad=0, None); step(grad=pool[23:], pool[40:])
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').SGD

torch.set_num_threads(1)
dtype = torch.float32
p0 = torch.tensor([-0.008542179130017757, -0.2841663956642151, 0.13002647459506989], dtype=torch.float64).to(dtype).reshape((3,)).to('cpu').detach().requires_grad_(True)
p1 = torch.tensor([0.13002647459506989, 0.14425025880336761, -0.3510930836200714, 0.007355721667408943, 8.579581489698285e-11], dtype=torch.float64).to(dtype).reshape((5,)).to('cpu').detach().requires_grad_(True)
try:
    optimizer = Optimizer([p0, p1], lr=1.0, momentum=1.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False, foreach=False, fused=True)
    p0.grad = torch.full((3,), 0.0, dtype=torch.float64).to(dtype).to('cpu')
    p1.grad = None
    optimizer.step()
    p0.grad = torch.tensor([0.5235704779624939, -3036814.0, 6.9338629517170115e-15], dtype=torch.float64).to(dtype).reshape((3,)).to('cpu')
    p1.grad = torch.tensor([-0.7163909673690796, -0.520912766456604, -0.937996506690979, 0.38584578037261963, 0.6392062306404114], dtype=torch.float64).to(dtype).reshape((5,)).to('cpu')
    optimizer.step()
except Exception as error:
    print("got  ", type(error).__name__, error)
    print("exact  no exception")
    sys.exit(1)
print("no exception")
sys.exit(0)
