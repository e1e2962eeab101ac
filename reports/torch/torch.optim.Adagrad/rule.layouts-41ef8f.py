"""rule.layouts on float64, fused: torch.optim.Adagrad against rule adagrad.

after step 1, parameter 0, element 31: sum is not what rule adagrad gives
exact       6.01531841e-236   got 0.15471824   error 0.15 = 1.45e+249 × allowance
first wrong quantity: sum
smallest    build [0 transposed] with lr=1, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1; step(grad=pool[500:])
"""
import sys

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').Adagrad

torch.set_num_threads(1)
dtype = torch.float64
p0 = torch.full((5, 7), 0.0, dtype=torch.float64).to(torch.float64).mT.contiguous().mT.to('cpu').detach().requires_grad_(True)
optimizer = Optimizer([p0], lr=1.0, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1.0, maximize=False, foreach=False, fused=True)
p0.grad = torch.tensor([0.7509466304742589, 2.0549341631768964e-95, 1.3516426305690603, -1.0948677928987656, -0.9486697641218297, 0.7223781814984126, -13.8074290348786, -0.02343965473297101, 12.0, -2.5051003270880132e+70, -5.44011658929239e+25, -1.1867339151198582e-47, 1.905456214454193, -0.75, -9.953948628863165e+34, 0.013649745414180204, -1.3029491686588004e+26, -2.822863074952153, -0.5677282381230673, -0.3933423949236708, -0.020556133639577714, 1.0912795859036908, -0.21304096415172669, -0.3650527259532792, 0.581838196559356, 0.004352759208771442, 0.4225483885457312, -6.844045308586954e-107, -0.8409055920662378, 8.012461437539576, -2.8353702024123723e+24, 2.452614607238918e-118, -1.504680609198876, 0.004476507491449324, -0.10232761608865393], dtype=torch.float64).to(torch.float64).reshape((5, 7)).to('cpu')
optimizer.step()
found = torch.as_tensor(optimizer.state[p0]['sum']).detach()
got = found.reshape(-1)[31].double().item()
exact, allowance = 6.015318411641713e-236, 1.0685352001690009e-250
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
