"""Wrong Adams: the denominator, AMSGrad and maximize.

``_Adam`` is right; every other class overrides the one piece of it that it gets wrong.
"""

import torch


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class _Adam(torch.optim.Optimizer):
    """The right one."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, amsgrad=False, maximize=False):
        defaults = dict(lr=lr, betas=betas, eps=eps, amsgrad=amsgrad, maximize=maximize)
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p, self.gradient(p, group), self.state[p], group)
        return loss

    def update(self, p, g, state, group):
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"] = torch.zeros_like(p)
            state["exp_avg_sq"] = torch.zeros_like(p)
            if group["amsgrad"]:
                state["max_exp_avg_sq"] = torch.zeros_like(p)
        state["step"] += 1
        t, (b1, b2) = state["step"].item(), group["betas"]
        m, v = _real(state["exp_avg"]), _real(state["exp_avg_sq"])
        g = _real(g)
        m.lerp_(g, 1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        c1, c2 = 1 - b1**t, 1 - b2**t
        if group["amsgrad"]:
            v = self.largest(_real(state["max_exp_avg_sq"]), v, c2)
        self.move(_real(p), m, v, c1, c2, group["lr"], group["eps"])

    def gradient(self, p, group):
        return -p.grad if group["maximize"] else p.grad

    def largest(self, largest, v, c2):
        return torch.maximum(largest, v, out=largest)

    def move(self, p, m, v, c1, c2, lr, eps):
        p.addcdiv_(m, (v / c2).sqrt() + eps, value=-lr / c1)


class EpsInsideRoot(_Adam):
    """Epsilon is added inside the root. [F03]"""

    def move(self, p, m, v, c1, c2, lr, eps):
        p.addcdiv_(m, (v / c2 + eps).sqrt(), value=-lr / c1)


class EpsInsideUncorrectedRoot(_Adam):
    """Epsilon is added inside the root, before the bias correction."""

    def move(self, p, m, v, c1, c2, lr, eps):
        p.addcdiv_(m, ((v + eps) / c2).sqrt(), value=-lr / c1)


class EpsInsideAndOutside(_Adam):
    """Epsilon is added inside the root and once more outside. [F03]"""

    def move(self, p, m, v, c1, c2, lr, eps):
        p.addcdiv_(m, (v / c2 + eps).sqrt() + eps, value=-lr / c1)


class EpsDividedByCorrection(_Adam):
    """Epsilon is added before the bias correction, which divides it too. [F01]"""

    def move(self, p, m, v, c1, c2, lr, eps):
        p.addcdiv_(m, (v.sqrt() + eps) / c2**0.5, value=-lr / c1)


class EpsHatNotScaled(_Adam):
    """Claims the epsilon-hat form and adds epsilon to the corrected root."""


class EpsAsLowerBound(_Adam):
    """Epsilon bounds the root from below instead of being added."""

    def move(self, p, m, v, c1, c2, lr, eps):
        p.addcdiv_(m, (v / c2).sqrt().clamp(min=eps), value=-lr / c1)


class EpsIgnored(_Adam):
    """Epsilon is accepted, and a fixed 1e-8 is used."""

    def move(self, p, m, v, c1, c2, lr, eps):
        p.addcdiv_(m, (v / c2).sqrt() + 1e-8, value=-lr / c1)


class RsqrtThenEps(_Adam):
    """Epsilon is added to the reciprocal of the root. [F37]"""

    def move(self, p, m, v, c1, c2, lr, eps):
        p.addcmul_(m, (v / c2).rsqrt() + eps, value=-lr / c1)


class NoRoot(_Adam):
    """Divides by the second moment and not by its root."""

    def move(self, p, m, v, c1, c2, lr, eps):
        p.addcdiv_(m, v / c2 + eps, value=-lr / c1)


class CorrectionOutsideRoot(_Adam):
    """The root is divided by 1 - beta2^t and not by its root."""

    def move(self, p, m, v, c1, c2, lr, eps):
        p.addcdiv_(m, v.sqrt() / c2 + eps, value=-lr / c1)


class RootOfCorrectionComplement(_Adam):
    """The step is scaled by sqrt(1 - c2) although c2 is 1 - beta2^t already. [F09]"""

    def move(self, p, m, v, c1, c2, lr, eps):
        p.addcdiv_(m, v.sqrt() / (1 - c2) ** 0.5 + eps, value=-lr / c1)


class AmsgradAfterCorrection(_Adam):
    """AMSGrad takes the maximum of bias-corrected second moments. [F05]"""

    def largest(self, largest, v, c2):
        return torch.maximum(largest, v / c2, out=largest) * c2


class AmsgradNotStored(_Adam):
    """AMSGrad's new maximum is used and never stored. [F06]"""

    def largest(self, largest, v, c2):
        return torch.maximum(largest, v)


class AmsgradRootStored(_Adam):
    """AMSGrad's buffer is replaced by its root. [F06]"""

    def largest(self, largest, v, c2):
        v = torch.maximum(largest, v)
        largest.copy_(v.sqrt())
        return v


class AmsgradBeforeUpdate(_Adam):
    """AMSGrad divides by the maximum that does not know this step's second moment."""

    def largest(self, largest, v, c2):
        before = largest.clone()
        torch.maximum(largest, v, out=largest)
        return before


class AmsgradIgnored(_Adam):
    """amsgrad is accepted, and its buffer kept, and the current second moment is used."""

    def largest(self, largest, v, c2):
        torch.maximum(largest, v, out=largest)
        return v


class MaximizeIgnored(_Adam):
    """maximize is accepted and never used. [P23]"""

    def gradient(self, p, group):
        return p.grad


class MaximizeNegatesGradient(_Adam):
    """maximize negates p.grad in place: a second step on the same gradient descends. [G03]"""

    def gradient(self, p, group):
        return p.grad.neg_() if group["maximize"] else p.grad
