"""groups.hyperparameters on float64, foreach: torch.optim.SGD against rule sgd.

after step 2, parameter 0, element 0: momentum_buffer is not what rule sgd gives
exact       1.5   got 2   error 0.5 = 1.73e+14 × allowance
first wrong quantity: momentum_buffer
smallest    build [0] with lr=1, momentum=0.5, dampening=0, weight_decay=0, nesterov; step(grad=1); step() again
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').SGD

torch.set_num_threads(1)
dtype = torch.float64
p0 = torch.tensor([0.0], dtype=torch.float64).to(torch.float64).reshape((1,)).to('cpu').detach().requires_grad_(True)
optimizer = Optimizer([p0], lr=1.0, momentum=0.5, dampening=0.0, weight_decay=0.0, nesterov=True, maximize=False, foreach=True, fused=False)
p0.grad = torch.tensor([1.0], dtype=torch.float64).to(torch.float64).reshape((1,)).to('cpu')
optimizer.step()
optimizer.step()
found = torch.as_tensor(optimizer.state[p0]['momentum_buffer']).detach()
got = found.reshape(-1)[0].double().item()
exact, allowance = 1.5, 2.886579864025407e-15
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
