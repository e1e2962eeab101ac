"""torch-optimizer 0.3.0: AdaBound never steps a group that was added after it was built.

step walks zip(param_groups, base_lrs), and base_lrs is as long as the groups that the constructor was given; the same
in the authors' code (Luolc/AdaBound#13).
"""

import sys

import torch
from torch_optimizer import AdaBound

first, late = torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1))
optimizer = AdaBound([first], lr=1.0, betas=(0.0, 0.0), final_lr=1.0, gamma=0.5, eps=1.0)
optimizer.add_param_group({"params": [late]})
late.grad = torch.ones(1)
optimizer.step()
got, exact = late.item(), -0.5
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
