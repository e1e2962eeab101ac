"""parity.layouts on bfloat16, fused: torch.optim.Adagrad against rule adagrad.

with another memory layout, sum is 2.7179718e-05 where 0 is due after step 1 (parameter 0, element 1): 2.7e-05 apart, and the allowances of both add up to 7.3e-40
smallest    build [0 transposed] with lr=1, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1; step(grad=pool[500:])
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').Adagrad

torch.set_num_threads(1)


def plain():
    dtype = torch.bfloat16
    p0 = torch.full((5, 7), 0.0, dtype=torch.float64).to(torch.bfloat16).to('cpu').detach().requires_grad_(True)
    optimizer = Optimizer([p0], lr=1.0, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1.0, maximize=False, foreach=False, fused=True)
    p0.grad = torch.tensor([0.75, 0.0, 3.5, -0.016357421875, -0.94921875, -0.005218505859375, 0.23046875, -1.9453125, -980.0, 0.017578125, 0.004608154296875, -2.9355287551879883e-06, -10.6875, -7.73686670285656e-16, -0.75, -1.1640625, 1.8515625, -0.42578125, 0.00164794921875, -0.392578125, -0.0205078125, 12.875, -0.212890625, -627065225216.0, -0.435546875, 1.125, -1.4749288779638374e+17, 0.388671875, -6.0, 1.7421875, 1.3828125, -3.5, 4227858432.0, 0.87890625, -2.359375], dtype=torch.float64).to(torch.bfloat16).reshape((5, 7)).to('cpu')
    optimizer.step()
    found = torch.as_tensor(optimizer.state[p0]['sum']).detach()
    return found.reshape(-1)[1].double().item()


def other():
    dtype = torch.bfloat16
    p0 = torch.full((5, 7), 0.0, dtype=torch.float64).to(torch.bfloat16).mT.contiguous().mT.to('cpu').detach().requires_grad_(True)
    optimizer = Optimizer([p0], lr=1.0, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1.0, maximize=False, foreach=False, fused=True)
    p0.grad = torch.tensor([0.75, 0.0, 3.5, -0.016357421875, -0.94921875, -0.005218505859375, 0.23046875, -1.9453125, -980.0, 0.017578125, 0.004608154296875, -2.9355287551879883e-06, -10.6875, -7.73686670285656e-16, -0.75, -1.1640625, 1.8515625, -0.42578125, 0.00164794921875, -0.392578125, -0.0205078125, 12.875, -0.212890625, -627065225216.0, -0.435546875, 1.125, -1.4749288779638374e+17, 0.388671875, -6.0, 1.7421875, 1.3828125, -3.5, 4227858432.0, 0.87890625, -2.359375], dtype=torch.float64).to(torch.bfloat16).reshape((5, 7)).to('cpu')
    optimizer.step()
    found = torch.as_tensor(optimizer.state[p0]['sum']).detach()
    return found.reshape(-1)[1].double().item()


due, allowance = plain(), 7.346839692639297e-40
got = other()
print("got  ", got)
print("due  ", due, " allowance", allowance)
sys.exit(0 if abs(got - due) <= allowance or (got != got and due != due) else 1)
