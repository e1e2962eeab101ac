"""pytorch-optimizer 4.1.0: ScheduleFreeAdamW divides p.grad in place, so a second step on that gradient is wrong."""

import sys

import torch
from pytorch_optimizer import ScheduleFreeAdamW

p = torch.nn.Parameter(torch.zeros(1))
optimizer = ScheduleFreeAdamW([p], lr=1.0, betas=(0.5, 0.0), eps=0.0, foreach=False)
p.grad = torch.full((1,), 4.0)
optimizer.step()
got, exact = p.grad.item(), 4.0
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
