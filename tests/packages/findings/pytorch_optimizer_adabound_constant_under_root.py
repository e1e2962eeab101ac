"""pytorch-optimizer 4.1.0: AdaBound adds 1e-15 under the root of the second moment, beside the epsilon that it is given.

apply_ams_bound takes the root of exp_avg_sq + 1e-15 whatever eps is, for all optimizers that use it (AdaBound, DiffGrad,
ScheduleFreeAdamW and others). In Luo et al. 2019 and the authors' code there is no such constant; it shows where the
second moment is below 1e-15.
"""

import sys

import torch
from pytorch_optimizer import AdaBound

p = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
optimizer = AdaBound([p], lr=1.0, betas=(0.0, 0.0), final_lr=1.0, gamma=1e-12, eps=0.0)
p.grad = torch.full((1,), 1e-8, dtype=torch.float64)
optimizer.step()
# lr g / |g| is lr
got, exact = p.item(), -1.0
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
