"""torch-optimizer 0.3.0: SGDW subtracts a constant instead of decaying the weights.

p.data.add_(weight_decay, alpha=-lr) takes lr * weight_decay off every element, whatever it is: zero becomes negative,
and negative weights grow. Loshchilov & Hutter 2019, Algorithm 1, takes off weight_decay * p.
"""

import sys

import torch
from torch_optimizer import SGDW

p = torch.nn.Parameter(torch.tensor([-1.0]))
optimizer = SGDW([p], lr=0.5, weight_decay=0.5)
p.grad = torch.zeros(1)
optimizer.step()
got, exact = p.item(), -0.75
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
