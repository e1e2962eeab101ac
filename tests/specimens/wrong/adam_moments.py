"""Wrong Adams: the bias correction and the moments.

``_Adam`` is right; every other class overrides the one piece of it that it gets wrong.
"""

import torch


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class _Adam(torch.optim.Optimizer):
    """The right one."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    if not self.state[p]:
                        self.start(self.state[p], p)
                    self.update(_real(p), _real(p.grad), self.state[p], group)
        return loss

    def start(self, state, p):
        state["step"] = torch.tensor(0.0)
        state["exp_avg"] = torch.zeros_like(p)
        state["exp_avg_sq"] = torch.zeros_like(p)

    def update(self, p, g, state, group):
        state["step"] += 1
        b1, b2 = group["betas"]
        m, v = _real(state["exp_avg"]), _real(state["exp_avg_sq"])
        m, v = self.average(m, v, g, b1, b2)
        c1, c2 = self.corrections(b1, b2, state["step"].item(), state)
        self.move(p, m, v, c1, c2, group["lr"], group["eps"])

    def average(self, m, v, g, b1, b2):
        m.mul_(b1).add_(g, alpha=1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        return m, v

    def corrections(self, b1, b2, t, state):
        return 1 - b1**t, 1 - b2**t

    def move(self, p, m, v, c1, c2, lr, eps):
        p.addcdiv_(m / c1, (v / c2).sqrt() + eps, value=-lr)


class NoCorrection(_Adam):
    """Neither moment is bias-corrected."""

    def corrections(self, b1, b2, t, state):
        return 1, 1


class NoFirstCorrection(_Adam):
    """The first moment is not bias-corrected."""

    def corrections(self, b1, b2, t, state):
        return 1, 1 - b2**t


class NoSecondCorrection(_Adam):
    """The second moment is not bias-corrected."""

    def corrections(self, b1, b2, t, state):
        return 1 - b1**t, 1


class CorrectionOneStepLate(_Adam):
    """The bias correction uses the count before this step, from the second step on."""

    def corrections(self, b1, b2, t, state):
        t = max(t - 1, 1)
        return 1 - b1**t, 1 - b2**t


class CorrectionOneStepEarly(_Adam):
    """The bias correction uses the count after the next step."""

    def corrections(self, b1, b2, t, state):
        return 1 - b1 ** (t + 1), 1 - b2 ** (t + 1)


class CorrectionTwice(_Adam):
    """Both moments are divided by their bias corrections twice."""

    def corrections(self, b1, b2, t, state):
        return (1 - b1**t) ** 2, (1 - b2**t) ** 2


class CorrectionComplement(_Adam):
    """1 minus is applied twice, so the corrections are beta^t. [F07]"""

    def corrections(self, b1, b2, t, state):
        return 1 - (1 - b1**t), 1 - (1 - b2**t)


class CorrectionFrozen(_Adam):
    """The bias corrections stay at their first values. [F14]"""

    def corrections(self, b1, b2, t, state):
        return 1 - b1, 1 - b2


class CorrectionBetasSwapped(_Adam):
    """Each moment is corrected with the other one's beta."""

    def corrections(self, b1, b2, t, state):
        return 1 - b2**t, 1 - b1**t


class CorrectionFromProducts(_Adam):
    """beta^t is a running product, which keeps the old betas when they are edited."""

    def corrections(self, b1, b2, t, state):
        state["beta1_power"] = b1 * state.get("beta1_power", 1.0)
        state["beta2_power"] = b2 * state.get("beta2_power", 1.0)
        return 1 - state["beta1_power"], 1 - state["beta2_power"]


class CorrectionKeptInBuffer(_Adam):
    """The moments are bias-corrected in place, so corrections compound. [F10]"""

    def move(self, p, m, v, c1, c2, lr, eps):
        p.addcdiv_(m.div_(c1), v.div_(c2).sqrt() + eps, value=-lr)


class BetasSwapped(_Adam):
    """Each moment is averaged with the other one's beta."""

    def average(self, m, v, g, b1, b2):
        return super().average(m, v, g, b2, b1)


class FirstMomentUndamped(_Adam):
    """The gradient enters the first moment without the factor 1 - beta1."""

    def average(self, m, v, g, b1, b2):
        m.mul_(b1).add_(g)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        return m, v


class BetaOnGradient(_Adam):
    """beta1 multiplies the gradient, and 1 - beta1 the first moment."""

    def average(self, m, v, g, b1, b2):
        m.mul_(1 - b1).add_(g, alpha=b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        return m, v


class SecondMomentOfSize(_Adam):
    """The second moment averages |g| and not its square."""

    def average(self, m, v, g, b1, b2):
        m.mul_(b1).add_(g, alpha=1 - b1)
        v.mul_(b2).add_(g.abs(), alpha=1 - b2)
        return m, v


class SecondMomentOfFirst(_Adam):
    """The second moment averages the square of the first moment."""

    def average(self, m, v, g, b1, b2):
        m.mul_(b1).add_(g, alpha=1 - b1)
        v.mul_(b2).addcmul_(m, m, value=1 - b2)
        return m, v


class SecondMomentCentred(_Adam):
    """The second moment averages the square of g - m, as AdaBelief does."""

    def average(self, m, v, g, b1, b2):
        m.mul_(b1).add_(g, alpha=1 - b1)
        v.mul_(b2).addcmul_(g - m, g - m, value=1 - b2)
        return m, v


class ScaledBeforeSquare(_Adam):
    """1 - beta2 is squared together with the gradient."""

    def average(self, m, v, g, b1, b2):
        m.mul_(b1).add_(g, alpha=1 - b1)
        v.mul_(b2).add_(((1 - b2) * g).square())
        return m, v


class FirstMomentOneStepOld(_Adam):
    """The step uses the first moment of the step before."""

    def average(self, m, v, g, b1, b2):
        before = m.clone()
        super().average(m, v, g, b1, b2)
        return before, v


class SecondMomentOneStepOld(_Adam):
    """The step uses the second moment of the step before. [F17]"""

    def average(self, m, v, g, b1, b2):
        before = v.clone()
        super().average(m, v, g, b1, b2)
        return m, before


class MomentThrownAway(_Adam):
    """The first moment is averaged out of place, and the result is thrown away. [F46]"""

    def average(self, m, v, g, b1, b2):
        m.mul(b1).add(g, alpha=1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        return m, v


class FirstMomentStartsAtGradient(_Adam):
    """The first moment starts as the first gradient and is corrected all the same. [F47]"""

    def start(self, state, p):
        super().start(state, p)
        state["exp_avg"].copy_(p.grad)


class SecondMomentStartsAtOne(_Adam):
    """The second moment starts at one."""

    def start(self, state, p):
        super().start(state, p)
        _real(state["exp_avg_sq"]).fill_(1)
