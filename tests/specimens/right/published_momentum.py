"""Right optimizers of momentum's family beyond torch, each in a form that its authors do not use."""

import math

import torch
from _sound import demand
from _sound_published import Published, WithBetas


class SGDWByFactor(Published):
    """SGDW that shrinks the parameter first."""

    decay = "decoupled"

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False):
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("nesterov needs a momentum and no dampening")
        defaults = dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay)
        super().__init__(params, defaults | dict(nesterov=nesterov, maximize=maximize))

    def move(self, p, g, t, lr, state, group):
        momentum, direction = group["momentum"], g
        if momentum:
            direction = self.velocity(g, state, group)
            if group["nesterov"]:
                direction = g + momentum * direction
        p.sub_(lr * direction)

    def velocity(self, g, state, group):
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = g.clone()
        else:
            state["momentum_buffer"].mul_(group["momentum"]).add_(g, alpha=1 - group["dampening"])
        return state["momentum_buffer"]


class SGDWScheduled(Published):
    """SGDW of the paper, with a velocity that points downhill."""

    states = ("velocity",)
    decay = "own"

    def __init__(self, params, lr=1e-3, schedule=1.0, momentum=0.0, weight_decay=0.0, maximize=False):
        defaults = dict(lr=lr, schedule=schedule, momentum=momentum, weight_decay=weight_decay)
        super().__init__(params, defaults | dict(maximize=maximize))

    def move(self, p, g, velocity, t, lr, state, group):
        schedule = group["schedule"]
        velocity.mul_(group["momentum"]).add_(g, alpha=schedule * lr)
        p.copy_(p - velocity - schedule * group["weight_decay"] * p)


class AggMoStacked(Published):
    """AggMo with its three buffers in one tensor, and the mean taken along it."""

    def __init__(self, params, lr=1e-3, betas=(0.0, 0.9, 0.99), weight_decay=0.0, maximize=False):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize))

    def move(self, p, g, t, lr, state, group):
        buffers = state.setdefault("buffers", torch.zeros((3, *g.shape), dtype=g.dtype))
        betas = torch.tensor(group["betas"], dtype=g.dtype).reshape(3, *[1] * g.ndim)
        buffers.mul_(betas).add_(g)
        p.sub_(lr * buffers.mean(0))


class AggMoThree(AggMoStacked):
    """AggMo with three buffers of their own names."""

    states = ("momentum_buffer1", "momentum_buffer2", "momentum_buffer3")

    def move(self, p, g, b1, b2, b3, t, lr, state, group):
        for beta, buffer in zip(group["betas"], (b1, b2, b3), strict=True):
            buffer.mul_(beta).add_(g)
        p.sub_(lr / 3 * (b1 + b2 + b3))


class QHMLerp(Published):
    """QHM by two lerps."""

    states = ("momentum_buffer",)

    def __init__(
        self, params, lr=1e-3, momentum=0.999, nu=0.7, weight_decay=0.0, decoupled_weight_decay=False, maximize=False
    ):
        defaults = dict(lr=lr, momentum=momentum, nu=nu, weight_decay=weight_decay)
        super().__init__(params, defaults | dict(decoupled_weight_decay=decoupled_weight_decay, maximize=maximize))

    def move(self, p, g, buffer, t, lr, state, group):
        buffer.lerp_(g, 1 - group["momentum"])
        p.sub_(lr * torch.lerp(g, buffer, group["nu"]))


class QHMRenamed(QHMLerp):
    """The same with another name for its state."""

    states = ("average",)


class TigerWhere(Published):
    """Tiger by torch.where."""

    states = ("exp_avg",)
    decay = "decoupled"

    def __init__(self, params, lr=1e-3, beta=0.965, weight_decay=0.0, maximize=False):
        super().__init__(params, dict(lr=lr, beta=beta, weight_decay=weight_decay, maximize=maximize))

    def move(self, p, g, m, t, lr, state, group):
        m.copy_(group["beta"] * m + (1 - group["beta"]) * g)
        p.copy_(torch.where(m > 0, p - lr, torch.where(m < 0, p + lr, p)))


class AdanAhead(WithBetas):
    """Adan that adds both corrected averages before it divides."""

    states = ("exp_avg", "exp_avg_diff", "exp_avg_sq", "pre_grad")
    decay = "own"

    def __init__(
        self, params, lr=1e-3, betas=(0.98, 0.92, 0.99), eps=1e-8, weight_decay=0.0, no_prox=False, maximize=False
    ):
        super().__init__(params, lr, betas, eps, weight_decay, maximize, no_prox=no_prox)

    def move(self, p, g, m, d, n, previous, t, lr, state, group):
        (b1, b2, b3), decay = group["betas"], lr * group["weight_decay"]
        difference = torch.zeros_like(g) if t == 1 else g - previous
        previous.copy_(g)
        self.average(g, difference, m, d, n, t, b1, b2, b3)
        c1, c2, c3 = self.corrections(t, b1, b2, b3)
        step = lr * (m / c1 + b2 * d / c2) / ((n / c3).sqrt() + group["eps"])
        p.copy_(p * (1 - decay) - step if group["no_prox"] else (p - step) / (1 + decay))

    def average(self, g, difference, m, d, n, t, b1, b2, b3):
        m.mul_(b1).add_(g, alpha=1 - b1)
        d.mul_(b2).add_(difference, alpha=1 - b2)
        n.mul_(b3).add_((1 - b3) * (g + b2 * difference) ** 2)

    def corrections(self, t, b1, b2, b3):
        return 1 - b1**t, 1 - b2**t, 1 - b3**t


class AdanNegated(AdanAhead):
    """Adan whose state has other names, and the gradient before with its sign changed."""

    states = ("mean", "mean_difference", "mean_square", "neg_pre_grad")

    def move(self, p, g, m, d, n, previous, t, lr, state, group):
        turned = previous.neg()
        super().move(p, g, m, d, n, turned, t, lr, state, group)
        previous.copy_(turned.neg())


class AdanPaper(AdanAhead):
    """Adan of the paper, which starts at the first gradient."""

    def average(self, g, difference, m, d, n, t, b1, b2, b3):
        if t == 1:
            m.copy_(g)
            n.copy_(g * g)
        else:
            super().average(g, difference, m, d, n, t, b1, b2, b3)

    def corrections(self, t, b1, b2, b3):
        return 1, 1, 1


class AdEMAMixTwoSteps(WithBetas):
    """AdEMAMix that goes along its fast average first and along its slow one then."""

    states = ("exp_avg", "exp_avg_slow", "exp_avg_sq")
    decay = "decoupled"

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999, 0.9999), alpha=5.0, eps=1e-8, weight_decay=0.0, maximize=False
    ):
        super().__init__(params, lr, betas, eps, weight_decay, maximize, alpha=alpha)

    def move(self, p, g, fast, slow, v, t, lr, state, group):
        (b1, b2, b3), alpha = self.now(t, group)
        fast.lerp_(g, 1 - b1)
        slow.lerp_(g, 1 - b3)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        divisor = v.sqrt() / (1 - b2**t) ** 0.5 + group["eps"]
        p.sub_(lr / (1 - b1**t) * fast / divisor + lr * alpha * slow / divisor)

    def now(self, t, group):
        return group["betas"], group["alpha"]


class AdEMAMixRenamed(AdEMAMixTwoSteps):
    """The same with other names for its state."""

    states = ("recent", "old", "squares")


class AdEMAMixScheduled(AdEMAMixTwoSteps):
    """AdEMAMix whose slow decay comes from half-lives."""

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999, 0.9999), alpha=5.0, alpha_warmup=1, beta3_warmup=1, eps=1e-8,
        weight_decay=0.0, shifted_half_life=False, maximize=False,
    ):  # fmt: skip
        for name, value in (("alpha_warmup", alpha_warmup), ("beta3_warmup", beta3_warmup)):
            demand(**{f"{name} - 1": value - 1})
        if not (betas[0] and betas[2]):
            raise ValueError("betas[0] and betas[2] must be above 0, for they have half-lives")
        more = dict(alpha=alpha, alpha_warmup=alpha_warmup, beta3_warmup=beta3_warmup)
        more["shifted_half_life"] = shifted_half_life
        WithBetas.__init__(self, params, lr, betas, eps, weight_decay, maximize, **more)

    def now(self, t, group):
        b1, b2, b3 = group["betas"]
        alpha, warmup = group["alpha"], group["beta3_warmup"]
        if t < warmup:
            shift = 1e-8 if group["shifted_half_life"] else 0.0
            start, end = (math.log(0.5) / math.log(b + shift) for b in (b1, b3))
            b3 = 0.5 ** (1 / (start + (end - start) * t / warmup))
        return (b1, b2, b3), alpha * min(1.0, t / group["alpha_warmup"])
