"""Wrong cautious optimizers: every class overrides the piece that it gets wrong."""

import torch
from _faithful_published import Published, WithBetas


class _CautiousAdamW(WithBetas):
    """The right one."""

    states = ("exp_avg", "exp_avg_sq")
    coupled = False

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(params, lr, betas, eps, weight_decay)

    def update(self, p, g, m, s, t, lr, state, group):
        b1, b2 = group["betas"]
        self.old = m.clone()
        m.mul_(b1).add_(g, alpha=1 - b1)
        s.mul_(b2).addcmul_(g, g, value=1 - b2)
        step = m / (1 - b1**t) / ((s / (1 - b2**t)).sqrt() + group["eps"])
        mask = self.scaled(self.aligned(m, g).to(g.dtype))
        self.shift(p, mask, step, lr, group)

    def aligned(self, m, g):
        return m * g > 0

    def scaled(self, mask):
        return mask * (mask.numel() / (mask.sum() + 1))

    def shift(self, p, mask, step, lr, group):
        p.mul_(1 - lr * group["weight_decay"])
        p.sub_(lr * mask * step)


class MaskNotScaled(_CautiousAdamW):
    """What is aligned moves as it would without the mask."""

    def scaled(self, mask):
        return mask


class MaskOneMissing(_CautiousAdamW):
    """Nothing is added to the number of aligned elements."""

    def scaled(self, mask):
        return mask * (mask.numel() / mask.sum().clamp(min=0.5))


class MaskOfOldAverage(_CautiousAdamW):
    """The average before this step says what is aligned."""

    def aligned(self, m, g):
        return self.old * g > 0


class MaskOfItself(_CautiousAdamW):
    """The average is multiplied by itself, and not by the gradient, to see what is aligned."""

    def aligned(self, m, g):
        return m * m > 0


class MaskTurned(_CautiousAdamW):
    """What is not aligned moves, and the rest stays."""

    def aligned(self, m, g):
        return m * g < 0


class DecayMasked(_CautiousAdamW):
    """The decay is masked with the step."""

    def shift(self, p, mask, step, lr, group):
        p.sub_(lr * mask * (step + group["weight_decay"] * p))


class _CautiousAdamWMean(_CautiousAdamW):
    """The right one."""

    def scaled(self, mask):
        return mask / mask.mean().clamp(min=1e-3)


class FloorMissing(_CautiousAdamWMean):
    """Where nothing is aligned zero is divided by zero."""

    def scaled(self, mask):
        return mask / mask.mean()


class DividedBySum(_CautiousAdamWMean):
    """The sum of the mask stands for its mean."""

    def scaled(self, mask):
        return mask / mask.sum().clamp(min=1e-3)


class DecayScaled(_CautiousAdamWMean):
    """The decay goes further by what others stay, too."""

    def shift(self, p, mask, step, lr, group):
        p.mul_(1 - lr * group["weight_decay"] / mask.ne(0).to(p.dtype).mean().clamp(min=1e-3))
        p.sub_(lr * mask * step)


class _CautiousLion(Published):
    """The right one."""

    states = ("exp_avg",)
    coupled = False

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, lr=lr, betas=betas, weight_decay=weight_decay)

    def update(self, p, g, m, t, lr, state, group):
        b1, b2 = group["betas"]
        c = torch.sign(b1 * m + (1 - b1) * g)
        mask = self.aligned(self.direction(c, m) * g).to(g.dtype)
        p.mul_(1 - lr * group["weight_decay"])
        p.sub_(lr * self.scaled(mask) * c)
        m.mul_(b2).add_(g, alpha=1 - b2)

    def aligned(self, product):
        return product > 0

    def direction(self, c, m):
        return c

    def scaled(self, mask):
        return mask * (mask.numel() / (mask.sum() + 1))


class LionMaskOfMomentum(_CautiousLion):
    """The momentum, and not the interpolation, says what is aligned."""

    def direction(self, c, m):
        return m


class LionMaskNotScaled(_CautiousLion):
    """What is aligned moves as it would without the mask."""

    def scaled(self, mask):
        return mask


class LionZeroIsAligned(_CautiousLion):
    """An element without a gradient counts as aligned."""

    def aligned(self, product):
        return product >= 0
