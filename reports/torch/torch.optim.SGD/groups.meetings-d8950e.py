"""groups.meetings on bfloat16, fused: torch.optim.SGD against rule sgd.

after step 2, parameter 0, element 12: momentum_buffer is not what rule sgd gives
exact       0   got -2.79223177e+18   error 2.8e+18 = 2.53e+57 × allowance
first wrong quantity: momentum_buffer
smallest    build [0] with lr=0, momentum=1, dampening=0, weight_decay=0; step(grad=0); step(grad=0)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').SGD

torch.set_num_threads(1)
dtype = torch.bfloat16
p0 = torch.full((16,), 0.0, dtype=torch.float64).to(torch.bfloat16).to('cpu').detach().requires_grad_(True)
optimizer = Optimizer([p0], lr=0.0, momentum=1.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False, foreach=False, fused=True)
p0.grad = torch.full((16,), 0.0, dtype=torch.float64).to(torch.bfloat16).to('cpu')
optimizer.step()
p0.grad = torch.full((16,), 0.0, dtype=torch.float64).to(torch.bfloat16).to('cpu')
optimizer.step()
found = torch.as_tensor(optimizer.state[p0]['momentum_buffer']).detach()
got = found.reshape(-1)[12].double().item()
exact, allowance = 0.0, 1.1020259538958947e-39
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
