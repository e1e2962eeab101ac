"""torch-optimizer 0.3.0: AdaBelief with amsgrad adds epsilon to the maximum at every step.

max_exp_avg_var.add_(eps) is in place, so the maximum grows though the gradients stay zero, and the variance itself
goes without its epsilon. In Zhuang et al. 2020, Algorithm 2, the epsilon belongs to the variance, and the maximum is
that of the variances. Without amsgrad it is so here too.
"""

import sys

import torch
from torch_optimizer import AdaBelief

p = torch.nn.Parameter(torch.zeros(1))
optimizer = AdaBelief([p], lr=1.0, betas=(0.0, 0.0), eps=1.0, amsgrad=True)
p.grad = torch.zeros(1)
for _ in range(10):
    optimizer.step()
# the variance is 0 + eps at every step, and so is the largest of them
got, exact = optimizer.state[p]["max_exp_avg_var"].item(), 1.0
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
