"""Wrong RAdams. ``_RAdam`` is right; every other class overrides the piece it gets wrong."""

import torch


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class _RAdam(torch.optim.Optimizer):
    """The right one."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    if not state:
                        state["step"] = torch.tensor(0.0)
                        state["exp_avg"] = torch.zeros_like(p)
                        state["exp_avg_sq"] = torch.zeros_like(p)
                    state["step"] += 1
                    self.update(_real(p), _real(p.grad), state, group)
        return loss

    def update(self, p, g, state, group):
        m, v = _real(state["exp_avg"]), _real(state["exp_avg_sq"])
        t, (b1, b2), lr = state["step"].item(), group["betas"], group["lr"]
        g = self.decay(p, g, lr, group["weight_decay"])
        m.lerp_(g, 1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        c1, c2 = 1 - b1**t, 1 - b2**t
        longest = 2 / (1 - b2) - 1
        length = longest - 2 * t * b2**t / c2
        if self.is_rectified(length):
            m = m / self.divisor(v, c2, group["eps"]) * self.rectifier(length, longest)
            p.sub_(lr / c1 * m)
        else:
            p.sub_(self.unrectified(m, c1) * lr)

    def decay(self, p, g, lr, wd):
        return g + wd * p

    def is_rectified(self, length):
        return length > 5

    def rectifier(self, length, longest):
        above = (length - 4) * (length - 2) * longest
        below = (longest - 4) * (longest - 2) * length
        return (above / below) ** 0.5

    def divisor(self, v, c2, eps):
        return (v.sqrt() + eps) / c2**0.5

    def unrectified(self, m, c1):
        return m / c1


class EpsAfterCorrection(_RAdam):
    """Epsilon is added to the corrected root."""

    def divisor(self, v, c2, eps):
        return (v / c2).sqrt() + eps


class NeverRectified(_RAdam):
    """The rectified branch is never taken."""

    def is_rectified(self, length):
        return False


class RectifiedFromFour(_RAdam):
    """The rectified branch is taken for lengths above 4 and not above 5."""

    def is_rectified(self, length):
        return length > 4


class RectifierWithoutRoot(_RAdam):
    """The root of the rectifier is not taken."""

    def rectifier(self, length, longest):
        return super().rectifier(length, longest) ** 2


class RectifierMissing(_RAdam):
    """The step is not multiplied by the rectifier."""

    def rectifier(self, length, longest):
        return 1


class UnrectifiedUncorrected(_RAdam):
    """The unrectified step takes the first moment without its bias correction."""

    def unrectified(self, m, c1):
        return m


class DecayDecoupled(_RAdam):
    """The decay shrinks the parameter, as in the author's code. [F26]"""

    def decay(self, p, g, lr, wd):
        p.mul_(1 - lr * wd)
        return g


class StandsStillAtFirst(_RAdam):
    """No step is taken until the variance is tractable."""

    def unrectified(self, m, c1):
        return 0 * m
