"""Wrong optimizers of momentum's family beyond torch: every class says what it does otherwise."""

import math

import torch
from _faithful_published import Published, WithBetas


class _SGDW(Published):
    """The right one."""

    coupled = False

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
        defaults = dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov)
        super().__init__(params, **defaults)

    def update(self, p, g, t, lr, state, group):
        momentum, direction = group["momentum"], g
        shrink = self.shrink(p, lr, group["weight_decay"])
        if momentum:
            old = state.get("momentum_buffer")
            new = g.clone() if old is None else momentum * old + (1 - group["dampening"]) * g
            state["momentum_buffer"] = new
            direction = g + momentum * new if group["nesterov"] else new
        self.shift(p, lr * direction, shrink)

    def shrink(self, p, lr, decay):
        return lr * decay * p

    def shift(self, p, step, shrink):
        p.sub_(shrink).sub_(step)


class DecayWithoutLr(_SGDW):
    """The decay is weight_decay * p, whatever lr is. [F23]"""

    def shrink(self, p, lr, decay):
        return decay * p


class DecayIsConstant(_SGDW):
    """The decay is lr * weight_decay, whatever p is."""

    def shrink(self, p, lr, decay):
        return torch.full_like(p, lr * decay)


class DecayIntoMomentum(_SGDW):
    """The decay is added to the gradient, and momentum repeats it. [F22]"""

    coupled = True

    def shrink(self, p, lr, decay):
        return torch.zeros_like(p)


class _SGDWScheduled(Published):
    """The right one."""

    states = ("velocity",)
    coupled = False

    def __init__(self, params, lr=1e-3, schedule=1.0, momentum=0.0, weight_decay=0.0):
        super().__init__(params, lr=lr, schedule=schedule, momentum=momentum, weight_decay=weight_decay)

    def update(self, p, g, velocity, t, lr, state, group):
        schedule = group["schedule"]
        decay = self.decay(p, lr, schedule, group["weight_decay"])
        velocity.copy_(self.velocity(group["momentum"] * velocity, g, lr, schedule))
        p.sub_(velocity).sub_(decay)

    def decay(self, p, lr, schedule, weight_decay):
        return schedule * weight_decay * p

    def velocity(self, old, g, lr, schedule):
        return old + schedule * lr * g


class DecayTimesLr(_SGDWScheduled):
    """The decay is multiplied by lr too."""

    def decay(self, p, lr, schedule, weight_decay):
        return lr * schedule * weight_decay * p


class DecayUnscheduled(_SGDWScheduled):
    """The schedule does not act on the decay."""

    def decay(self, p, lr, schedule, weight_decay):
        return weight_decay * p


class VelocityUnscheduled(_SGDWScheduled):
    """The schedule does not act on the velocity."""

    def velocity(self, old, g, lr, schedule):
        return old + lr * g


class _AggMo(Published):
    """The right one."""

    states = ("momentum_buffer1", "momentum_buffer2", "momentum_buffer3")

    def __init__(self, params, lr=1e-3, betas=(0.0, 0.9, 0.99), weight_decay=0.0):
        super().__init__(params, lr=lr, betas=betas, weight_decay=weight_decay)

    def update(self, p, g, b1, b2, b3, t, lr, state, group):
        betas = group["betas"]
        for beta, buffer in zip(betas, (b1, b2, b3), strict=True):
            buffer.mul_(beta).add_(g, alpha=self.gain(beta))
        p.sub_(lr / self.number(betas) * (b1 + b2 + b3))

    def gain(self, beta):
        return 1

    def number(self, betas):
        return len(betas)


class BuffersAreAverages(_AggMo):
    """A new gradient enters a buffer with weight 1 - beta."""

    def gain(self, beta):
        return 1 - beta


class BuffersAreSummed(_AggMo):
    """The buffers are added and not averaged."""

    def number(self, betas):
        return 1


class LastBetaForAll(_AggMo):
    """All buffers are damped by the last beta."""

    def update(self, p, g, b1, b2, b3, t, lr, state, group):
        last = dict(group, betas=(group["betas"][2],) * 3)
        super().update(p, g, b1, b2, b3, t, lr, state, last)


class _QHM(Published):
    """The right one."""

    states = ("momentum_buffer",)

    def __init__(self, params, lr=1e-3, momentum=0.999, nu=0.7, weight_decay=0.0):
        super().__init__(params, lr=lr, momentum=momentum, nu=nu, weight_decay=weight_decay)

    def update(self, p, g, buffer, t, lr, state, group):
        momentum, nu = group["momentum"], group["nu"]
        old = buffer.clone()
        buffer.mul_(momentum).add_(g, alpha=self.gain(momentum))
        p.sub_(lr * self.direction(g, buffer, old, nu))

    def gain(self, momentum):
        return 1 - momentum

    def direction(self, g, buffer, old, nu):
        return (1 - nu) * g + nu * buffer


class BufferIsSum(_QHM):
    """The new gradient enters the buffer with its whole weight."""

    def gain(self, momentum):
        return 1


class NuOnGradient(_QHM):
    """nu is the weight of the gradient and not of the buffer."""

    def direction(self, g, buffer, old, nu):
        return nu * g + (1 - nu) * buffer


class BufferOneStepOld(_QHM):
    """The gradient is mixed with the buffer of the step before."""

    def direction(self, g, buffer, old, nu):
        return (1 - nu) * g + nu * old


class _Tiger(Published):
    """The right one."""

    states = ("exp_avg",)
    coupled = False

    def __init__(self, params, lr=1e-3, beta=0.965, weight_decay=0.0):
        super().__init__(params, lr=lr, beta=beta, weight_decay=weight_decay)

    def update(self, p, g, m, t, lr, state, group):
        decay = lr * group["weight_decay"] * p
        old = m.clone()
        m.mul_(group["beta"]).add_(g, alpha=1 - group["beta"])
        p.sub_(decay).sub_(lr * self.direction(m, old, g, group["beta"]))

    def direction(self, m, old, g, beta):
        return torch.sign(m)


class TigerOldAverage(_Tiger):
    """The sign is that of the average before this gradient."""

    def direction(self, m, old, g, beta):
        return torch.sign(old)


class TigerIsLion(_Tiger):
    """The gradient is interpolated once more, as for Lion with both betas the same and the average advanced first."""

    def direction(self, m, old, g, beta):
        return torch.sign(beta * m + (1 - beta) * g)


class TigerZeroIsPositive(_Tiger):
    """The sign of zero is one."""

    def direction(self, m, old, g, beta):
        return torch.where(m >= 0, 1.0, -1.0)


class _Adan(WithBetas):
    """The right one."""

    states = ("exp_avg", "exp_avg_diff", "exp_avg_sq", "pre_grad")
    coupled = False

    def __init__(self, params, lr=1e-3, betas=(0.98, 0.92, 0.99), eps=1e-8, weight_decay=0.0, no_prox=False):
        super().__init__(params, lr, betas, eps, weight_decay, no_prox=no_prox)

    def update(self, p, g, m, d, n, previous, t, lr, state, group):
        (b1, b2, b3), decay = group["betas"], lr * group["weight_decay"]
        difference = self.difference(g, previous, t)
        previous.copy_(g)
        m.mul_(b1).add_(g, alpha=1 - b1)
        d.mul_(b2).add_(difference, alpha=1 - b2)
        n.mul_(b3).add_((1 - b3) * self.ahead(g, difference, b2) ** 2)
        c1, c2, c3 = 1 - b1**t, 1 - b2**t, 1 - b3**t
        step = lr * (m / c1 + self.second(b2) * d / c2) / ((n / c3).sqrt() + group["eps"])
        p.copy_(p * (1 - decay) - step if group["no_prox"] else (p - step) / (1 + decay))

    def difference(self, g, previous, t):
        return torch.zeros_like(g) if t == 1 else g - previous

    def ahead(self, g, difference, b2):
        return g + b2 * difference

    def second(self, b2):
        return b2


class FirstDifferenceIsGradient(_Adan):
    """The gradient before the first is zero, so the first difference is the gradient. [F47]"""

    def difference(self, g, previous, t):
        return g - previous


class DifferenceTurned(_Adan):
    """The difference is taken from the gradient before."""

    def difference(self, g, previous, t):
        return torch.zeros_like(g) if t == 1 else previous - g


class SquareOfGradient(_Adan):
    """The square is that of the gradient and not of its look-ahead."""

    def ahead(self, g, difference, b2):
        return g


class PaperBetasUnturned(_Adan):
    """The paper's 1 - beta2 stands before the differences, though betas are turned round here."""

    def second(self, b2):
        return 1 - b2


class AdanFromZero(_Adan):
    """The averages start at zero, corrected, and not at the first gradient."""


class AdanUncorrected(_Adan):
    """The averages start at zero and nothing corrects them."""

    def update(self, p, g, m, d, n, previous, t, lr, state, group):
        (b1, b2, b3), decay = group["betas"], lr * group["weight_decay"]
        difference = self.difference(g, previous, t)
        previous.copy_(g)
        m.mul_(b1).add_(g, alpha=1 - b1)
        d.mul_(b2).add_(difference, alpha=1 - b2)
        n.mul_(b3).add_((1 - b3) * (g + b2 * difference) ** 2)
        step = lr * (m + b2 * d) / (n.sqrt() + group["eps"])
        p.copy_(p * (1 - decay) - step if group["no_prox"] else (p - step) / (1 + decay))


class _AdEMAMix(WithBetas):
    """The right one."""

    states = ("exp_avg", "exp_avg_slow", "exp_avg_sq")
    coupled = False

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999, 0.9999), alpha=5.0, eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr, betas, eps, weight_decay, alpha=alpha)

    def update(self, p, g, fast, slow, v, t, lr, state, group):
        (b1, b2, b3), alpha = self.now(t, group)
        fast.mul_(b1).add_(g, alpha=1 - b1)
        slow.mul_(b3).add_(g, alpha=1 - b3)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        root = (v / (1 - b2**t)).sqrt() + group["eps"]
        step = lr * self.mixed(fast / (1 - b1**t), slow, alpha, 1 - b3**t) / root
        self.shift(p, step, lr * group["weight_decay"])

    def now(self, t, group):
        return group["betas"], group["alpha"]

    def mixed(self, fast, slow, alpha, correction):
        return fast + alpha * slow

    def shift(self, p, step, decay):
        p.mul_(1 - decay).sub_(step)


class SlowAverageCorrected(_AdEMAMix):
    """The bias of the slow average is corrected."""

    def mixed(self, fast, slow, alpha, correction):
        return fast + alpha * slow / correction


class MixtureIsMean(_AdEMAMix):
    """The fast average has the weight 1 - alpha."""

    def mixed(self, fast, slow, alpha, correction):
        return (1 - alpha) * fast + alpha * slow


class MixDecayedAfterStep(_AdEMAMix):
    """The parameter is decayed after the step, which shrinks the step too. [F02]"""

    def shift(self, p, step, decay):
        p.sub_(step).mul_(1 - decay)


class SlowBetaIsSecond(_AdEMAMix):
    """The slow average decays by beta2 and the second moment by beta3."""

    def now(self, t, group):
        b1, b2, b3 = group["betas"]
        return (b1, b3, b2), group["alpha"]


class _AdEMAMixScheduled(_AdEMAMix):
    """The right one."""

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999, 0.9999), alpha=5.0, alpha_warmup=1, beta3_warmup=1, eps=1e-8,
        weight_decay=0.0,
    ):  # fmt: skip
        more = dict(alpha=alpha, alpha_warmup=alpha_warmup, beta3_warmup=beta3_warmup)
        WithBetas.__init__(self, params, lr, betas, eps, weight_decay, **more)

    def now(self, t, group):
        b1, b2, b3 = group["betas"]
        warmup = group["beta3_warmup"]
        if self.steps(t) < warmup:
            b3 = self.between(b1, b3, self.steps(t) / warmup)
        return (b1, b2, b3), group["alpha"] * min(1.0, self.steps(t) / group["alpha_warmup"])

    def steps(self, t):
        return t

    def between(self, start, end, share):
        return math.exp(1 / ((1 - share) / math.log(start) + share / math.log(end)))


class BetaRisesLinearly(_AdEMAMixScheduled):
    """beta3 itself rises linearly, and not its half-life."""

    def between(self, start, end, share):
        return (1 - share) * start + share * end


class LogarithmsInterpolated(_AdEMAMixScheduled):
    """The logarithm of beta3 rises linearly."""

    def between(self, start, end, share):
        return math.exp((1 - share) * math.log(start) + share * math.log(end))


class ScheduleOneStepLate(_AdEMAMixScheduled):
    """The schedules count the steps before this one."""

    def steps(self, t):
        return t - 1
