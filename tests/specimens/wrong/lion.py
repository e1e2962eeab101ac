"""Wrong Lions: every class says in ``update`` what it does, three lines in the right one."""

import torch


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class _Lion(torch.optim.Optimizer):
    """The right one."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    m = self.state[p].setdefault("exp_avg", torch.zeros_like(p))
                    lr, wd = group["lr"], group["weight_decay"]
                    self.update(_real(p), _real(p.grad), _real(m), lr, wd, *group["betas"])
        return loss

    def update(self, p, g, m, lr, wd, b1, b2):
        p.mul_(1 - lr * wd)
        p.sub_(lr * torch.sign(b1 * m + (1 - b1) * g))
        m.mul_(b2).add_(g, alpha=1 - b2)


class DecayCoupled(_Lion):
    """The decay is added to the gradient, so sign() sees it. [F22]"""

    def update(self, p, g, m, lr, wd, b1, b2):
        g = g + wd * p
        p.sub_(lr * torch.sign(b1 * m + (1 - b1) * g))
        m.mul_(b2).add_(g, alpha=1 - b2)


class DecayAfterStep(_Lion):
    """The parameter is decayed after the step, which shrinks the step too. [F02]"""

    def update(self, p, g, m, lr, wd, b1, b2):
        p.sub_(lr * torch.sign(b1 * m + (1 - b1) * g))
        p.mul_(1 - lr * wd)
        m.mul_(b2).add_(g, alpha=1 - b2)


class BetasSwapped(_Lion):
    """beta2 weighs the step and beta1 the moment."""

    def update(self, p, g, m, lr, wd, b1, b2):
        p.mul_(1 - lr * wd)
        p.sub_(lr * torch.sign(b2 * m + (1 - b2) * g))
        m.mul_(b1).add_(g, alpha=1 - b1)


class MomentFirst(_Lion):
    """The moment is advanced before the step is taken from it."""

    def update(self, p, g, m, lr, wd, b1, b2):
        p.mul_(1 - lr * wd)
        m.mul_(b2).add_(g, alpha=1 - b2)
        p.sub_(lr * torch.sign(b1 * m + (1 - b1) * g))


class MomentKeepsStep(_Lion):
    """The moment becomes the interpolation that the step was taken from."""

    def update(self, p, g, m, lr, wd, b1, b2):
        p.mul_(1 - lr * wd)
        m.mul_(b1).add_(g, alpha=1 - b1)
        p.sub_(lr * torch.sign(m))


class MomentOfSign(_Lion):
    """The moment averages the sign of the step and not the gradient."""

    def update(self, p, g, m, lr, wd, b1, b2):
        p.mul_(1 - lr * wd)
        sign = torch.sign(b1 * m + (1 - b1) * g)
        p.sub_(lr * sign)
        m.mul_(b2).add_(sign, alpha=1 - b2)


class ZeroIsPositive(_Lion):
    """The sign of zero is one: a parameter without a gradient so far drifts."""

    def update(self, p, g, m, lr, wd, b1, b2):
        p.mul_(1 - lr * wd)
        p.sub_(lr * torch.where(b1 * m + (1 - b1) * g >= 0, 1.0, -1.0))
        m.mul_(b2).add_(g, alpha=1 - b2)


class NoSign(_Lion):
    """The interpolation itself is the step; its sign is not taken."""

    def update(self, p, g, m, lr, wd, b1, b2):
        p.mul_(1 - lr * wd)
        p.sub_(lr * (b1 * m + (1 - b1) * g))
        m.mul_(b2).add_(g, alpha=1 - b2)
