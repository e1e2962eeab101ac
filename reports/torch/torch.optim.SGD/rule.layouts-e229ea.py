"""rule.layouts on float64, fused: torch.optim.SGD against rule sgd.

after step 1, parameter 0, element 1: the parameter is not what rule sgd gives
exact       -1   got -3.95252517e-323   error 1 = 5.63e+14 × allowance
first wrong quantity: the parameter
smallest    build [0] with lr=1, momentum=0, dampening=0, weight_decay=0; step(grad=1)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').SGD

torch.set_num_threads(1)
dtype = torch.float64
p0 = torch.full((5, 7), 0.0, dtype=torch.float64).to(torch.float64).to('cpu').detach().requires_grad_(True)
optimizer = Optimizer([p0], lr=1.0, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False, foreach=False, fused=True)
p0.grad = torch.full((), 1.0, dtype=torch.float64).to(torch.float64).expand((5, 7)).to('cpu')
optimizer.step()
found = torch.as_tensor(p0).detach()
got = found.reshape(-1)[1].double().item()
exact, allowance = -1.0, 1.7763568394002505e-15
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
