"""pytorch-optimizer 4.1.0: maximize changes the sign of p.grad itself.

grad.neg_() and torch._foreach_neg_(grads) write into p.grad: a second step on the same gradient goes down, and what is
accumulated onto it has the wrong sign. Lion is shown; all its optimizers with maximize share the function.
"""

import sys

import torch
from pytorch_optimizer import Lion

p = torch.nn.Parameter(torch.zeros(1))
optimizer = Lion([p], lr=1.0, betas=(0.0, 0.0), maximize=True, foreach=False)
p.grad = torch.ones(1)
optimizer.step()
optimizer.step()
got, exact = p.item(), 2.0  # uphill twice
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
