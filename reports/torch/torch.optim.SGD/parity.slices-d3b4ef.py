"""parity.slices on float16, fused: torch.optim.SGD against rule sgd.

cut into slices, the parameter is -39.75 where -9.1796875 is due after step 1 (parameter 0, element 0): 31 apart, and the allowances of both add up to 0.51
smallest    build [tensor(16,)] with lr=1, momentum=0, dampening=0, weight_decay=0; step(grad=pool[1833:])
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').SGD

torch.set_num_threads(1)


def plain():
    dtype = torch.float16
    p0 = torch.tensor([-9.1796875, -1.12890625, -1.9482421875, -0.008544921875, -0.2841796875, 0.1300048828125, 0.144287109375, -1.248046875, 0.007354736328125, 0.1724853515625, -6.19921875, -0.1094970703125, 0.0246429443359375, -3.623046875, 0.1630859375, 0.057403564453125], dtype=torch.float64).to(torch.float16).reshape((16,)).to('cpu').detach().requires_grad_(True)
    optimizer = Optimizer([p0], lr=1.0, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False, foreach=False, fused=True)
    p0.grad = torch.tensor([30.5625, -1.57421875, 11.828125, -0.09320068359375, 0.69091796875, -0.0, 0.62939453125, -0.0, -1.599609375, -2.872943878173828e-05, 0.58447265625, -1.00390625, -0.351318359375, 0.0309295654296875, 0.0, 0.0], dtype=torch.float64).to(torch.float16).reshape((16,)).to('cpu')
    optimizer.step()
    found = torch.as_tensor(p0).detach()
    return found.reshape(-1)[0].double().item()


def other():
    dtype = torch.float16
    p0 = torch.tensor([-9.1796875], dtype=torch.float64).to(torch.float16).reshape((1,)).to('cpu').detach().requires_grad_(True)
    p1 = torch.tensor([-1.12890625, -1.9482421875, -0.008544921875, -0.2841796875, 0.1300048828125, 0.144287109375, -1.248046875, 0.007354736328125], dtype=torch.float64).to(torch.float16).reshape((8,)).to('cpu').detach().requires_grad_(True)
    p2 = torch.tensor([0.1724853515625, -6.19921875, -0.1094970703125, 0.0246429443359375, -3.623046875, 0.1630859375, 0.057403564453125], dtype=torch.float64).to(torch.float16).reshape((7,)).to('cpu').detach().requires_grad_(True)
    optimizer = Optimizer([p0, p1, p2], lr=1.0, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False, foreach=False, fused=True)
    p0.grad = torch.tensor([30.5625], dtype=torch.float64).to(torch.float16).reshape((1,)).to('cpu')
    p1.grad = torch.tensor([-1.57421875, 11.828125, -0.09320068359375, 0.69091796875, -0.0, 0.62939453125, -0.0, -1.599609375], dtype=torch.float64).to(torch.float16).reshape((8,)).to('cpu')
    p2.grad = torch.tensor([-2.872943878173828e-05, 0.58447265625, -1.00390625, -0.351318359375, 0.0309295654296875, 0.0, 0.0], dtype=torch.float64).to(torch.float16).reshape((7,)).to('cpu')
    optimizer.step()
    found = torch.as_tensor(p0).detach()
    return found.reshape(-1)[0].double().item()


due, allowance = plain(), 0.5134171210229397
got = other()
print("got  ", got)
print("due  ", due, " allowance", allowance)
sys.exit(0 if abs(got - due) <= allowance or (got != got and due != due) else 1)
