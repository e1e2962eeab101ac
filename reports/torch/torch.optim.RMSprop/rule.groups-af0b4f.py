"""rule.groups on complex128, foreach: torch.optim.RMSprop against rule rmsprop.

the subject raised KeyError: 'momentum_buffer'
smallest    build [tensor(5,)] with lr=1, alpha=0, eps=1, weight_decay=0, momentum=0; step(grad=pool[28:]); group 0 momentum=1; step(grad=pool[29:])
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').RMSprop

torch.set_num_threads(1)
dtype = torch.complex128
p0 = torch.view_as_complex(torch.tensor([-0.875, 0.0, -0.4332193881608738, 0.024642193874153846, 1.870412741460103, -0.667010722886452, 1.0, 0.04040917600724752, -1.5069283463340282, -0.011869764224732867], dtype=torch.float64).to(torch.float64).reshape((5, 2))).to('cpu').detach().requires_grad_(True)
try:
    optimizer = Optimizer([p0], lr=1.0, alpha=0.0, eps=1.0, weight_decay=0.0, momentum=0.0, centered=False, maximize=False, foreach=True)
    p0.grad = torch.view_as_complex(torch.tensor([0.0, 0.11053924875485777, -1.3737939104733083, -0.8666971156515787, -7.078232308717677e+49, 0.0566246990175679, -0.026160214578959916, 8.891694896225618e-26, 1.5, 1.75], dtype=torch.float64).to(torch.float64).reshape((5, 2))).to('cpu')
    optimizer.step()
    optimizer.param_groups[0]['momentum'] = 1.0
    p0.grad = torch.view_as_complex(torch.tensor([0.11053924875485777, -1.3737939104733083, -0.8666971156515787, -7.078232308717677e+49, 0.0566246990175679, -0.026160214578959916, 8.891694896225618e-26, 1.5, 1.75, 3.384634889519872], dtype=torch.float64).to(torch.float64).reshape((5, 2))).to('cpu')
    optimizer.step()
except Exception as error:
    print("got  ", type(error).__name__, error)
    print("exact  no exception")
    sys.exit(1)
print("no exception")
sys.exit(0)
