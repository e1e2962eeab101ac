"""rule.groups on float16, foreach: torch.optim.RMSprop against rule rmsprop.

the subject raised KeyError: 'momentum_buffer'
smallest    build [tensor(5,)] with lr=1, alpha=0, eps=1, weight_decay=0, momentum=0; step(grad=pool[28:]); group 0 momentum=1; step(grad=pool[29:])
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').RMSprop

torch.set_num_threads(1)
dtype = torch.float16
p0 = torch.tensor([0.1724853515625, -6.19921875, -0.1094970703125, 0.0246429443359375, -3.623046875], dtype=torch.float64).to(dtype).reshape((5,)).to('cpu').detach().requires_grad_(True)
try:
    optimizer = Optimizer([p0], lr=1.0, alpha=0.0, eps=1.0, weight_decay=0.0, momentum=0.0, centered=False, maximize=False, foreach=True)
    p0.grad = torch.tensor([0.576171875, 0.11053466796875, 0.68017578125, -0.138671875, -4.86328125], dtype=torch.float64).to(dtype).reshape((5,)).to('cpu')
    optimizer.step()
    optimizer.param_groups[0]['momentum'] = 1.0
    p0.grad = torch.tensor([0.11053466796875, 0.68017578125, -0.138671875, -4.86328125, 0.056610107421875], dtype=torch.float64).to(dtype).reshape((5,)).to('cpu')
    optimizer.step()
except Exception as error:
    print("got  ", type(error).__name__, error)
    print("exact  no exception")
    sys.exit(1)
print("no exception")
sys.exit(0)
