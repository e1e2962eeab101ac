"""torch-optimizer 0.3.0: RAdam throws the imaginary part of complex parameters away.

p.data.float() keeps the real part (torch warns of it once) and is copied back. It neither refuses complex parameters
nor takes them as two reals, as torch.optim does.
"""

import sys

import torch
from torch_optimizer import RAdam

p = torch.nn.Parameter(torch.tensor([1.0 + 1.0j]))
optimizer = RAdam([p], lr=0.5)
p.grad = torch.zeros_like(p)
optimizer.step()
got, exact = p.item(), 1.0 + 1.0j
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
