"""rule.groups on bfloat16, foreach: torch.optim.RMSprop against rule rmsprop.

the subject raised KeyError: 'momentum_buffer'
smallest    build [tensor(5,)] with lr=1, alpha=0, eps=1, weight_decay=0, momentum=0; step(grad=pool[28:]); group 0 momentum=1; step(grad=pool[29:])
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').RMSprop

torch.set_num_threads(1)
dtype = torch.bfloat16
p0 = torch.tensor([8.594724931754172e-11, -21233664.0, -0.109375, 0.024658203125, -3.625], dtype=torch.float64).to(dtype).reshape((5,)).to('cpu').detach().requires_grad_(True)
try:
    optimizer = Optimizer([p0], lr=1.0, alpha=0.0, eps=1.0, weight_decay=0.0, momentum=0.0, centered=False, maximize=False, foreach=True)
    p0.grad = torch.tensor([6.151199340820312e-05, 0.1103515625, 0.6796875, -0.138671875, -1409024.0], dtype=torch.float64).to(dtype).reshape((5,)).to('cpu')
    optimizer.step()
    optimizer.param_groups[0]['momentum'] = 1.0
    p0.grad = torch.tensor([0.1103515625, 0.6796875, -0.138671875, -1409024.0, 0.056640625], dtype=torch.float64).to(dtype).reshape((5,)).to('cpu')
    optimizer.step()
except Exception as error:
    print("got  ", type(error).__name__, error)
    print("exact  no exception")
    sys.exit(1)
print("no exception")
sys.exit(0)
