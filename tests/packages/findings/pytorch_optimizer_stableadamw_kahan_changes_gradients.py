"""pytorch-optimizer 4.1.0: StableAdamW with Kahan summation, its default, keeps what was lost in p.grad.

In bfloat16 and float16 the gradient is the place where the old parameter is put aside: after the step it holds the
rounding error of the step and no gradient. torch-optimi 0.3.3 does the same.
"""

import sys

import torch
from pytorch_optimizer import StableAdamW

p = torch.nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
optimizer = StableAdamW([p], lr=0.5)
p.grad = torch.full((1,), 2.0, dtype=torch.bfloat16)
optimizer.step()
got, exact = p.grad.item(), 2.0
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
