"""pytorch-optimizer 4.1.0: RAdam corrects a late parameter for steps that it never took.

The step counter belongs to the param group and advances without a gradient. A parameter whose first gradient arrives
at step k (a layer unfrozen, an expert first used) has moments of one step, divided by 1 - beta^k instead of 1 - beta.
torch.optim counts for each parameter.
"""

import sys

import torch
from pytorch_optimizer import RAdam

p, late = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
optimizer = RAdam([p, late], lr=1.0, betas=(0.5, 0.0), degenerated_to_sgd=True)
p.grad = torch.ones(1)
optimizer.step()
late.grad = torch.ones(1)
optimizer.step()
got, exact = late.item(), -1.0  # its first step: exp_avg / (1 - beta1) = gradient
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
