"""rule.layouts on float32, fused: torch.optim.Adagrad against rule adagrad.

after step 1, parameter 0, element 1: sum is not what rule adagrad gives
exact       0   got 2.71053505e-05   error 2.7e-05 = 4.84e+39 × allowance
first wrong quantity: sum
smallest    build [0 transposed] with lr=1, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1; step(grad=pool[500:])
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').Adagrad

torch.set_num_threads(1)
dtype = torch.float32
p0 = torch.full((5, 7), 0.0, dtype=torch.float64).to(torch.float32).mT.contiguous().mT.to('cpu').detach().requires_grad_(True)
optimizer = Optimizer([p0], lr=1.0, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1.0, maximize=False, foreach=False, fused=True)
p0.grad = torch.tensor([0.7509466409683228, 0.0, 3.5, -0.016366105526685715, -0.9486697912216187, -0.005206279922276735, 0.2308604121208191, -1.9445236921310425, -981.12109375, 0.017622360959649086, 0.004598858766257763, -2.938412535513635e-06, -10.668488502502441, -7.752385405241442e-16, -0.7493114471435547, -1.1648671627044678, 1.8535246849060059, -0.4261678457260132, 0.001649446552619338, -0.39334240555763245, -0.02055613324046135, 12.864392280578613, -0.21304096281528473, -627047530496.0, -0.43472054600715637, 1.1266132593154907, -1.4765221390319616e+17, 0.38881412148475647, -6.0, 1.7435617446899414, 1.3856617212295532, -3.502997636795044, 4232029440.0, 0.8803569078445435, -2.3566198348999023], dtype=torch.float64).to(torch.float32).reshape((5, 7)).to('cpu')
optimizer.step()
found = torch.as_tensor(optimizer.state[p0]['sum']).detach()
got = found.reshape(-1)[1].double().item()
exact, allowance = 0.0, 5.605193857299268e-45
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
