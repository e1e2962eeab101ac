"""rule.layouts on float64, fused: torch.optim.Adam against rule adam.

after step 1, parameter 0, element 31: exp_avg is not what rule adam gives
exact       2.45261461e-118   got -0.393342395   error 0.39 = 7.22e+131 × allowance
first wrong quantity: exp_avg
smallest    build [tensor(5, 7) transposed] with lr=1, beta1=0, beta2=0, eps=1, weight_decay=0; step(grad=pool[500:])
"""

import importlib
import sys

import torch

sys.path.insert(0, "")
Optimizer = importlib.import_module("torch.optim").Adam

torch.set_num_threads(1)
dtype = torch.float64
p0 = (
    torch.tensor(
        [
            6.160697928842658e-119,
            -5.5480687961023436e-52,
            13.725264656859798,
            0.0,
            -1.1123176131652146,
            -0.09975257719900103,
            -0.6269708771513897,
            -1.6185834496399586e-31,
            1.2394567624470452,
            -1.8267241509278842,
            -4.2936396668315355e-74,
            0.005726363694274688,
            5.491175457991662e56,
            1.1285395627327013,
            -0.33715666861111865,
            0.005155143054114347,
            0.7112386281068188,
            -0.4724569904666384,
            -9.94497024139729,
            0.05006137066629155,
            3.0,
            0.25,
            0.010082166314337978,
            0.42776015799059947,
            -10.0,
            -4.302178668378693e-138,
            2.51605965988957e-89,
            1.3073431186204225e-29,
            0.04969494626065715,
            -0.7389206275511693,
            1.5326363347485894,
            -0.010642542591722834,
            -0.029913540468107198,
            6.223212914563409e-128,
            -0.0,
        ],
        dtype=torch.float64,
    )
    .to(dtype)
    .reshape((5, 7))
    .mT.contiguous()
    .mT.to("cpu")
    .detach()
    .requires_grad_(True)
)
optimizer = Optimizer(
    [p0],
    lr=1.0,
    betas=(0.0, 0.0),
    eps=1.0,
    weight_decay=0.0,
    amsgrad=False,
    decoupled_weight_decay=False,
    maximize=False,
    foreach=False,
    fused=True,
)
p0.grad = (
    torch.tensor(
        [
            0.7509466304742589,
            2.0549341631768964e-95,
            1.3516426305690603,
            -1.0948677928987656,
            -0.9486697641218297,
            0.7223781814984126,
            -13.8074290348786,
            -0.02343965473297101,
            12.0,
            -2.5051003270880132e70,
            -5.44011658929239e25,
            -1.1867339151198582e-47,
            1.905456214454193,
            -0.75,
            -9.953948628863165e34,
            0.013649745414180204,
            -1.3029491686588004e26,
            -2.822863074952153,
            -0.5677282381230673,
            -0.3933423949236708,
            -0.020556133639577714,
            1.0912795859036908,
            -0.21304096415172669,
            -0.3650527259532792,
            0.581838196559356,
            0.004352759208771442,
            0.4225483885457312,
            -6.844045308586954e-107,
            -0.8409055920662378,
            8.012461437539576,
            -2.8353702024123723e24,
            2.452614607238918e-118,
            -1.504680609198876,
            0.004476507491449324,
            -0.10232761608865393,
        ],
        dtype=torch.float64,
    )
    .to(dtype)
    .reshape((5, 7))
    .to("cpu")
)
optimizer.step()
found = torch.as_tensor(optimizer.state[p0]["exp_avg"]).detach()
got = found.reshape(-1)[31].double().item()
exact, allowance = 2.452614607238918e-118, 5.4458984149772644e-133
print("got  ", got)
print("exact", exact, " allowance", allowance)
sys.exit(0 if abs(got - exact) <= allowance else 1)
