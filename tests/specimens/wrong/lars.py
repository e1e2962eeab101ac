"""Wrong LARS: every class says in ``update`` what it does, in the place of the right lines."""

import torch


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class _LARS(torch.optim.Optimizer):
    """The right one."""

    def __init__(self, params, lr=1e-3, momentum=0.0, weight_decay=0.0, trust_coefficient=1e-3):
        super().__init__(
            params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay, trust_coefficient=trust_coefficient)
        )

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    velocity = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                    self.update(_real(p), _real(p.grad), _real(velocity), group)
        return loss

    def norm(self, x):
        return x.norm()

    def ratio(self, p, g, group):
        p_norm, g_norm = self.norm(p), self.norm(g)
        if p_norm == 0 or g_norm == 0:
            return 1.0
        return group["trust_coefficient"] * p_norm / (g_norm + group["weight_decay"] * p_norm)

    def update(self, p, g, velocity, group):
        rate = group["lr"] * self.ratio(p, g, group)
        velocity.mul_(group["momentum"]).add_(rate * (g + group["weight_decay"] * p))
        p.sub_(velocity)


class RatioInverted(_LARS):
    """The local rate is the norm of the gradient over that of the parameter."""

    def ratio(self, p, g, group):
        return super().ratio(g, p, group)


class DecayNotInDivisor(_LARS):
    """The decay is missing in what the norm of the parameter is divided by."""

    def ratio(self, p, g, group):
        return super().ratio(p, g, {**group, "weight_decay": 0.0})


class DecayInsideNorm(_LARS):
    """The norm is that of gradient and decay together, and not the sum of their norms."""

    def ratio(self, p, g, group):
        return super().ratio(p, g + group["weight_decay"] * p, {**group, "weight_decay": 0.0})


class NotGuarded(_LARS):
    """A parameter that is zero has the local rate zero, and stays there."""

    def ratio(self, p, g, group):
        return group["trust_coefficient"] * p.norm() / (g.norm() + group["weight_decay"] * p.norm())


class RootMeanSquare(_LARS):
    """The root mean square stands for the norm of the parameter alone."""

    def ratio(self, p, g, group):
        return super().ratio(p / p.numel() ** 0.5, g, group) if p.numel() else 1.0


class NormOfFirstBlock(_LARS):
    """Norms are those of the first 65,536 elements."""

    def norm(self, x):
        return x.reshape(-1)[:65_536].norm()


class NormOfRows(_LARS):
    """The norm is that of each row, for a parameter that is a matrix."""

    def ratio(self, p, g, group):
        if p.ndim < 2:
            return super().ratio(p, g, group)
        p_norm, g_norm = (x.norm(dim=-1, keepdim=True) for x in (p, g))
        local = group["trust_coefficient"] * p_norm / (g_norm + group["weight_decay"] * p_norm)
        return torch.where((p_norm > 0) & (g_norm > 0), local, 1.0)


class NormOfAll(_LARS):
    """The norms are those of all parameters of the group together."""

    def ratio(self, p, g, group):
        known = [x for x in group["params"] if x.grad is not None]
        return super().ratio(
            torch.cat([_real(x).reshape(-1) for x in known]),
            torch.cat([_real(x.grad).reshape(-1) for x in known]),
            group,
        )
