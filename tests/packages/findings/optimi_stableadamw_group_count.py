"""torch-optimi 0.3.3: StableAdamW counts the steps of a group, and corrects every parameter of it for them.

A parameter whose first gradient comes in the second step keeps a third of its old second moment, zero, where its own
first step must take in the whole square (Wortsman et al. 2023, Algorithm 2). pytorch-optimizer 4.1.0 does the same.
"""

import sys

import torch
from optimi import StableAdamW

p = torch.nn.Parameter(torch.ones(1))
optimizer = StableAdamW([p], lr=1.0, betas=(0.0, 0.5), eps=1.0, foreach=False)
optimizer.step()
p.grad = torch.ones(1)
optimizer.step()
got, exact = optimizer.state[p]["exp_avg_sq"].item(), 1.0
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
