"""Right optimizers of Adam's family beyond torch, each in a form that its authors do not use."""

import torch
from _sound import real
from _sound_published import WithBetas


class AdaBeliefBySurprise(WithBetas):
    """AdaBelief from the deviation around the old average, which is beta1 times that around the new one."""

    states = ("exp_avg", "exp_avg_var", "max_exp_avg_var")
    kept = True

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-16, weight_decay=0.0, amsgrad=False,
        decoupled_weight_decay=False, maximize=False,
    ):  # fmt: skip
        more = dict(amsgrad=amsgrad, decoupled_weight_decay=decoupled_weight_decay)
        super().__init__(params, lr, betas, eps, weight_decay, maximize, **more)

    def move(self, p, g, m, s, largest, t, lr, state, group):
        (b1, b2), eps = group["betas"], group["eps"]
        surprise = b1 * (g - m)
        m.copy_(b1 * m + (1 - b1) * g)
        s.copy_(b2 * s + (1 - b2) * surprise * surprise + (eps if self.kept else 0))
        if group["amsgrad"]:
            s = largest.copy_(torch.maximum(largest, s))
        s = s if self.kept else s + eps
        self.shift(p, m, s, t, lr, group)

    def shift(self, p, m, s, t, lr, group):
        b1, b2 = group["betas"]
        p.sub_(lr * (m / (1 - b1**t)) / ((s / (1 - b2**t)).sqrt() + group["eps"]))


class AdaBeliefRenamed(AdaBeliefBySurprise):
    """The same with other names for its state."""

    states = ("mean", "spread", "widest")


class AdaBeliefEpsNotKept(AdaBeliefBySurprise):
    """AdaBelief whose epsilon is added where the variance is used."""

    kept = False


class AdaBeliefRectified(AdaBeliefBySurprise):
    """AdaBelief with rectification, in one step whose divisor is 1 while the average is too short."""

    decay = "decoupled"

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-16, weight_decay=0.0, amsgrad=False,
        decoupled_weight_decay=True, maximize=False,
    ):  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, decoupled_weight_decay, maximize)

    def shift(self, p, m, s, t, lr, group):
        b1, b2 = group["betas"]
        whole = 2 / (1 - b2) - 1
        length = whole - 2 * t * b2**t / (1 - b2**t)
        rate, divisor = lr / (1 - b1**t), 1
        if length >= 5:
            shrunk = (length - 4) / (whole - 4) * (length - 2) / (whole - 2) * whole / length
            rate *= (shrunk * (1 - b2**t)) ** 0.5
            divisor = s.sqrt() + group["eps"]
        p.sub_(rate * (m / divisor))


class _Bounded(WithBetas):
    states = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    positive = ("gamma",)

    def averaged(self, g, m, v, largest, group):
        b1, b2 = group["betas"]
        m.lerp_(g, 1 - b1)
        v.mul_(b2).add_((1 - b2) * g * g)
        return torch.maximum(largest, v, out=largest) if group["amsbound"] else v

    def bounds(self, final, t, group):
        gamma = group["gamma"]
        return final * (1 - 1 / (gamma * t + 1)), final * (1 + 1 / (gamma * t))


class AdaBoundClamped(_Bounded):
    """AdaBound by torch.clamp; the first lr is in the state as a number."""

    positive = ("gamma", "lr")

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), final_lr=0.1, gamma=1e-3, eps=1e-8, weight_decay=0.0,
        amsbound=False, maximize=False,
    ):  # fmt: skip
        more = dict(final_lr=final_lr, gamma=gamma, amsbound=amsbound)
        super().__init__(params, lr, betas, eps, weight_decay, maximize, **more)

    def start(self, p, state, group):
        state["base_lr"] = float(group["lr"])

    def move(self, p, g, m, v, largest, t, lr, state, group):
        b1, b2 = group["betas"]
        v = self.averaged(g, m, v, largest, group)
        rate = lr * (1 - b2**t) ** 0.5 / (1 - b1**t) / (v.sqrt() + group["eps"])
        p.sub_(m * rate.clamp(*self.bounds(group["final_lr"] * lr / state["base_lr"], t, group)))


class AdaBoundPaper(_Bounded):
    """AdaBound of the paper, whose step is divided by sqrt(t) before the clamp is."""

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), final_lr=0.1, gamma=1e-3, weight_decay=0.0, amsbound=False,
        maximize=False,
    ):  # fmt: skip
        more = dict(final_lr=final_lr, gamma=gamma, amsbound=amsbound)
        super().__init__(params, lr, betas, 0.0, weight_decay, maximize, **more)

    def move(self, p, g, m, v, largest, t, lr, state, group):
        v = self.averaged(g, m, v, largest, group)
        lower, upper = self.bounds(group["final_lr"], t, group)
        rate = torch.minimum(torch.maximum(lr / v.sqrt(), torch.full_like(v, lower)), torch.full_like(v, upper))
        p.sub_(m / t**0.5 * rate)


class YogiWhere(WithBetas):
    """Yogi by torch.where: up where the square is the larger, down where the moment is."""

    states = ("exp_avg", "exp_avg_sq")

    def __init__(
        self, params, lr=1e-2, betas=(0.9, 0.999), eps=1e-3, weight_decay=0.0, initial_accumulator=1e-6,
        maximize=False,
    ):  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, maximize, initial_accumulator=initial_accumulator)

    def start(self, p, state, group):
        real(state[self.states[1]]).fill_(group["initial_accumulator"])

    def move(self, p, g, m, v, t, lr, state, group):
        b1, b2 = group["betas"]
        m.copy_(b1 * m + (1 - b1) * g)
        square, share = g * g, (1 - b2) * g * g
        v.copy_(torch.where(v > square, v - share, torch.where(v < square, v + share, v)))
        self.shift(p, m, v, t, lr, group)

    def shift(self, p, m, v, t, lr, group):
        p.addcdiv_(m, v.sqrt() + group["eps"], value=-lr)


class YogiCorrected(YogiWhere):
    """Yogi with corrections, and other names for its state."""

    states = ("first", "second")

    def shift(self, p, m, v, t, lr, group):
        b1, b2 = group["betas"]
        p.sub_(lr / (1 - b1**t) * m / (v.sqrt() / (1 - b2**t) ** 0.5 + group["eps"]))


class DiffGradSigmoid(WithBetas):
    """diffGrad by torch.sigmoid."""

    states = ("exp_avg", "exp_avg_sq", "previous_grad")

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, maximize=False):
        super().__init__(params, lr, betas, eps, weight_decay, maximize)

    def move(self, p, g, m, v, previous, t, lr, state, group):
        b1, b2 = group["betas"]
        m.lerp_(g, 1 - b1)
        v.lerp_(g * g, 1 - b2)
        held_back = m * torch.sigmoid((g - previous).abs())
        previous.copy_(g)
        self.shift(p, held_back, v, t, lr, group)

    def shift(self, p, m, v, t, lr, group):
        b1, b2 = group["betas"]
        p.sub_(lr * (m / (1 - b1**t)) / ((v / (1 - b2**t)).sqrt() + group["eps"]))


class DiffGradEpsHat(DiffGradSigmoid):
    """diffGrad in the order of computation of its authors."""

    def shift(self, p, m, v, t, lr, group):
        b1, b2 = group["betas"]
        p.addcdiv_(m, v.sqrt() + group["eps"], value=-lr * (1 - b2**t) ** 0.5 / (1 - b1**t))


class QHAdamByMeans(WithBetas):
    """QHAdam whose two quasi-hyperbolic terms are lerps."""

    states = ("exp_avg", "exp_avg_sq")

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), nus=(1.0, 1.0), eps=1e-8, weight_decay=0.0,
        decoupled_weight_decay=False, maximize=False,
    ):  # fmt: skip
        if nus[1] > 1:
            raise ValueError("nus[1] must not be above 1")
        more = dict(nus=nus, decoupled_weight_decay=decoupled_weight_decay)
        super().__init__(params, lr, betas, eps, weight_decay, maximize, **more)

    def move(self, p, g, m, v, t, lr, state, group):
        b1, b2 = group["betas"]
        m.mul_(b1).add_(g, alpha=1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        self.shift(p, g, m / (1 - b1**t), v / (1 - b2**t), lr, group)

    def shift(self, p, g, m, v, lr, group):
        nu1, nu2 = group["nus"]
        p.sub_(lr * torch.lerp(g, m, nu1) / (torch.lerp(g * g, v, nu2).clamp(min=0).sqrt() + group["eps"]))


class QHAdamWeighted(QHAdamByMeans):
    """QHAdam that divides by sums of weights instead of correcting, a convex step at a time."""

    def start(self, p, state, group):
        state["beta1_weight"] = state["beta2_weight"] = 0.0

    def move(self, p, g, m, v, t, lr, state, group):
        b1, b2 = group["betas"]
        state["beta1_weight"] = 1 + b1 * state["beta1_weight"]
        state["beta2_weight"] = 1 + b2 * state["beta2_weight"]
        m.add_((g - m) / state["beta1_weight"])
        v.copy_(v + (g * g - v) / state["beta2_weight"])
        self.shift(p, g, m, v, lr, group)
