"""precision.state on float16, fused: torch.optim.SGD against rule sgd.

after step 2, parameter 0, element 1: momentum_buffer is not what rule sgd gives
exact       3   got inf   error inf = beyond any allowance
first wrong quantity: momentum_buffer
smallest    build [1] with lr=1, momentum=0.5, dampening=0, weight_decay=0; step(grad=1, 2, 4, 8); step(grad=1, 2, 4, 8)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').SGD

torch.set_num_threads(1)
dtype = torch.float16
p0 = torch.full((64,), 1.0, dtype=torch.float64).to(torch.float16).to('cpu').detach().requires_grad_(True)
optimizer = Optimizer([p0], lr=1.0, momentum=0.5, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False, foreach=False, fused=True)
p0.grad = torch.tensor([1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0], dtype=torch.float64).to(torch.float16).reshape((64,)).to('cpu')
optimizer.step()
p0.grad = torch.tensor([1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0], dtype=torch.float64).to(torch.float16).reshape((64,)).to('cpu')
optimizer.step()
found = torch.as_tensor(optimizer.state[p0]['momentum_buffer']).detach()
got = found.reshape(-1)[1].double().item()
exact, allowance = 3.0, 0.0214862823486337
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
