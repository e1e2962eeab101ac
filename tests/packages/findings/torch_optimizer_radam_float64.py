"""torch-optimizer 0.3.0: RAdam computes float64 parameters in float32.

p.data.float() and p.grad.data.float() are copied back into the float64 parameter, and the state is float32: nine
digits are lost, and a gradient above 3.4e38 becomes infinite. It was written for float16, where it helps.
"""

import sys

import torch
from torch_optimizer import RAdam

p = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
optimizer = RAdam([p], lr=1.0)
p.grad = torch.full_like(p, 0.1)
optimizer.step()
got, exact = p.item(), -0.1
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-15 else 1)
