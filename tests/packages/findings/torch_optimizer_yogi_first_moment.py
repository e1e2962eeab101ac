"""torch-optimizer 0.3.0: Yogi starts its first moment at the initial accumulator too.

A parameter with a gradient of zero moves; in Zaheer et al. 2018, Algorithm 2, and in TensorFlow Addons, whose
initial_accumulator_value it is, only the second moment starts there. pytorch-optimizer 4.1.0 does the same.
"""

import sys

import torch
from torch_optimizer import Yogi

p = torch.nn.Parameter(torch.zeros(1))
optimizer = Yogi([p], lr=1.0, betas=(0.5, 0.0), eps=1.0, initial_accumulator=1.0)
p.grad = torch.zeros(1)
optimizer.step()
got, exact = p.item(), 0.0
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
