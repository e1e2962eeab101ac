"""pytorch-optimizer 4.1.0: AdaDelta adds weight decay into p.grad.

grad.add_(p, alpha=weight_decay) and torch._foreach_add_(grads, params) write into p.grad: a second step on the same
gradient decays twice. All its optimizers with weight_decouple=False share the function.
"""

import sys

import torch
from pytorch_optimizer import AdaDelta

p = torch.nn.Parameter(torch.ones(1))
optimizer = AdaDelta([p], weight_decay=0.5, weight_decouple=False)
p.grad = torch.ones(1)
optimizer.step()
got, exact = p.grad.item(), 1.0
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
