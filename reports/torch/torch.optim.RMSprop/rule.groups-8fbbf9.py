"""rule.groups on float32, differentiable: torch.optim.RMSprop against rule rmsprop.

the subject raised KeyError: 'momentum_buffer'
smallest    build [tensor(5,)] with lr=1, alpha=0, eps=1, weight_decay=0, momentum=0; step(grad=pool[28:]); group 0 momentum=1; step(grad=pool[29:])
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').RMSprop

torch.set_num_threads(1)
dtype = torch.float32
p0 = torch.tensor([8.579581489698285e-11, -21217472.0, -0.10952499508857727, 0.02464219368994236, -3.624013900756836], dtype=torch.float64).to(dtype).reshape((5,)).to('cpu').detach().requires_grad_(True)
p0 = p0.clone()
p0.retain_grad()
try:
    optimizer = Optimizer([p0], lr=1.0, alpha=0.0, eps=1.0, weight_decay=0.0, momentum=0.0, centered=False, maximize=False, foreach=False, differentiable=True)
    p0.grad = torch.tensor([6.16518736933358e-05, 0.11053925007581711, 0.6802997589111328, -0.1387084722518921, -1411108.875], dtype=torch.float64).to(dtype).reshape((5,)).to('cpu')
    optimizer.step()
    optimizer.param_groups[0]['momentum'] = 1.0
    p0.grad = torch.tensor([0.11053925007581711, 0.6802997589111328, -0.1387084722518921, -1411108.875, 0.056624699383974075], dtype=torch.float64).to(dtype).reshape((5,)).to('cpu')
    optimizer.step()
except Exception as error:
    print("got  ", type(error).__name__, error)
    print("exact  no exception")
    sys.exit(1)
print("no exception")
sys.exit(0)
