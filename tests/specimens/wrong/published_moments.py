"""Wrong optimizers of Adam's family beyond torch: every class says what it does otherwise."""

import torch
from _faithful import real
from _faithful_published import WithBetas


class _AdaBelief(WithBetas):
    """The right one."""

    states = ("exp_avg", "exp_avg_var")

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-16, weight_decay=0.0):
        super().__init__(params, lr, betas, eps, weight_decay)

    def update(self, p, g, m, s, t, lr, state, group):
        (b1, b2), eps = group["betas"], group["eps"]
        before = m.clone()
        m.lerp_(g, 1 - b1)
        s.mul_(b2).add_((1 - b2) * self.surprise(g, m, before) ** 2).add_(eps)
        p.sub_(lr / (1 - b1**t) * m / (self.root(s, 1 - b2**t, eps)))

    def surprise(self, g, m, before):
        return g - m

    def root(self, s, correction, eps):
        return (s / correction).sqrt() + eps


class SurpriseAtOldAverage(_AdaBelief):
    """The deviation is from the average before this gradient."""

    def surprise(self, g, m, before):
        return g - before


class SurpriseForgotten(_AdaBelief):
    """The gradient itself is squared, which is Adam with another epsilon."""

    def surprise(self, g, m, before):
        return g


class BeliefEpsInsideOnly(_AdaBelief):
    """Epsilon is added to the variance and not to its root. [F03]"""

    def root(self, s, correction, eps):
        return (s / correction).sqrt()


class BeliefEpsNotKept(_AdaBelief):
    """Epsilon is added to the variance where it is used; it is thrown away afterwards. [F46]"""

    def update(self, p, g, m, s, t, lr, state, group):
        (b1, b2), eps = group["betas"], group["eps"]
        m.lerp_(g, 1 - b1)
        s.mul_(b2).add_((1 - b2) * (g - m) ** 2)
        p.sub_(lr / (1 - b1**t) * m / self.root(s.add(eps), 1 - b2**t, eps))


class BeliefEpsKept(_AdaBelief):
    """Epsilon accumulates in the variance of a rule that does not keep it."""


class RectifiedFromFour(_AdaBelief):
    """Adaptation begins at a length above 4 and not at 5."""

    coupled = False

    def update(self, p, g, m, s, t, lr, state, group):
        (b1, b2), eps = group["betas"], group["eps"]
        p.mul_(1 - lr * group["weight_decay"])
        m.lerp_(g, 1 - b1)
        s.mul_(b2).add_((1 - b2) * (g - m) ** 2).add_(eps)
        whole = 2 / (1 - b2) - 1
        length = whole - 2 * t * b2**t / (1 - b2**t)
        rate, divisor = lr / (1 - b1**t), 1
        if length > 4:
            rate *= ((length - 4) * (length - 2) * whole / ((whole - 4) * (whole - 2) * length) * (1 - b2**t)) ** 0.5
            divisor = s.sqrt() + eps
        p.sub_(rate * m / divisor)


class NeverRectified(_AdaBelief):
    """The rectification is left out, and the average is always divided: AdaBelief, with its decay in the gradient."""


class _AdaBound(WithBetas):
    """The right one."""

    states = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), final_lr=0.1, gamma=1e-3, eps=1e-8, weight_decay=0.0, amsbound=False
    ):
        more = dict(final_lr=final_lr, gamma=gamma, amsbound=amsbound)
        super().__init__(params, lr, betas, eps, weight_decay, **more)

    def start(self, p, state, group):
        state["base_lr"] = float(group["lr"])

    def update(self, p, g, m, v, largest, t, lr, state, group):
        b1, b2 = group["betas"]
        m.lerp_(g, 1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        v = self.largest(largest, v) if group["amsbound"] else v
        rate = lr * self.correction(t, b2) ** 0.5 / (1 - b1**t) / (v.sqrt() + group["eps"])
        lower, upper = self.bounds(self.final(group["final_lr"], lr, state), t, group["gamma"])
        p.sub_(rate.clamp(lower, upper) * m)

    def largest(self, largest, v):
        return torch.maximum(largest, v, out=largest)

    def correction(self, t, b2):
        return 1 - b2**t

    def final(self, final, lr, state):
        return final * lr / state["base_lr"]

    def bounds(self, final, t, gamma):
        return final * (1 - 1 / (gamma * t + 1)), final * (1 + 1 / (gamma * t))


class CorrectionOfCorrection(_AdaBound):
    """The correction is taken from one once more: sqrt(beta2^t). [F09]"""

    def correction(self, t, b2):
        return b2**t


class BoundsOneStepEarly(_AdaBound):
    """The band is that of the next step."""

    def bounds(self, final, t, gamma):
        return super().bounds(final, t + 1, gamma)


class LowerBoundMissing(_AdaBound):
    """Only the upper bound is applied."""

    def bounds(self, final, t, gamma):
        return 0.0, super().bounds(final, t, gamma)[1]


class FinalRateNotScheduled(_AdaBound):
    """A schedule of lr does not act on the band."""

    def final(self, final, lr, state):
        return final


class AmsboundNotKept(_AdaBound):
    """The larger of both moments is used and not stored. [F06]"""

    def largest(self, largest, v):
        return torch.maximum(largest, v)


class _AdaBoundPaper(_AdaBound):
    """The right one."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), final_lr=0.1, gamma=1e-3, weight_decay=0.0, amsbound=False):
        super().__init__(params, lr, betas, final_lr, gamma, 0.0, weight_decay, amsbound)

    def update(self, p, g, m, v, largest, t, lr, state, group):
        b1, b2 = group["betas"]
        m.lerp_(g, 1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        v = self.largest(largest, v) if group["amsbound"] else v
        lower, upper = self.bounds(group["final_lr"], t, group["gamma"])
        p.sub_(self.clipped(lr / v.sqrt(), lower, upper, t) * m)

    def clipped(self, rate, lower, upper, t):
        return rate.clamp(lower, upper) / t**0.5


class RootOfStepMissing(_AdaBoundPaper):
    """The rate is not divided by sqrt(t)."""

    def clipped(self, rate, lower, upper, t):
        return rate.clamp(lower, upper)


class RootOfStepInside(_AdaBoundPaper):
    """The rate is divided by sqrt(t) before it is clipped."""

    def clipped(self, rate, lower, upper, t):
        return (rate / t**0.5).clamp(lower, upper)


class _Yogi(WithBetas):
    """The right one."""

    states = ("exp_avg", "exp_avg_sq")

    def __init__(self, params, lr=1e-2, betas=(0.9, 0.999), eps=1e-3, weight_decay=0.0, initial_accumulator=1e-6):
        super().__init__(params, lr, betas, eps, weight_decay, initial_accumulator=initial_accumulator)

    def start(self, p, state, group):
        real(state["exp_avg_sq"]).fill_(group["initial_accumulator"])

    def update(self, p, g, m, v, t, lr, state, group):
        b1, b2 = group["betas"]
        m.lerp_(g, 1 - b1)
        v.copy_(self.second(v, g * g, b2))
        p.sub_(self.rate(lr, t, b1) * m / ((v / self.correction(t, b2)).sqrt() + group["eps"]))

    def second(self, v, square, b2):
        return v - (1 - b2) * torch.sign(v - square) * square

    def rate(self, lr, t, b1):
        return lr

    def correction(self, t, b2):
        return 1


class YogiSignTurned(_Yogi):
    """The second moment moves away from the squared gradient."""

    def second(self, v, square, b2):
        return (v + (1 - b2) * torch.sign(v - square) * square).clamp(min=0)


class YogiIsAdam(_Yogi):
    """The change is the distance itself and not its sign times the square."""

    def second(self, v, square, b2):
        return v - (1 - b2) * (v - square)


class YogiFirstMomentStartsToo(_Yogi):
    """The first moment starts at the initial accumulator as well."""

    def start(self, p, state, group):
        super().start(p, state, group)
        real(state["exp_avg"]).fill_(group["initial_accumulator"])


class YogiUncorrected(_Yogi):
    """No bias is corrected where the rule says that it is."""


class YogiFirstCorrectionOnly(_Yogi):
    """Only the first moment is corrected."""

    def rate(self, lr, t, b1):
        return lr / (1 - b1**t)


class _DiffGrad(WithBetas):
    """The right one."""

    states = ("exp_avg", "exp_avg_sq", "previous_grad")

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr, betas, eps, weight_decay)

    def update(self, p, g, m, v, previous, t, lr, state, group):
        b1, b2 = group["betas"]
        friction = self.friction(previous - g)
        self.average(m, v, g, friction, b1, b2)
        self.remember(previous, g, m)
        p.sub_(lr / (1 - b1**t) * self.held(m, friction) / ((v / (1 - b2**t)).sqrt() + group["eps"]))

    def average(self, m, v, g, friction, b1, b2):
        m.lerp_(g, 1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)

    def friction(self, change):
        return torch.sigmoid(change.abs())

    def remember(self, previous, g, m):
        previous.copy_(g)

    def held(self, m, friction):
        return m * friction


class FrictionOfSignedChange(_DiffGrad):
    """The sigmoid is taken of the change with its sign."""

    def friction(self, change):
        return torch.sigmoid(change)


class FrictionKept(_DiffGrad):
    """The average itself is held back, so friction adds up."""

    def average(self, m, v, g, friction, b1, b2):
        super().average(m, v, g, friction, b1, b2)
        m.mul_(friction)

    def held(self, m, friction):
        return m


class PreviousIsAverage(_DiffGrad):
    """The average is remembered in place of the gradient."""

    def remember(self, previous, g, m):
        previous.copy_(m)


class PreviousNotKept(_DiffGrad):
    """The gradient is never remembered: the change is always the gradient."""

    def remember(self, previous, g, m):
        pass


class DiffGradEpsCorrected(_DiffGrad):
    """Epsilon is added after the correction where the rule adds it before."""


class _QHAdam(WithBetas):
    """The right one."""

    states = ("exp_avg", "exp_avg_sq")

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), nus=(1.0, 1.0), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr, betas, eps, weight_decay, nus=nus)

    def update(self, p, g, m, v, t, lr, state, group):
        (b1, b2), (nu1, nu2) = group["betas"], self.nus(group)
        m.mul_(b1).add_(g, alpha=1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        first, second = self.corrected(m, v, t, b1, b2)
        p.sub_(lr * self.mixed(g, first, nu1) / (self.mixed(g * g, second, nu2).sqrt() + group["eps"]))

    def nus(self, group):
        return group["nus"]

    def corrected(self, m, v, t, b1, b2):
        return m / (1 - b1**t), v / (1 - b2**t)

    def mixed(self, new, average, nu):
        return (1 - nu) * new + nu * average


class NusSwapped(_QHAdam):
    """nu1 and nu2 are each taken for the other."""

    def nus(self, group):
        return reversed(group["nus"])


class NuWeighsTheNew(_QHAdam):
    """nu is the weight of the gradient and not of the average."""

    def mixed(self, new, average, nu):
        return nu * new + (1 - nu) * average


class MixtureCorrected(_QHAdam):
    """The mixture is corrected, the plain gradient with it."""

    def update(self, p, g, m, v, t, lr, state, group):
        (b1, b2), (nu1, nu2) = group["betas"], group["nus"]
        m.mul_(b1).add_(g, alpha=1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        square = self.mixed(g * g, v, nu2) / (1 - b2**t)
        p.sub_(lr * self.mixed(g, m, nu1) / (1 - b1**t) / (square.sqrt() + group["eps"]))


class _QHAdamWeighted(_QHAdam):
    """The right one."""

    def start(self, p, state, group):
        state["beta1_weight"] = state["beta2_weight"] = 0.0

    def update(self, p, g, m, v, t, lr, state, group):
        (b1, b2), (nu1, nu2) = group["betas"], group["nus"]
        one, two = self.weights(state, b1, b2)
        m.lerp_(g, 1 / one)
        v.lerp_(g * g, 1 / two)
        p.sub_(lr * self.mixed(g, m, nu1) / (self.mixed(g * g, v, nu2).sqrt() + group["eps"]))

    def weights(self, state, b1, b2):
        state["beta1_weight"] = 1 + b1 * state["beta1_weight"]
        state["beta2_weight"] = 1 + b2 * state["beta2_weight"]
        return state["beta1_weight"], state["beta2_weight"]


class WeightOneStepOld(_QHAdamWeighted):
    """The weights of the step before are used."""

    def weights(self, state, b1, b2):
        one, two = state["beta1_weight"], state["beta2_weight"]
        super().weights(state, b1, b2)
        return max(one, 1.0), max(two, 1.0)


class WeightsAreOne(_QHAdamWeighted):
    """Both weights grow with beta1."""

    def weights(self, state, b1, b2):
        return super().weights(state, b1, b1)
