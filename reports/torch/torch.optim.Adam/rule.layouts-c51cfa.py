"""rule.layouts on bfloat16, fused: torch.optim.Adam against rule adam.

after step 1, parameter 0, element 1: exp_avg is not what rule adam gives
exact       0   got -0.00521850586   error 0.0052 = 4.74e+36 × allowance
first wrong quantity: exp_avg
smallest    build [0 transposed] with lr=1, beta1=0, beta2=0, eps=1, weight_decay=0; step(grad=pool[500:])
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').Adam

torch.set_num_threads(1)
dtype = torch.bfloat16
p0 = torch.full((5, 7), 0.0, dtype=torch.float64).to(torch.bfloat16).mT.contiguous().mT.to('cpu').detach().requires_grad_(True)
optimizer = Optimizer([p0], lr=1.0, betas=(0.0, 0.0), eps=1.0, weight_decay=0.0, amsgrad=False, decoupled_weight_decay=False, maximize=False, foreach=False, fused=True)
p0.grad = torch.tensor([0.75, 0.0, 3.5, -0.016357421875, -0.94921875, -0.005218505859375, 0.23046875, -1.9453125, -980.0, 0.017578125, 0.004608154296875, -2.9355287551879883e-06, -10.6875, -7.73686670285656e-16, -0.75, -1.1640625, 1.8515625, -0.42578125, 0.00164794921875, -0.392578125, -0.0205078125, 12.875, -0.212890625, -627065225216.0, -0.435546875, 1.125, -1.4749288779638374e+17, 0.388671875, -6.0, 1.7421875, 1.3828125, -3.5, 4227858432.0, 0.87890625, -2.359375], dtype=torch.float64).to(torch.bfloat16).reshape((5, 7)).to('cpu')
optimizer.step()
found = torch.as_tensor(optimizer.state[p0]['exp_avg']).detach()
got = found.reshape(-1)[1].double().item()
exact, allowance = 0.0, 1.1020259538958947e-39
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
