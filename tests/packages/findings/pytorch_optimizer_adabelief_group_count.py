"""pytorch-optimizer 4.1.0: AdaBelief corrects a late parameter for steps that it never took.

The step counter belongs to the param group and advances without a gradient. A parameter whose first gradient arrives
at step k (a layer unfrozen, an expert first used) has moments of one step, divided by 1 - beta^k instead of 1 - beta.
torch.optim counts for each parameter.
"""

import sys

import torch
from pytorch_optimizer import AdaBelief

p, late = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
optimizer = AdaBelief([p, late], lr=1.0, betas=(0.5, 0.0), eps=1.0)
p.grad = torch.ones(1)
optimizer.step()
late.grad = torch.ones(1)
optimizer.step()
got, exact = late.item(), -1 / (1.25**0.5 + 1)  # its first step: m-hat = 1, variance (1 - 0.5)^2 + eps
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
