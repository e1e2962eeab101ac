"""torch-optimizer 0.3.0: MADGRAD makes its state in the constructor, so a group that is added later has none."""

import sys

import torch
from torch_optimizer import MADGRAD

first, late = torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(torch.zeros(1))
optimizer = MADGRAD([first])
optimizer.add_param_group({"params": [late]})
late.grad = torch.ones(1)
try:
    optimizer.step()
except KeyError as error:
    print(f"raised: KeyError {error}")
    sys.exit(1)
sys.exit(0)
