"""What the right specimens beside this file have in common; each does its own arithmetic and bookkeeping.

Imported by its own name, for a specimen is loaded from its file and its folder is on the path.
"""

import math
import numbers

import torch


def real(x):
    return torch.view_as_real(x) if x.is_complex() else x


def demand(below=math.inf, **values):
    """Every value is a number from zero to below a limit."""
    for name, value in values.items():
        number = value.item() if isinstance(value, torch.Tensor) and value.numel() == 1 else value
        if not isinstance(number, numbers.Real) or not 0 <= number < below:
            raise ValueError(f"{name} must be a number from 0 to below {below}, and is {value!r}")


def demand_betas(betas):
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise ValueError(f"betas must be two numbers, and is {betas!r}")
    demand(1, **{"betas[0]": betas[0], "betas[1]": betas[1]})


def demand_all(defaults):
    """Every number among the arguments of a known optimizer is in its domain."""
    known = {k: v for k, v in defaults.items() if not isinstance(v, bool)}
    for name, value in known.items():
        if name == "betas":
            demand_betas(value)
        elif name == "etas":
            demand(1, **{"etas[0]": value[0]})
            demand(**{"etas[1] - 1": value[1] - 1})
            if value[0] == 0 or value[1] == 1:
                raise ValueError(f"etas must be below and above 1, and are {value}")
        elif name == "step_sizes":
            demand(**{"step_sizes[0]": value[0], "step_sizes[1]": value[1]})
            if value[1] == 0:
                raise ValueError("the largest step size must not be 0")
        elif name in ("b1", "b2", "rho"):
            demand(1, **{name: value})
        elif name == "alpha" and "lambd" not in known and "eps" in known:
            demand(1, alpha=value)
        else:
            demand(**{name: value})


class Sound(torch.optim.Optimizer):
    """The loop over parameters; every class says in ``update`` how one of them moves."""

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.grad.is_sparse:
                    raise RuntimeError(f"{type(self).__name__} does not support sparse gradients")
                self.update(p, p.grad, self.state[p], group)
        return loss


class SoundSGD(Sound):
    """Arguments of SGD, checked."""

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
        demand(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay)
        super().__init__(params, dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay))


class SoundAdam(Sound):
    """Arguments of Adam, checked."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        demand(lr=lr, eps=eps, weight_decay=weight_decay)
        demand_betas(betas)
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))


def sgd(p, g, state, group):
    """Move p, and the momentum buffer in the state."""
    if group["weight_decay"]:
        g = g + group["weight_decay"] * p
    if group["momentum"]:
        if "momentum_buffer" in state:
            state["momentum_buffer"].mul_(group["momentum"]).add_(g, alpha=1 - group["dampening"])
        else:
            state["momentum_buffer"] = torch.clone(g)
        g = state["momentum_buffer"]
    p.sub_(float(group["lr"]) * g)


def adam(p, g, m, v, t, group):
    """Move p, m and v."""
    p, g, m, v, (b1, b2) = real(p), real(g), real(m), real(v), group["betas"]
    g = g.add(p, alpha=group["weight_decay"])
    m.lerp_(g, 1 - b1)
    v.mul_(b2).addcmul_(g, g, value=1 - b2)
    p.addcdiv_(m, v.sqrt().div_((1 - b2**t) ** 0.5).add_(group["eps"]), value=-float(group["lr"]) / (1 - b1**t))
