"""pytorch-optimizer 4.1.0: ADOPT clips its first normalised gradient at 2^0.25 and not at 1.

The step number that the limit is made from counts the first gradient, which only starts the second moment; in Taniguchi
et al. 2024, Algorithm 2, and in the authors' code the first step that moves the parameter has the number 1.
"""

import sys

import torch
from pytorch_optimizer import ADOPT

p = torch.nn.Parameter(torch.zeros(1))
optimizer = ADOPT([p], lr=1.0, betas=(0.0, 0.0), eps=1.0)
for gradient in (0.0, 2.0):
    p.grad = torch.full((1,), gradient)
    optimizer.step()
got, exact = p.item(), -1.0
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
