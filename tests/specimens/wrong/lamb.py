"""Wrong LAMBs: every class says in ``update`` what it does, in the place of the right lines."""

import torch


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class _LAMB(torch.optim.Optimizer):
    """The right one."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.01):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    state["step"] = t = state.get("step", 0) + 1
                    m, s = (state.setdefault(key, torch.zeros_like(p)) for key in ("exp_avg", "exp_avg_sq"))
                    self.update(_real(p), _real(p.grad), _real(m), _real(s), t, group)
        return loss

    def direction(self, g, m, s, t, group):
        b1, b2 = group["betas"]
        m.lerp_(g, 1 - b1)
        s.mul_(b2).addcmul_(g, g, value=1 - b2)
        return (m / (1 - b1**t)) / ((s / (1 - b2**t)).sqrt() + group["eps"])

    def ratio(self, p, r):
        p_norm, r_norm = p.norm(), r.norm()
        return torch.where((p_norm > 0) & (r_norm > 0), p_norm / r_norm, 1.0)

    def update(self, p, g, m, s, t, group):
        r = self.direction(g, m, s, t, group) + group["weight_decay"] * p
        p.sub_(group["lr"] * self.ratio(p, r) * r)


class DecayNotInNorm(_LAMB):
    """The norm of the update is taken before the decay is added."""

    def update(self, p, g, m, s, t, group):
        r = self.direction(g, m, s, t, group)
        p.sub_(group["lr"] * self.ratio(p, r) * (r + group["weight_decay"] * p))


class DecayNotScaled(_LAMB):
    """The decay is in the norm, and is not scaled by the ratio."""

    def update(self, p, g, m, s, t, group):
        r = self.direction(g, m, s, t, group)
        decay = group["weight_decay"] * p
        p.sub_(group["lr"] * (self.ratio(p, r + decay) * r + decay))


class RatioClipped(_LAMB):
    """The ratio is at most one."""

    def ratio(self, p, r):
        return super().ratio(p, r).clamp(max=1)


class CorrectionAfterRatio(_LAMB):
    """The bias is corrected in the step size, after the norm was taken: the ratio no longer cancels it. [F04]"""

    def direction(self, g, m, s, t, group):
        b1, b2 = group["betas"]
        m.lerp_(g, 1 - b1)
        s.mul_(b2).addcmul_(g, g, value=1 - b2)
        return m / (s.sqrt() + group["eps"])

    def update(self, p, g, m, s, t, group):
        b1, b2 = group["betas"]
        corrected = {**group, "lr": group["lr"] * (1 - b2**t) ** 0.5 / (1 - b1**t)}
        super().update(p, g, m, s, t, corrected)


class NormIsSquared(_LAMB):
    """The roots of the sums of squares are not taken."""

    def ratio(self, p, r):
        return super().ratio(p, r) ** 2


class ZeroMovesNothing(_LAMB):
    """Where a norm is zero the ratio is zero, and not one."""

    def ratio(self, p, r):
        return torch.where(r.norm() > 0, p.norm() / r.norm(), 0.0)


class SumStandsStill(_LAMB):
    """The squares are added up in bfloat16, where a sum of ones stands still at 256."""

    def ratio(self, p, r):
        return super().ratio(*(self.added(x) for x in (p, r)))

    @staticmethod
    def added(x):
        total = torch.zeros((), dtype=torch.bfloat16)
        blocks = x.reshape(-1).square().split(64)
        for block in blocks:
            total = total + block.sum().to(torch.bfloat16)
        return total.sqrt()
