"""Wrong Adamaxes: every class says in ``update`` what it does, three lines in the right one."""

import torch


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class _Adamax(torch.optim.Optimizer):
    """The right one."""

    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
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
                        state["exp_inf"] = torch.zeros_like(p)
                    state["step"] += 1
                    g = _real(p.grad) + group["weight_decay"] * _real(p)
                    m, u = _real(state["exp_avg"]), _real(state["exp_inf"])
                    t, (b1, b2) = state["step"].item(), group["betas"]
                    self.update(_real(p), g, m, u, t, group["lr"], b1, b2, group["eps"])
        return loss

    def update(self, p, g, m, u, t, lr, b1, b2, eps):
        m.lerp_(g, 1 - b1)
        torch.maximum(b2 * u, g.abs() + eps, out=u)
        p.addcdiv_(m, u, value=-lr / (1 - b1**t))


class EpsAfterMaximum(_Adamax):
    """Epsilon is added to the maximum and not to |g| inside it."""

    def update(self, p, g, m, u, t, lr, b1, b2, eps):
        m.lerp_(g, 1 - b1)
        torch.maximum(b2 * u, g.abs(), out=u)
        p.addcdiv_(m, u + eps, value=-lr / (1 - b1**t))


class NoSize(_Adamax):
    """The maximum is taken over g and not over its size."""

    def update(self, p, g, m, u, t, lr, b1, b2, eps):
        m.lerp_(g, 1 - b1)
        torch.maximum(b2 * u, g + eps, out=u)
        p.addcdiv_(m, u, value=-lr / (1 - b1**t))


class NormNotStored(_Adamax):
    """The new maximum is used and never stored. [G08]"""

    def update(self, p, g, m, u, t, lr, b1, b2, eps):
        m.lerp_(g, 1 - b1)
        u = torch.maximum(b2 * u, g.abs() + eps)
        p.addcdiv_(m, u, value=-lr / (1 - b1**t))


class NormNotDecayed(_Adamax):
    """The old maximum is not multiplied by beta2."""

    def update(self, p, g, m, u, t, lr, b1, b2, eps):
        m.lerp_(g, 1 - b1)
        torch.maximum(u, g.abs() + eps, out=u)
        p.addcdiv_(m, u, value=-lr / (1 - b1**t))


class NormCorrected(_Adamax):
    """The maximum is bias-corrected, as if it were an average."""

    def update(self, p, g, m, u, t, lr, b1, b2, eps):
        m.lerp_(g, 1 - b1)
        torch.maximum(b2 * u, g.abs() + eps, out=u)
        p.addcdiv_(m, u / (1 - b2**t), value=-lr / (1 - b1**t))


class NoCorrection(_Adamax):
    """The first moment is not bias-corrected."""

    def update(self, p, g, m, u, t, lr, b1, b2, eps):
        m.lerp_(g, 1 - b1)
        torch.maximum(b2 * u, g.abs() + eps, out=u)
        p.addcdiv_(m, u, value=-lr)
