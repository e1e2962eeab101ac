"""lion-pytorch 0.2.5: the foreach Lion cannot step when a group has no gradient.

The lists that it hands to torch._foreach_lerp_ are then empty, which torch refuses. A group whose parameters are all
frozen, or not used in this step, is enough.
"""

import sys

import torch
from lion_pytorch.foreach import Lion

p, frozen = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
optimizer = Lion([{"params": [p]}, {"params": [frozen]}], lr=0.5)
p.grad = torch.ones(1)
exact = "no exception"
try:
    optimizer.step()
    got = exact
except RuntimeError as error:
    got = f"RuntimeError: {error}"
print("got  ", got)
print("exact", exact)
sys.exit(0 if got == exact else 1)
