"""torch-optimi 0.3.3: StableAdamW with foreach cannot step where no parameter of a group has a gradient."""

import sys

import torch
from optimi import StableAdamW

p = torch.nn.Parameter(torch.ones(1))
optimizer = StableAdamW([p], lr=1.0, foreach=True)
try:
    optimizer.step()
except RuntimeError as error:
    print("raised:", error)
    sys.exit(1)
