"""torch-optimizer 0.3.0: AdaBelief squares complex numbers as if they were real.

(g - m)^2 of an imaginary surprise is negative, and its root imaginary: the parameter turns in the plane. Complex
parameters are neither refused nor taken as two reals, as torch.optim does.
"""

import sys

import torch
from torch_optimizer import AdaBelief

p = torch.nn.Parameter(torch.zeros(1, dtype=torch.complex64))
optimizer = AdaBelief([p], lr=1.0, betas=(0.5, 0.0), eps=1.0)
p.grad = torch.full_like(p, 1j)
optimizer.step()
# as two reals: m = 0.5, variance (1 - 0.5)^2 + eps = 1.25, step 0.5 / (1 - 0.5) / (sqrt(1.25) + eps)
got, exact = p.item(), -1j / (1.25**0.5 + 1)
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
