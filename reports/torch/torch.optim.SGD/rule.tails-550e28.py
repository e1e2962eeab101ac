"""rule.tails on bfloat16, fused: torch.optim.SGD against rule sgd.

after step 1, parameter 0, element 1: the parameter is not what rule sgd gives
exact       2.60364353e+16   got -1.5078125   error 2.6e+16 = 16 × allowance
first wrong quantity: the parameter
smallest    build [tensor(16,)] with lr=1, momentum=0, dampening=0, weight_decay=0; step(grad=pool[1208:])
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').SGD

torch.set_num_threads(1)
dtype = torch.bfloat16
p0 = torch.tensor([0.04052734375, -1.5078125, -0.0118408203125, -14.9375, -228.0, -1.5078125, -16.0, 0.5234375, -3031040.0, 6.938893903907228e-15, 0.375, 0.486328125, 6.151199340820312e-05, 0.1103515625, 0.6796875, -0.138671875], dtype=torch.float64).to(dtype).reshape((16,)).to('cpu').detach().requires_grad_(True)
optimizer = Optimizer([p0], lr=1.0, momentum=0.0, dampening=0.0, weight_decay=0.0, foreach=False, fused=True)
p0.grad = torch.tensor([-0.49609375, -2.603643534573568e+16, 0.00433349609375, -0.0191650390625, 1.4140625, -1.7734375, 0.451171875, -1.015625, 1.359375, -0.061767578125, 0.609375, -0.01318359375, -0.0179443359375, 0.005096435546875, 0.033203125, -0.1240234375], dtype=torch.float64).to(dtype).reshape((16,)).to('cpu')
optimizer.step()
found = torch.as_tensor(p0).detach()
got = found.reshape(-1)[1].double().item()
exact, allowance = 2.603643534573568e+16, 1627277209108480.0
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
