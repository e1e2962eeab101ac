"""pytorch-optimizer 4.1.0: RAdam with weight_decouple=False has no weight decay at all.

apply_weight_decay adds the decay to the gradient it is given, and RAdam gives it None; the foreach path leaves it out
too. The documentation says that it is then added to the gradient.
"""

import sys

import torch
from pytorch_optimizer import RAdam

p = torch.nn.Parameter(torch.ones(1))
optimizer = RAdam([p], lr=0.5, weight_decay=0.5, weight_decouple=False, degenerated_to_sgd=True)
p.grad = torch.zeros(1)
optimizer.step()
got, exact = p.item(), 0.75  # the first step of RAdam is lr times the gradient, here weight_decay * p
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
