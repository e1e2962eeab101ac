"""groups.hyperparameters on float64, for-loop: torch.optim.RMSprop against rule rmsprop.

the subject raised KeyError: 'momentum_buffer'
smallest    build [1] with lr=1, alpha=0, eps=1, weight_decay=0, momentum=0; step(grad=1); group 0 momentum=0.9; step(grad=1)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').RMSprop

torch.set_num_threads(1)
try:
    dtype = torch.float64
    p0 = torch.tensor([1.0], dtype=torch.float64).to(torch.float64).reshape((1,)).to('cpu').detach().requires_grad_(True)
    optimizer = Optimizer([p0], lr=1.0, alpha=0.0, eps=1.0, weight_decay=0.0, momentum=0.0, centered=False, maximize=False, foreach=False)
    p0.grad = torch.tensor([1.0], dtype=torch.float64).to(torch.float64).reshape((1,)).to('cpu')
    optimizer.step()
    optimizer.param_groups[0]['momentum'] = 0.9
    p0.grad = torch.tensor([1.0], dtype=torch.float64).to(torch.float64).reshape((1,)).to('cpu')
    optimizer.step()
except Exception as error:
    print("got  ", type(error).__name__, error)
    print("exact  no exception")
    sys.exit(1)
print("no exception")
sys.exit(0)
