"""rule.groups on bfloat16, for-loop: torch.optim.Rprop against rule rprop.

after step 1, parameter 0, element 0: prev is not what rule rprop gives
exact       1   got 0   error 1 = beyond any allowance
first wrong quantity: prev (step_size agrees)
smallest    build [0] with lr=1, eta_minus=0.999, eta_plus=2, step_size_min=1, step_size_max=1; step(grad=1)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').Rprop

torch.set_num_threads(1)
dtype = torch.bfloat16
p0 = torch.tensor([0.0], dtype=torch.float64).to(dtype).reshape((1,)).to('cpu').detach().requires_grad_(True)
optimizer = Optimizer([p0], lr=1.0, etas=(0.999, 2.0), step_sizes=(1.0, 1.0), maximize=False, foreach=False)
p0.grad = torch.tensor([1.0], dtype=torch.float64).to(dtype).reshape((1,)).to('cpu')
optimizer.step()
found = torch.as_tensor(optimizer.state[p0]['prev']).detach()
got = found.reshape(-1)[0].double().item()
exact, allowance = 1.0, 0.0
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
