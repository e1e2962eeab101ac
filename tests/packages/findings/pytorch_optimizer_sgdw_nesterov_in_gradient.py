"""pytorch-optimizer 4.1.0: SGDW with nesterov adds the momentum into p.grad.

grad.add_(buf, alpha=momentum) of the for-loop writes into p.grad, so a second step on the same gradient is wrong; the
foreach form makes a new list and is right. Complex parameters always take the for-loop.
"""

import sys

import torch
from pytorch_optimizer import SGDW

p = torch.nn.Parameter(torch.zeros(1))
optimizer = SGDW([p], lr=1.0, momentum=0.5, nesterov=True, foreach=False)
p.grad = torch.ones(1)
optimizer.step()
got, exact = p.grad.item(), 1.0
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
