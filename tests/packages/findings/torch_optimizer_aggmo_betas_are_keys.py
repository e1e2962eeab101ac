"""torch-optimizer 0.3.0: AggMo keeps its buffers under the values of betas, so an edited beta finds none.

The step after the edit raises KeyError; two equal betas share one buffer, which is then damped and added to twice.
pytorch-optimizer 4.1.0 does the same.
"""

import sys

import torch
from torch_optimizer import AggMo

p = torch.nn.Parameter(torch.zeros(1))
optimizer = AggMo([p], lr=3.0, betas=(0.5, 0.5, 0.0))
for _ in range(2):
    p.grad = torch.ones(1)
    optimizer.step()
# the buffers of both equal betas are 1 and 1.5, that of the third is 1 in both steps
got, exact = p.item(), -(1.0 + 1.0 + 1.0) - (1.5 + 1.5 + 1.0)
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
