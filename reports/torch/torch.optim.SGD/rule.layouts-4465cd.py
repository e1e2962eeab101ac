"""rule.layouts on bfloat16, fused: torch.optim.SGD against rule sgd.

after step 1, parameter 0, element 22: momentum_buffer is not what rule sgd gives
exact       -0.212890625   got 5.78125   error 6 = 1.8e+03 × allowance
first wrong quantity: momentum_buffer
smallest    build [tensor(5, 7) transposed] with lr=1, momentum=1, dampening=0, weight_decay=1; step(grad=pool[500:])
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').SGD

torch.set_num_threads(1)
dtype = torch.bfloat16
p0 = torch.tensor([-0.9375, 0.38671875, 0.640625, 0.6171875, 14.0625, -0.099609375, -0.314453125, -9.09171411964113e-39, -0.25, 0.061279296875, -0.00836181640625, 1.0, 2.46875, 1.125, -0.337890625, -24.0, 0.7109375, -0.47265625, 6.0, 0.083984375, 13.0, -0.06591796875, -5.0509522886895166e-39, -0.10791015625, -1.609375, 0.34375, 2.7398527890909463e-11, 1.0859375, 3.397913357845675e-39, 4.0, 0.67578125, 1.0078125, -12.0, -3.21875, 0.0], dtype=torch.float64).to(dtype).reshape((5, 7)).mT.contiguous().mT.to('cpu').detach().requires_grad_(True)
optimizer = Optimizer([p0], lr=1.0, momentum=1.0, dampening=0.0, weight_decay=1.0, nesterov=False, maximize=False, foreach=False, fused=True)
p0.grad = torch.tensor([0.75, 0.0, 3.5, -0.016357421875, -0.94921875, -0.005218505859375, 0.23046875, -1.9453125, -980.0, 0.017578125, 0.004608154296875, -2.9355287551879883e-06, -10.6875, -7.73686670285656e-16, -0.75, -1.1640625, 1.8515625, -0.42578125, 0.00164794921875, -0.392578125, -0.0205078125, 12.875, -0.212890625, -627065225216.0, -0.435546875, 1.125, -1.4749288779638374e+17, 0.388671875, -6.0, 1.7421875, 1.3828125, -3.5, 4227858432.0, 0.87890625, -2.359375], dtype=torch.float64).to(dtype).reshape((5, 7)).to('cpu')
optimizer.step()
found = torch.as_tensor(optimizer.state[p0]['momentum_buffer']).detach()
got = found.reshape(-1)[22].double().item()
exact, allowance = -0.212890625, 0.003326416015625
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
