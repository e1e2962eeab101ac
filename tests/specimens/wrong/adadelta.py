"""Wrong Adadeltas: every class says in ``update`` what it does, five lines in the right one."""

import torch


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class _Adadelta(torch.optim.Optimizer):
    """The right one."""

    def __init__(self, params, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, rho=rho, eps=eps, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            lr, rho, eps = group["lr"], group["rho"], group["eps"]
            for p in group["params"]:
                if p.grad is not None:
                    v = _real(self.state[p].setdefault("square_avg", torch.zeros_like(p)))
                    u = _real(self.state[p].setdefault("acc_delta", torch.zeros_like(p)))
                    g = _real(p.grad) + group["weight_decay"] * _real(p)
                    self.update(_real(p), g, v, u, lr, rho, eps)
        return loss

    def update(self, p, g, v, u, lr, rho, eps):
        v.mul_(rho).addcmul_(g, g, value=1 - rho)
        delta = (u + eps).sqrt() / (v + eps).sqrt() * g
        u.mul_(rho).addcmul_(delta, delta, value=1 - rho)
        p.sub_(lr * delta)


class EpsOutsideRoot(_Adadelta):
    """Epsilon is added to both roots and not inside them."""

    def update(self, p, g, v, u, lr, rho, eps):
        v.mul_(rho).addcmul_(g, g, value=1 - rho)
        delta = (u.sqrt() + eps) / (v.sqrt() + eps) * g
        u.mul_(rho).addcmul_(delta, delta, value=1 - rho)
        p.sub_(lr * delta)


class EpsOnlyBelow(_Adadelta):
    """The numerator has no epsilon, so the first step and all later ones are zero."""

    def update(self, p, g, v, u, lr, rho, eps):
        v.mul_(rho).addcmul_(g, g, value=1 - rho)
        delta = u.sqrt() / (v + eps).sqrt() * g
        u.mul_(rho).addcmul_(delta, delta, value=1 - rho)
        p.sub_(lr * delta)


class LrInsideAverage(_Adadelta):
    """The average of squared steps sees them after the multiplication by lr."""

    def update(self, p, g, v, u, lr, rho, eps):
        v.mul_(rho).addcmul_(g, g, value=1 - rho)
        delta = lr * (u + eps).sqrt() / (v + eps).sqrt() * g
        u.mul_(rho).addcmul_(delta, delta, value=1 - rho)
        p.sub_(delta)


class AverageOfGradients(_Adadelta):
    """The average of squared steps is fed with the gradient."""

    def update(self, p, g, v, u, lr, rho, eps):
        v.mul_(rho).addcmul_(g, g, value=1 - rho)
        delta = (u + eps).sqrt() / (v + eps).sqrt() * g
        u.mul_(rho).addcmul_(g, g, value=1 - rho)
        p.sub_(lr * delta)


class RhoSwapped(_Adadelta):
    """rho weighs the new square and 1 - rho the old average of gradients."""

    def update(self, p, g, v, u, lr, rho, eps):
        v.mul_(1 - rho).addcmul_(g, g, value=rho)
        delta = (u + eps).sqrt() / (v + eps).sqrt() * g
        u.mul_(rho).addcmul_(delta, delta, value=1 - rho)
        p.sub_(lr * delta)


class SquareOneStepOld(_Adadelta):
    """The step is divided by the average that does not hold this gradient yet."""

    def update(self, p, g, v, u, lr, rho, eps):
        delta = (u + eps).sqrt() / (v + eps).sqrt() * g
        v.mul_(rho).addcmul_(g, g, value=1 - rho)
        u.mul_(rho).addcmul_(delta, delta, value=1 - rho)
        p.sub_(lr * delta)
