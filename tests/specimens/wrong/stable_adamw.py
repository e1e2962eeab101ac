"""Wrong StableAdamWs, and wrong AdamWs with update clipping: every class overrides the piece that it gets wrong."""

import torch
from _faithful_published import WithBetas


class _StableAdamW(WithBetas):
    """The right one."""

    states = ("exp_avg", "exp_avg_sq")
    coupled = False

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.01):
        super().__init__(params, lr, betas, eps, weight_decay)

    def beta(self, beta, t):
        return beta * (1 - beta ** (t - 1)) / (1 - beta**t)

    def ratio(self, g, s, eps):
        return g.square() / s.clamp(min=eps**2)

    def clip(self, g, s, eps):
        return self.ratio(g, s, eps).mean().sqrt().clamp(min=1)

    def update(self, p, g, m, s, t, lr, state, group):
        b1, b2 = (self.beta(beta, t) for beta in group["betas"])
        m.mul_(b1).add_(g, alpha=1 - b1)
        s.mul_(b2).addcmul_(g, g, value=1 - b2)
        self.shift(p, g, m, s, lr, group)

    def shift(self, p, g, m, s, lr, group):
        lr = lr / self.clip(g, s, group["eps"])
        p.sub_(lr * group["weight_decay"] * p + lr * m / (s.sqrt() + group["eps"]))


class DecayNotClipped(_StableAdamW):
    """The decay does not fall with the rate."""

    def shift(self, p, g, m, s, lr, group):
        p.mul_(1 - lr * group["weight_decay"])
        p.sub_(lr / self.clip(g, s, group["eps"]) * m / (s.sqrt() + group["eps"]))


class ClippedByElement(_StableAdamW):
    """Every element is clipped by its own ratio."""

    def clip(self, g, s, eps):
        return self.ratio(g, s, eps).sqrt().clamp(min=1)


class NormNotMean(_StableAdamW):
    """The ratios are added up, and not averaged."""

    def clip(self, g, s, eps):
        return self.ratio(g, s, eps).sum().sqrt().clamp(min=1)


class RateRaised(_StableAdamW):
    """The rate is raised where the root mean square is below one."""

    def clip(self, g, s, eps):
        return self.ratio(g, s, eps).mean().sqrt()


class ClippedByOldMoment(_StableAdamW):
    """The ratio is taken to the second moment before this step."""

    def update(self, p, g, m, s, t, lr, state, group):
        self.old = s.clone()
        super().update(p, g, m, s, t, lr, state, group)

    def ratio(self, g, s, eps):
        return super().ratio(g, self.old, eps)


class EpsNotSquared(_StableAdamW):
    """Epsilon, and not its square, is the least second moment of the ratio."""

    def ratio(self, g, s, eps):
        return g.square() / s.clamp(min=eps)


class BetasNotCorrected(_StableAdamW):
    """The averages keep their bias, and nothing corrects it."""

    def beta(self, beta, t):
        return beta


class ClippedByAll(_StableAdamW):
    """The mean square is that of all parameters so far."""

    def clip(self, g, s, eps):
        known = self.__dict__.setdefault("known", {})
        known[s.data_ptr()] = self.ratio(g, s, eps).reshape(-1)
        return torch.cat([x.to(g.dtype) for x in known.values()]).mean().sqrt().clamp(min=1)


class _AdamWClipped(WithBetas):
    """The right one."""

    states = ("exp_avg", "exp_avg_sq")
    coupled = False

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, clip_threshold=1.0):
        super().__init__(params, lr, betas, eps, weight_decay, clip_threshold=clip_threshold)

    def clip(self, g, m, divisor, group):
        return ((g / divisor).square().mean().sqrt() / group["clip_threshold"]).clamp(min=1)

    def update(self, p, g, m, s, t, lr, state, group):
        b1, b2 = group["betas"]
        m.mul_(b1).add_(g, alpha=1 - b1)
        s.mul_(b2).addcmul_(g, g, value=1 - b2)
        divisor = (s / (1 - b2**t)).sqrt() + group["eps"]
        clip = self.clip(g, m / (1 - b1**t), divisor, group)
        self.shrink(p, lr * group["weight_decay"], clip)
        p.sub_(lr / clip * m / (1 - b1**t) / divisor)

    def shrink(self, p, decay, clip):
        p.mul_(1 - decay)


class DecayClippedToo(_AdamWClipped):
    """The decay falls with the rate."""

    def shrink(self, p, decay, clip):
        p.mul_(1 - decay / clip)


class RootMissing(_AdamWClipped):
    """The mean square is taken, and not its root."""

    def clip(self, g, m, divisor, group):
        return ((g / divisor).square().mean() / group["clip_threshold"]).clamp(min=1)


class ClippedByStep(_AdamWClipped):
    """The root mean square is that of the step, whose momentum smooths it, and not that of the gradient."""

    def clip(self, g, m, divisor, group):
        return super().clip(m, m, divisor, group)
