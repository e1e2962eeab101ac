"""pytorch-optimizer 4.1.0: CAME ignores the eps1 of a param group, and every edit of it.

The group holds eps1 and eps2, and the step reads those of the constructor from the instance. AdaFactor of the same
package does so too.
"""

import sys

import torch
from pytorch_optimizer import CAME

p = torch.nn.Parameter(torch.zeros(1))
optimizer = CAME([{"params": [p], "eps1": 3.0}], lr=1.0, betas=(0.0, 0.0, 0.0), eps1=0.0, clip_threshold=10.0)
p.grad = torch.ones(1)
optimizer.step()
got, exact = p.item(), -0.5  # g / sqrt(g^2 + eps1) = 1 / 2
print("got  ", got)
print("exact", exact)
sys.exit(0 if abs(got - exact) <= 1e-6 else 1)
