"""Right ADOPT, MADGRAD and Schedule-Free, each in a form that its authors do not use."""

import torch
from _sound import real
from _sound_published import Published, WithBetas


class AdoptDivisor(WithBetas):
    """ADOPT that keeps the root it will divide by, squared, and skips the first step by a branch."""

    states = ("exp_avg", "exp_avg_sq")

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.9999), eps=1e-6, weight_decay=0.0, decoupled_weight_decay=False,
        maximize=False,
    ):  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, maximize, decoupled_weight_decay=decoupled_weight_decay
        )  # fmt: skip

    def move(self, p, g, m, v, t, lr, state, group):
        if t == 1:
            v.copy_(g * g)
            return
        b1, b2 = group["betas"]
        self.average(m, self.clipped(g / torch.sqrt(v).clamp(min=group["eps"]), t), t, b1)
        p.sub_(lr * m)
        v.mul_(b2).add_((1 - b2) * g * g)

    def clipped(self, normalised, t):
        return normalised

    def average(self, m, normalised, t, b1):
        m.copy_(normalised if t == 2 else b1 * m + (1 - b1) * normalised)


class AdoptRenamed(AdoptDivisor):
    """The same with other names for its state."""

    states = ("m", "v")


class AdoptClipped(AdoptDivisor):
    """ADOPT that clips by minimum and maximum."""

    def clipped(self, normalised, t):
        most = torch.full_like(normalised, (t - 1) ** 0.25)
        return torch.maximum(torch.minimum(normalised, most), -most)

    def average(self, m, normalised, t, b1):
        m.lerp_(normalised, 1 - b1)


class MadgradCubeRoot(Published):
    """MADGRAD with the start in its state from the first step on, and the cube root as a power."""

    states = ("s", "grad_sum_sq")
    shifted = False

    def __init__(
        self, params, lr=1e-2, momentum=0.9, eps=1e-6, weight_decay=0.0, decoupled_weight_decay=False, maximize=False
    ):
        defaults = dict(lr=lr, momentum=momentum, eps=eps, weight_decay=weight_decay)
        super().__init__(params, defaults | dict(decoupled_weight_decay=decoupled_weight_decay, maximize=maximize))

    def update(self, p, g, state, group):
        if group["decoupled_weight_decay"] and group["weight_decay"]:
            lr = float(group["lr"]) + (group["eps"] if self.shifted else 0)
            before, group = p.clone(), group | {"weight_decay": 0.0}
            super().update(p, g, state, group)
            p.sub_(lr * self.param_groups[self.number(p)]["weight_decay"] * before)
        else:
            super().update(p, g, state, group)

    def start(self, p, state, group):
        state["x0"] = None

    def number(self, p):
        return next(i for i, group in enumerate(self.param_groups) if any(p is q for q in group["params"]))

    def move(self, p, g, s, squares, t, lr, state, group):
        eps, momentum = group["eps"], group["momentum"]
        weight = (lr + eps if self.shifted else lr) * t**0.5
        if t == 1:
            start = p.clone()
        elif momentum and state["x0"] is not None:
            start = real(state["x0"])
        else:
            start = p + s / (self.root(squares) + eps)
        if momentum and state["x0"] is None:
            state["x0"] = start.clone()
        s.add_(g, alpha=weight)
        squares.add_(g * g, alpha=weight)
        z = start - s / (self.root(squares) + eps)
        p.lerp_(z, 1 - momentum)

    def root(self, squares):
        return squares ** (1 / 3)


class MadgradShifted(MadgradCubeRoot):
    """MADGRAD of the authors' code, whose cube root is that of a wider dtype."""

    shifted = True

    def root(self, squares):
        return squares.double().pow(1 / 3).to(squares.dtype)


class _Averaging(Published):
    decay = "own"

    def start(self, p, state, group):
        state["z"] = p.clone()
        state["lr_max"] = state["weight_sum"] = 0.0

    def average(self, p, direction, t, lr, beta, state, group):
        state["lr_max"] = max(state["lr_max"], lr)
        weight = t ** group["r"] * state["lr_max"] ** group["weight_lr_power"]
        state["weight_sum"] += weight
        share = weight / state["weight_sum"] if state["weight_sum"] else 0.0
        z = real(state["z"])
        p.add_(share * (z - p)).sub_(lr * (1 - beta * (1 - share)) * direction)
        z.sub_(lr * direction)


class ScheduleFreeSGDDrawn(_Averaging):
    """Schedule-Free SGD that is drawn to z, and moved by what beta leaves of the step."""

    positive = ("momentum",)

    def __init__(self, params, lr=1.0, momentum=0.9, weight_decay=0.0, r=0.0, weight_lr_power=2.0, maximize=False):
        defaults = dict(lr=lr, momentum=momentum, weight_decay=weight_decay, r=r, weight_lr_power=weight_lr_power)
        super().__init__(params, defaults | dict(maximize=maximize))

    def move(self, p, g, t, lr, state, group):
        direction = g + group["weight_decay"] * p
        self.average(p, direction, t, lr, group["momentum"], state, group)


class ScheduleFreeAdamWDrawn(_Averaging, WithBetas):
    """Schedule-Free AdamW likewise."""

    states = ("exp_avg_sq",)

    def __init__(
        self, params, lr=2.5e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, r=0.0, weight_lr_power=2.0,
        maximize=False,
    ):  # fmt: skip
        if betas[0] == 0:
            raise ValueError("betas[0] must be above 0")
        super().__init__(params, lr, betas, eps, weight_decay, maximize, r=r, weight_lr_power=weight_lr_power)

    def move(self, p, g, v, t, lr, state, group):
        b1, b2 = group["betas"]
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        lr, root = self.scaled(lr, v, t, b2)
        direction = group["weight_decay"] * p + g / (root + group["eps"])
        self.average(p, direction, t, lr, b1, state, group)

    def scaled(self, lr, v, t, b2):
        return lr, v.sqrt() / (1 - b2**t) ** 0.5


class ScheduleFreeAdamWScaled(ScheduleFreeAdamWDrawn):
    """Schedule-Free AdamW with the correction in the rate."""

    def scaled(self, lr, v, t, b2):
        return lr * (1 - b2**t) ** 0.5, v.sqrt()
