"""Wrong RMSprops. ``_RMSprop`` is right; every other class overrides the piece it gets wrong."""

import torch


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class _RMSprop(torch.optim.Optimizer):
    """The right one."""

    def __init__(self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False):
        defaults = dict(lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay)
        super().__init__(params, defaults | dict(momentum=momentum, centered=centered))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p, p.grad, self.state[p], group)
        return loss

    def update(self, p, g, state, group):
        names = ("square_avg", "grad_avg", "momentum_buffer")
        v, a, buffer = (_real(state.setdefault(n, torch.zeros_like(p))) for n in names)
        p, g, alpha = _real(p), _real(g), group["alpha"]
        g = g + group["weight_decay"] * p
        self.average(v, g, alpha)
        if group["centered"]:
            a.lerp_(g, 1 - alpha)
            root = self.root(self.variance(v, a, g), group["eps"])
        else:
            root = self.root(v, group["eps"])
        self.move(p, g, root, buffer, group["lr"], group["momentum"])

    def average(self, v, g, alpha):
        v.mul_(alpha).addcmul_(g, g, value=1 - alpha)

    def variance(self, v, a, g):
        return v - a * a

    def root(self, v, eps):
        return v.sqrt() + eps

    def move(self, p, g, root, buffer, lr, momentum):
        if momentum > 0:
            p.sub_(lr * buffer.mul_(momentum).add_(g / root))
        else:
            p.sub_(lr * g / root)


class EpsInsideRoot(_RMSprop):
    """Epsilon is added inside the root. [F03]"""

    def root(self, v, eps):
        return (v + eps).sqrt()


class AlphaSwapped(_RMSprop):
    """alpha weighs the new square and 1 - alpha the old average."""

    def average(self, v, g, alpha):
        v.mul_(1 - alpha).addcmul_(g, g, value=alpha)


class SquareUndamped(_RMSprop):
    """The square enters the average without the factor 1 - alpha."""

    def average(self, v, g, alpha):
        v.mul_(alpha).addcmul_(g, g)


class CenteredIgnored(_RMSprop):
    """centered is accepted, its average is kept, and nothing is subtracted."""

    def variance(self, v, a, g):
        return v


class CenteredWithoutSquare(_RMSprop):
    """The average gradient is subtracted without being squared."""

    def variance(self, v, a, g):
        return (v - a).abs()


class CenteredAroundGradient(_RMSprop):
    """The square of this gradient is subtracted and not that of the average one."""

    def variance(self, v, a, g):
        return (v - g * g).abs()


class MomentumBeforeDivision(_RMSprop):
    """The buffer accumulates raw gradients, and the sum is divided by the newest root."""

    def move(self, p, g, root, buffer, lr, momentum):
        if momentum > 0:
            p.sub_(lr * buffer.mul_(momentum).add_(g) / root)
        else:
            p.sub_(lr * g / root)


class LrInsideMomentum(_RMSprop):
    """The buffer holds lr times the quotient, so that an edit of lr acts late."""

    def move(self, p, g, root, buffer, lr, momentum):
        if momentum > 0:
            p.sub_(buffer.mul_(momentum).add_(lr * g / root))
        else:
            p.sub_(lr * g / root)


class MomentumIgnored(_RMSprop):
    """momentum is accepted, and its buffer kept, and the quotient alone is the step."""

    def move(self, p, g, root, buffer, lr, momentum):
        buffer.mul_(momentum).add_(g / root)
        p.sub_(lr * g / root)
