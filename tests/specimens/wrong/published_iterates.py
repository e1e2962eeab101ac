"""Wrong ADOPT, MADGRAD and Schedule-Free: every class says what it does otherwise."""

from _faithful import real
from _faithful_published import Published, WithBetas


class _Adopt(WithBetas):
    """The right one."""

    states = ("exp_avg", "exp_avg_sq")
    first_is_whole = True

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.9999), eps=1e-6, weight_decay=0.0):
        super().__init__(params, lr, betas, eps, weight_decay)

    def update(self, p, g, m, v, t, lr, state, group):
        (b1, b2), eps = group["betas"], group["eps"]
        if t == 1:
            v.copy_(g * g)
            return
        normalised = self.clipped(g / self.root(v, g, b2, eps), t)
        m.copy_(normalised if t == 2 and self.first_is_whole else b1 * m + (1 - b1) * normalised)
        p.sub_(lr * m)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)

    def root(self, v, g, b2, eps):
        return v.sqrt().clamp(min=eps)

    def clipped(self, normalised, t):
        return normalised


class NormalisedByThisGradient(_Adopt):
    """The second moment takes this gradient in before it divides it. [F17]"""

    def root(self, v, g, b2, eps):
        return (b2 * v + (1 - b2) * g * g).sqrt().clamp(min=eps)


class EpsilonIsAdded(_Adopt):
    """Epsilon is added to the root, where it is a lower bound of it."""

    def root(self, v, g, b2, eps):
        return v.sqrt() + eps


class FirstMomentumDamped(_Adopt):
    """The first normalised gradient enters the momentum with weight 1 - beta1."""

    first_is_whole = False


class FirstGradientMoves(_Adopt):
    """The first gradient moves the parameter as well."""

    def update(self, p, g, m, v, t, lr, state, group):
        super().update(p, g, m, v, t, lr, state, group)
        if t == 1:
            p.sub_(lr * g / v.sqrt().clamp(min=group["eps"]))


class _AdoptClipped(_Adopt):
    """The right one."""

    first_is_whole = False

    def clipped(self, normalised, t):
        most = self.limit(t)
        return normalised.clamp(-most, most)

    def limit(self, t):
        return (t - 1) ** 0.25


class ClippedOneStepEarly(_AdoptClipped):
    """The limit counts the first gradient, which moves nothing."""

    def limit(self, t):
        return t**0.25


class ClippedAtSquareRoot(_AdoptClipped):
    """The limit is the square root of the step number."""

    def limit(self, t):
        return (t - 1) ** 0.5


class MomentumClipped(_AdoptClipped):
    """The momentum is clipped, and not what enters it."""

    def update(self, p, g, m, v, t, lr, state, group):
        (b1, b2), eps = group["betas"], group["eps"]
        if t == 1:
            v.copy_(g * g)
            return
        m.copy_(self.clipped(b1 * m + (1 - b1) * g / self.root(v, g, b2, eps), t))
        p.sub_(lr * m)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)


class _Madgrad(Published):
    """The right one."""

    states = ("s", "grad_sum_sq")
    power = 1 / 3

    def __init__(self, params, lr=1e-2, momentum=0.9, eps=1e-6, weight_decay=0.0):
        super().__init__(params, lr=lr, momentum=momentum, eps=eps, weight_decay=weight_decay)

    def update(self, p, g, s, squares, t, lr, state, group):
        eps, momentum = group["eps"], group["momentum"]
        weight = self.weight(self.rate(lr, eps), t)
        start = self.origin(p, s / (squares**self.power + eps), t, momentum, state)
        s.add_(g, alpha=weight)
        squares.add_(g * g, alpha=self.weight_of_square(weight))
        z = start - s / (squares**self.power + eps)
        p.mul_(momentum).add_(z, alpha=1 - momentum)

    def origin(self, p, step, t, momentum, state):
        if t == 1:
            start = p.clone()
        elif momentum and "x0" in state:
            start = state["x0"]
        else:
            start = p + step
        if momentum:
            state.setdefault("x0", start.clone())
        return start

    def rate(self, lr, eps):
        return lr

    def weight(self, lr, t):
        return lr * t**0.5

    def weight_of_square(self, weight):
        return weight


class SquareRootOfSquares(_Madgrad):
    """The root is a square root."""

    power = 1 / 2


class WeightsAreEqual(_Madgrad):
    """The weight of a gradient is lr, whatever the step."""

    def weight(self, lr, t):
        return lr


class SquaresWeighedTwice(_Madgrad):
    """The squares are weighed by the square of the weight."""

    def weight_of_square(self, weight):
        return weight**2


class WeightsOneStepLate(_Madgrad):
    """The weight counts the steps before this one, so the first gradient is lost."""

    def weight(self, lr, t):
        return lr * (t - 1) ** 0.5


class StartForgotten(_Madgrad):
    """The parameter of this step stands in place of the start."""

    def origin(self, p, step, t, momentum, state):
        return p.clone()


class EpsilonNotInRate(_Madgrad):
    """Epsilon is left out of the rate, where the rule adds it."""


class EpsilonInRateTwice(_Madgrad):
    """Epsilon is added to the rate twice."""

    def rate(self, lr, eps):
        return lr + 2 * eps


class _Averaging(Published):
    """The right one."""

    coupled = False

    def start(self, p, state, group):
        state["z"] = p.clone()
        state["lr_max"] = state["weight_sum"] = 0.0

    def average(self, p, direction, t, lr, beta, state, group):
        state["lr_max"] = self.largest(state["lr_max"], lr)
        weight = t ** group["r"] * state["lr_max"] ** group["weight_lr_power"]
        state["weight_sum"] += weight
        share = self.share(weight, state["weight_sum"])
        z = real(state["z"])
        drawn = self.drawn(p, z, share)
        p.copy_(drawn + lr * (self.kept(beta, share) - 1) * direction)
        z.sub_(lr * direction)

    def largest(self, before, lr):
        return max(before, lr)

    def share(self, weight, total):
        return weight / total if total else 0.0

    def drawn(self, p, z, share):
        return (1 - share) * p + share * z

    def kept(self, beta, share):
        return beta * (1 - share)


class _ScheduleFreeSGD(_Averaging):
    """The right one."""

    def __init__(self, params, lr=1.0, momentum=0.9, weight_decay=0.0, r=0.0, weight_lr_power=2.0):
        defaults = dict(lr=lr, momentum=momentum, weight_decay=weight_decay, r=r, weight_lr_power=weight_lr_power)
        super().__init__(params, **defaults)

    def update(self, p, g, t, lr, state, group):
        direction = g + group["weight_decay"] * p
        self.average(p, direction, t, lr, group["momentum"], state, group)


class SharesSwapped(_ScheduleFreeSGD):
    """The parameter is drawn to z by what should be left of it. [F42]"""

    def drawn(self, p, z, share):
        return share * p + (1 - share) * z


class DivisionByNoWeight(_ScheduleFreeSGD):
    """Where lr is zero at first the weight is divided by a sum of zero. [F41]"""

    def share(self, weight, total):
        return weight / total


class LastLrInWeight(_ScheduleFreeSGD):
    """The weight is made from this lr, and not from the largest so far."""

    def largest(self, before, lr):
        return lr


class StepNotAveraged(_ScheduleFreeSGD):
    """The new share of the average is left out of what beta keeps."""

    def kept(self, beta, share):
        return beta


class _ScheduleFreeAdamW(_Averaging, WithBetas):
    """The right one."""

    states = ("exp_avg_sq",)

    def __init__(self, params, lr=2.5e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, r=0.0, weight_lr_power=2.0):
        super().__init__(params, lr, betas, eps, weight_decay, r=r, weight_lr_power=weight_lr_power)

    def update(self, p, g, v, t, lr, state, group):
        b1, b2 = group["betas"]
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        rate, correction = self.rate(lr, 1 - b2**t)
        decayed = self.point(p, state)
        direction = g / ((v / correction).sqrt() + group["eps"]) + group["weight_decay"] * decayed
        self.average(p, direction, t, rate, b1, state, group)

    def rate(self, lr, correction):
        return lr, correction

    def point(self, p, state):
        return p


class DecayTakenAtZ(_ScheduleFreeAdamW):
    """Weight decay is taken at z and not at the parameter."""

    def point(self, p, state):
        return real(state["z"])


class ScheduleFreeUncorrected(_ScheduleFreeAdamW):
    """The second moment is not corrected."""

    def rate(self, lr, correction):
        return lr, 1


class CorrectedInRoot(_ScheduleFreeAdamW):
    """The correction is in the root, where the rule has it in the rate."""


class CorrectionWithoutRoot(_ScheduleFreeAdamW):
    """The rate is multiplied by the correction and not by its root."""

    def rate(self, lr, correction):
        return lr * correction, 1
