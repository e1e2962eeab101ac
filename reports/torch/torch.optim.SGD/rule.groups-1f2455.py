"""rule.groups on bfloat16, fused: torch.optim.SGD against rule sgd.

the subject raised TypeError: expected Tensor as element 1 in argument 2, but got NoneType
smallest    build [tensor(3,), tensor(5,)] with lr=1, momentum=1, dampening=0, weight_decay=0; step(grad=0, None); step(grad=pool[23:], pool[40:])
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').SGD

torch.set_num_threads(1)
dtype = torch.bfloat16
p0 = torch.tensor([-0.008544921875, -0.283203125, 0.1298828125], dtype=torch.float64).to(dtype).reshape((3,)).to('cpu').detach().requires_grad_(True)
p1 = torch.tensor([0.1298828125, 0.14453125, -0.3515625, 0.007354736328125, 8.594724931754172e-11], dtype=torch.float64).to(dtype).reshape((5,)).to('cpu').detach().requires_grad_(True)
try:
    optimizer = Optimizer([p0, p1], lr=1.0, momentum=1.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False, foreach=False, fused=True)
    p0.grad = torch.full((3,), 0.0, dtype=torch.float64).to(dtype).to('cpu')
    p1.grad = None
    optimizer.step()
    p0.grad = torch.tensor([0.5234375, -3031040.0, 6.938893903907228e-15], dtype=torch.float64).to(dtype).reshape((3,)).to('cpu')
    p1.grad = torch.tensor([-0.71484375, -0.51953125, -0.9375, 0.38671875, 0.640625], dtype=torch.float64).to(dtype).reshape((5,)).to('cpu')
    optimizer.step()
except Exception as error:
    print("got  ", type(error).__name__, error)
    print("exact  no exception")
    sys.exit(1)
print("no exception")
sys.exit(0)
