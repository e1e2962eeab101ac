"""torch-optimizer 0.3.0: RAdam gives a group the learning rate of another.

The step size of each step number, learning rate included, is kept in a list that all groups share unless their betas
differ. So the second group steps with the first one's rate; in one group, an edit of lr is overlooked by a parameter
that reaches a step number later than another did.
"""

import sys

import torch
from torch_optimizer import RAdam

a, b = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
optimizer = RAdam([{"params": [a]}, {"params": [b], "lr": 0.5}], lr=1.0)
a.grad, b.grad = torch.ones(1), torch.ones(1)
optimizer.step()
got, exact = b.item(), -0.5  # the first step of RAdam is lr times the gradient
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
