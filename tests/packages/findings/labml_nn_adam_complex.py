"""labml-nn 0.5.1: Adam squares complex gradients as if they were real.

The square of an imaginary gradient is negative, and its root imaginary: the step is not against the gradient. Complex
parameters are neither refused nor taken as two reals, as torch.optim does.
"""

import sys

import torch
from labml_nn.optimizers.adam import Adam

p = torch.nn.Parameter(torch.zeros(1, dtype=torch.complex64))
optimizer = Adam([p], lr=1.0, betas=(0.0, 0.0), eps=1.0)
p.grad = torch.full_like(p, 1j)
optimizer.step()
got, exact = p.item(), -0.5j
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
