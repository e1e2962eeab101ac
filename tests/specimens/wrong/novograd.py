"""Wrong NovoGrads: every class says in ``update`` what it does, in the place of the right lines."""

import torch


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class _NovoGrad(torch.optim.Optimizer):
    """The right one."""

    def __init__(self, params, lr=1e-3, betas=(0.95, 0.98), eps=1e-8, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    m = state.setdefault("exp_avg", torch.zeros_like(p))
                    self.update(_real(p), _real(p.grad), _real(m), state, group)
        return loss

    def second(self, g, state, group):
        b2 = group["betas"][1]
        square = g.square().sum()
        old = state.get("exp_avg_sq")
        state["exp_avg_sq"] = square if old is None else b2 * old + (1 - b2) * square
        return state["exp_avg_sq"]

    def update(self, p, g, m, state, group):
        scaled = g / (self.second(g, state, group).sqrt() + group["eps"])
        m.mul_(group["betas"][0]).add_(scaled + group["weight_decay"] * p)
        p.sub_(group["lr"] * m)


class StartsAtZero(_NovoGrad):
    """The average of squared norms starts at zero, and its bias is not corrected."""

    def second(self, g, state, group):
        state.setdefault("exp_avg_sq", torch.zeros((), dtype=g.dtype))
        return super().second(g, state, group)


class MeanOfSquares(_NovoGrad):
    """The mean of the squares stands for their sum."""

    def second(self, g, state, group):
        return super().second(g / max(g.numel(), 1) ** 0.5, state, group)


class DecayBeforeDivision(_NovoGrad):
    """The decay is added to the gradient, and divided by the norm with it."""

    def update(self, p, g, m, state, group):
        super().update(p, g + group["weight_decay"] * p, m, state, {**group, "weight_decay": 0.0})


class MomentumAveraged(_NovoGrad):
    """The momentum is an average: what is new is weighted by 1 - beta1."""

    def update(self, p, g, m, state, group):
        scaled = g / (self.second(g, state, group).sqrt() + group["eps"])
        m.lerp_(scaled + group["weight_decay"] * p, 1 - group["betas"][0])
        p.sub_(group["lr"] * m)
