"""rule.step on complex64, differentiable: torch.optim.Adadelta against rule adadelta.

after step 1, parameter 0, element 1: the parameter is not what rule adadelta gives
exact       1   got nan   error nan = beyond any allowance
first wrong quantity: the parameter
smallest    build [tensor(1,)] with lr=1, rho=0, eps=0, weight_decay=0; step(grad=-0, 1)
"""

import importlib
import sys

import torch

sys.path.insert(0, "")
Optimizer = importlib.import_module("torch.optim").Adadelta

torch.set_num_threads(1)
dtype = torch.complex64
p0 = (
    torch.view_as_complex(torch.tensor([0.0, 1.0], dtype=torch.float64).to(torch.float32).reshape((1, 2)))
    .to("cpu")
    .detach()
    .requires_grad_(True)
)
p0 = p0.clone()
p0.retain_grad()
optimizer = Optimizer(
    [p0], lr=1.0, rho=0.0, eps=0.0, weight_decay=0.0, maximize=False, foreach=False, differentiable=True
)
p0.grad = torch.view_as_complex(torch.tensor([-0.0, 1.0], dtype=torch.float64).to(torch.float32).reshape((1, 2))).to(
    "cpu"
)
optimizer.step()
found = torch.as_tensor(p0).detach()
found = torch.view_as_real(found.resolve_conj()) if found.is_complex() else found
got = found.reshape(-1)[1].double().item()
exact, allowance = 1.0, 2.3841857910156255e-07
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
