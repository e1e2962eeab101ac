"""Right optimizers that clip their update by its root mean square, each in a form that the field does not use."""

import math

from _sound_published import WithBetas


class StableAdamWByWeights(WithBetas):
    """The new gradient's weight is that of an unbiased average, and the clip is in the divisor."""

    states = ("exp_avg", "exp_avg_sq")
    decay = "own"

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.01, maximize=False):
        super().__init__(params, lr, betas, eps, weight_decay, maximize)

    def move(self, p, g, m, s, t, lr, state, group):
        for average, new, beta in ((m, g, group["betas"][0]), (s, g * g, group["betas"][1])):
            average.lerp_(new, (1 - beta) / (1 - beta**t))
        size = g / s.sqrt().clamp(min=group["eps"])
        clip = (size.norm() / math.sqrt(max(size.numel(), 1)) / group.get("clip_threshold", 1)).clamp(min=1)
        p.sub_(lr * (m / (s.sqrt() + group["eps"]) + group["weight_decay"] * p) / clip)


class StableAdamWThreshold(StableAdamWByWeights):
    """The same with the threshold of the authors' code."""

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.01, clip_threshold=1.0, maximize=False
    ):
        if clip_threshold == 0:
            raise ValueError("clip_threshold must be above 0")
        WithBetas.__init__(self, params, lr, betas, eps, weight_decay, maximize, clip_threshold=clip_threshold)


class AdamWClipped(WithBetas):
    """The root is taken before the mean square is compared, and the rate of the tensor is a Python number."""

    states = ("exp_avg", "exp_avg_sq")
    decay = "decoupled"

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, clipping_threshold=1.0, maximize=False
    ):
        if clipping_threshold == 0:
            raise ValueError("clipping_threshold must be above 0")
        super().__init__(params, lr, betas, eps, weight_decay, maximize, clipping_threshold=clipping_threshold)

    def move(self, p, g, m, s, t, lr, state, group):
        b1, b2 = group["betas"]
        m.mul_(b1).add_(g, alpha=1 - b1)
        s.mul_(b2).addcmul_(g, g, value=1 - b2)
        divisor = s.sqrt() / math.sqrt(1 - b2**t) + group["eps"]
        if p.numel():
            rms = (g / divisor).square().mean().sqrt().item()
            p.addcdiv_(m, divisor, value=-lr / (1 - b1**t) / max(1.0, rms / group["clipping_threshold"]))
