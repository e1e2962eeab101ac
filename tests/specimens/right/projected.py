"""Right SGDP and AdamP, each in a form that the field does not use."""

import torch
from _sound import demand
from _sound_published import Published, WithBetas


def projected(p, g, step, group):
    """The step without its part along the parameter, and the factor of the decay; views are rows of a matrix."""
    if p.ndim < 2 or not p.numel():
        return step, 1.0
    eps, delta = group["eps"], group["delta"]
    for shape in ((p.shape[0], -1), (1, -1)):
        x, y = p.reshape(shape), g.reshape(shape)
        x_norm, y_norm = (torch.linalg.vector_norm(z, dim=1) for z in (x, y))
        cosines = torch.einsum("ij,ij->i", x, y).abs() / x_norm.clamp(min=eps) / y_norm.clamp(min=eps)
        if bool((cosines * x.shape[1] ** 0.5 < delta).all()):
            along = torch.einsum("ij,ij->i", x, step.reshape(shape)) / (x_norm + eps)
            return step - (x * (along / (x_norm + eps))[:, None]).reshape(step.shape), group["wd_ratio"]
    return step, 1.0


class AdamPByRows(WithBetas):
    """The projection is taken of the bias-corrected step, with one division by the norm for the sum and one for p."""

    states = ("exp_avg", "exp_avg_sq")
    decay = "own"

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, delta=0.1, wd_ratio=0.1, nesterov=False,
        maximize=False,
    ):  # fmt: skip
        demand(delta=delta, wd_ratio=wd_ratio)
        more = dict(delta=delta, wd_ratio=wd_ratio, nesterov=nesterov)
        super().__init__(params, lr, betas, eps, weight_decay, maximize, **more)

    def move(self, p, g, m, s, t, lr, state, group):
        b1, b2 = group["betas"]
        m.lerp_(g, 1 - b1)
        s.mul_(b2).addcmul_(g, g, value=1 - b2)
        ahead = torch.lerp(m, g, 1 - b1) if group["nesterov"] else m
        step = ahead / (1 - b1**t) / ((s / (1 - b2**t)).sqrt() + group["eps"])
        step, ratio = projected(p, g, step, group)
        p.mul_(1 - lr * group["weight_decay"] * ratio).sub_(step, alpha=lr)


class SGDPByRows(Published):
    """The decay is subtracted, and not multiplied."""

    states = ("momentum",)
    decay = "own"

    def __init__(
        self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, eps=1e-8, delta=0.1,
        wd_ratio=0.1, maximize=False,
    ):  # fmt: skip
        demand(1, momentum=momentum, dampening=dampening)
        defaults = dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov)
        super().__init__(params, defaults | dict(eps=eps, delta=delta, wd_ratio=wd_ratio, maximize=maximize))

    def move(self, p, g, b, t, lr, state, group):
        b.copy_(group["momentum"] * b + (1 - group["dampening"]) * g)
        step = g + group["momentum"] * b if group["nesterov"] else b.clone()
        step, ratio = projected(p, g, step, group)
        p.sub_(lr * (step + group["weight_decay"] / (1 - group["momentum"]) * ratio * p))
