"""Right optimizers of rules with reductions, each in a form that the field does not use."""

import torch
from _sound import demand_all


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class _Optimizer(torch.optim.Optimizer):
    """The loop; every class does its own arithmetic in ``update``, on reals."""

    states = ()

    def __init__(self, params, lr, maximize, **defaults):
        demand_all(dict(lr=lr, **defaults))
        super().__init__(params, dict(lr=lr, maximize=maximize, **defaults))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    state["step"] = state.get("step", 0) + 1
                    g = -p.grad if group["maximize"] else p.grad
                    kept = [_real(state.setdefault(k, torch.zeros_like(p))) for k in self.states]
                    self.update(_real(p), _real(g), state["step"], group, *kept)
        return loss


class LARSByDots(_Optimizer):
    """Norms are roots of dot products, and the local rate is folded into the rate."""

    states = ("momentum_buffer",)

    def __init__(self, params, lr=1e-3, momentum=0.0, weight_decay=0.0, trust_coefficient=1e-3, maximize=False):
        super().__init__(
            params, lr, maximize, momentum=momentum, weight_decay=weight_decay, trust_coefficient=trust_coefficient
        )

    def update(self, p, g, t, group, velocity):
        x, y = p.flatten(), g.flatten()
        p_norm, g_norm = torch.dot(x, x).sqrt(), torch.dot(y, y).sqrt()
        rate = torch.full_like(p_norm, group["lr"])
        if p_norm > 0 and g_norm > 0:
            rate = rate * group["trust_coefficient"] / (g_norm / p_norm + group["weight_decay"])
        velocity.mul_(group["momentum"]).add_(rate * g + rate * group["weight_decay"] * p)
        p.sub_(velocity)


class LAMBByHalves(_Optimizer):
    """Norms are those of the norms of two halves; what is multiplied is a direction of length one."""

    states = ("exp_avg", "exp_avg_sq")

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.01, maximize=False):
        super().__init__(params, lr, maximize, betas=betas, eps=eps, weight_decay=weight_decay)

    @staticmethod
    def length(x):
        parts = [part.norm() for part in x.reshape(-1).tensor_split(2)]
        return torch.stack(parts).norm()

    def update(self, p, g, t, group, m, s):
        b1, b2 = group["betas"]
        m.lerp_(g, 1 - b1)
        s.mul_(b2).addcmul_(g, g, value=1 - b2)
        r = (m / (1 - b1**t)) / ((s / (1 - b2**t)).sqrt() + group["eps"]) + group["weight_decay"] * p
        length, size = self.length(r), self.length(p)
        if length > 0 and size > 0:
            r = r / length * size
        p.sub_(group["lr"] * r)
