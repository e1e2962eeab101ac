"""torch-optimizer 0.3.0: QHM adds weight decay into p.grad.

p.grad.data is not a copy. Whoever looks at the gradient afterwards, accumulates onto it, or steps on it again gets the
decay once more; a gradient expanded from one cell cannot be written at all.
"""

import sys

import torch
from torch_optimizer import QHM

p = torch.nn.Parameter(torch.ones(1))
optimizer = QHM([p], lr=0.1, weight_decay=0.5)
p.grad = torch.ones(1)
optimizer.step()
got, exact = p.grad.item(), 1.0
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
