"""rule.step on float32, foreach: torch.optim.RAdam against rule radam.

after step 1, parameter 0, element 0: the parameter is not what rule radam gives
exact       0   got nan   error nan = beyond any allowance
first wrong quantity: the parameter (exp_avg, exp_avg_sq agree)
smallest    build [0] with lr=1, beta1=0, beta2=0, eps=0, weight_decay=0; step(grad=-0)
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').RAdam

torch.set_num_threads(1)
dtype = torch.float32
p0 = torch.tensor([0.0], dtype=torch.float64).to(dtype).reshape((1,)).to('cpu').detach().requires_grad_(True)
optimizer = Optimizer([p0], lr=1.0, betas=(0.0, 0.0), eps=0.0, weight_decay=0.0, decoupled_weight_decay=False, maximize=False, foreach=True)
p0.grad = torch.tensor([-0.0], dtype=torch.float64).to(dtype).reshape((1,)).to('cpu')
optimizer.step()
found = torch.as_tensor(p0).detach()
got = found.reshape(-1)[0].double().item()
exact, allowance = 0.0, 2.24207754291971e-44
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
