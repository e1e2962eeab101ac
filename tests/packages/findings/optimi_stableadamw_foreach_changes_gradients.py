"""torch-optimi 0.3.3: StableAdamW with foreach writes into p.grad what it makes of the gradient.

Whoever reads p.grad after the step, or steps on it again, finds another number. The for-loop leaves it as it is.
"""

import sys

import torch
from optimi import StableAdamW

p = torch.nn.Parameter(torch.ones(1))
optimizer = StableAdamW([p], lr=1.0, betas=(0.0, 0.0), eps=1.0, foreach=True)
p.grad = torch.full((1,), 2.0)
optimizer.step()
got, exact = p.grad.item(), 2.0
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
