"""rule.layouts on bfloat16, fused: torch.optim.Adagrad against rule adagrad.

after step 1, parameter 0, element 1: sum is not what rule adagrad gives
exact       0   got 2.7179718e-05   error 2.7e-05 = 7.4e+34 × allowance
first wrong quantity: sum
smallest    build [0 transposed] with lr=1, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1; step(grad=pool[500:])
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').Adagrad

torch.set_num_threads(1)
dtype = torch.bfloat16
p0 = torch.full((5, 7), 0.0, dtype=torch.float64).to(torch.bfloat16).mT.contiguous().mT.to('cpu').detach().requires_grad_(True)
optimizer = Optimizer([p0], lr=1.0, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1.0, maximize=False, foreach=False, fused=True)
p0.grad = torch.tensor([0.75, 0.0, 3.5, -0.016357421875, -0.94921875, -0.005218505859375, 0.23046875, -1.9453125, -980.0, 0.017578125, 0.004608154296875, -2.9355287551879883e-06, -10.6875, -7.73686670285656e-16, -0.75, -1.1640625, 1.8515625, -0.42578125, 0.00164794921875, -0.392578125, -0.0205078125, 12.875, -0.212890625, -627065225216.0, -0.435546875, 1.125, -1.4749288779638374e+17, 0.388671875, -6.0, 1.7421875, 1.3828125, -3.5, 4227858432.0, 0.87890625, -2.359375], dtype=torch.float64).to(torch.bfloat16).reshape((5, 7)).to('cpu')
optimizer.step()
found = torch.as_tensor(optimizer.state[p0]['sum']).detach()
got = found.reshape(-1)[1].double().item()
exact, allowance = 0.0, 3.6734198463196485e-40
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
