"""groups.hyperparameters on float16, fused: torch.optim.SGD against rule sgd.

after step 1, parameter 0, element 0: the parameter is not what rule sgd gives
exact       0.5   got 1   error 0.5 = 85.3 × allowance
first wrong quantity: the parameter
smallest    build [1] with lr=1, momentum=0, dampening=0, weight_decay=0; step(grad=0.5); step(grad=0.5)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').SGD

torch.set_num_threads(1)
dtype = torch.float16
p0 = torch.full((65,), 1.0, dtype=torch.float64).to(torch.float16).to('cpu').detach().requires_grad_(True)
optimizer = Optimizer([p0], lr=1.0, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False, foreach=False, fused=True)
p0.grad = torch.full((65,), 0.5, dtype=torch.float64).to(torch.float16).to('cpu')
optimizer.step()
p0.grad = torch.full((65,), 0.5, dtype=torch.float64).to(torch.float16).to('cpu')
optimizer.step()
found = torch.as_tensor(p0).detach()
got = found.reshape(-1)[0].double().item()
exact, allowance = 0.5, 0.0058602094650268555
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
