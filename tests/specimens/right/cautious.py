"""Right cautious optimizers, each in a form that the field does not use."""

import torch
from _sound import demand
from _sound_published import Published, WithBetas


class CautiousAdamWBySigns(WithBetas):
    """Signs are compared, and what is not aligned is left out by a condition."""

    states = ("exp_avg", "exp_avg_sq")
    decay = "decoupled"

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, maximize=False, **more):
        super().__init__(params, lr, betas, eps, weight_decay, maximize, **more)

    def move(self, p, g, m, s, t, lr, state, group):
        b1, b2 = group["betas"]
        m.lerp_(g, 1 - b1)
        s.mul_(b2).addcmul_(g, g, value=1 - b2)
        step = m / ((s / (1 - b2**t)).sqrt() + group["eps"])
        aligned = (torch.sign(m) == torch.sign(g)) & (g != 0)
        self.shift(p, step, aligned, lr / (1 - b1**t), group)

    def shift(self, p, step, aligned, lr, group):
        scale = aligned.numel() / (int(aligned.count_nonzero()) + 1)
        p.copy_(torch.where(aligned, p - lr * scale * step, p))


class CautiousAdamWMean(CautiousAdamWBySigns):
    """The weights of the mask are divided by their own mean, in the rate."""

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, cautious_factor=0.0, mask_floor=1e-3,
        maximize=False,
    ):  # fmt: skip
        demand(1, cautious_factor=cautious_factor)
        if mask_floor == 0:
            raise ValueError("mask_floor must be above 0")
        more = dict(cautious_factor=cautious_factor, mask_floor=mask_floor)
        super().__init__(params, lr, betas, eps, weight_decay, maximize, **more)

    def shift(self, p, step, aligned, lr, group):
        weight = torch.where(aligned, 1.0, group["cautious_factor"]).to(p.dtype)
        p.addcmul_(step, weight / weight.mean().clamp(min=group["mask_floor"]), value=-lr)


class CautiousLion(Published):
    """The product with the interpolation, and not with its sign, says what is aligned."""

    states = ("exp_avg",)
    decay = "decoupled"

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, maximize=False):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize))

    def move(self, p, g, m, t, lr, state, group):
        b1, b2 = group["betas"]
        c = b1 * m + (1 - b1) * g
        p.sub_(lr * self.scaled(c * g > 0, g) * torch.sign(c))
        m.mul_(b2).add_(g, alpha=1 - b2)

    def scaled(self, aligned, g):
        mask = aligned.to(g.dtype)
        return mask * (mask.numel() / (mask.sum() + 1))


class CautiousLionMean(CautiousLion):
    """The number of aligned elements over that of all."""

    def scaled(self, aligned, g):
        return aligned.to(g.dtype) / max(int(aligned.sum()) / max(aligned.numel(), 1), 1e-3)
