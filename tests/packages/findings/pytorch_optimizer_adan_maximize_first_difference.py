"""pytorch-optimizer 4.1.0: Adan with maximize takes its first difference from the gradient that it then turns round.

The gradient before is kept when the state is made, ahead of the change of sign, so the first difference is minus twice
the gradient where it should be zero (Xie et al. 2022, Algorithm 1).
"""

import sys

import torch
from pytorch_optimizer import Adan

p = torch.nn.Parameter(torch.zeros(1))
optimizer = Adan([p], lr=1.0, betas=(0.0, 0.0, 0.0), eps=1.0, maximize=True)
p.grad = torch.ones(1)
optimizer.step()
got, exact = optimizer.state[p]["exp_avg_diff"].item(), 0.0
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
