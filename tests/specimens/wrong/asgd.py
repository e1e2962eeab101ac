"""Wrong ASGDs. ``_ASGD`` is right; every other class overrides the piece it gets wrong."""

import torch


class _ASGD(torch.optim.Optimizer):
    """The right one."""

    def __init__(self, params, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0.0):
        defaults = dict(lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay)
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    if not state:
                        state["step"] = torch.tensor(0.0)
                        state["eta"] = torch.tensor(float(group["lr"]))
                        state["mu"] = torch.tensor(1.0)
                        state["ax"] = torch.zeros_like(p)
                    state["step"] += 1
                    self.update(p, p.grad, state, group)
        return loss

    def update(self, p, g, state, group):
        lr, lambd, alpha, t = group["lr"], group["lambd"], group["alpha"], state["step"].item()
        g = g + group["weight_decay"] * p
        before = p.clone()
        self.move(p, g, self.eta(state, lr, lambd, alpha, t), lambd)
        self.average(state["ax"], state["mu"].item(), p, before)
        state["eta"].fill_(lr / (1 + lambd * lr * t) ** alpha)
        state["mu"].fill_(self.mu(t, group["t0"]))

    def eta(self, state, lr, lambd, alpha, t):
        return state["eta"].item()

    def move(self, p, g, eta, lambd):
        p.mul_(1 - lambd * eta).sub_(eta * g)

    def average(self, ax, mu, p, before):
        ax.copy_(p) if mu == 1 else ax.add_(mu * (p - ax))

    def mu(self, t, t0):
        return 1 / max(1, t - t0)


class EtaOfThisStep(_ASGD):
    """The step size comes from this step's lr and count and not from the last one's. [L05]"""

    def eta(self, state, lr, lambd, alpha, t):
        return lr / (1 + lambd * lr * t) ** alpha


class EtaIsLr(_ASGD):
    """alpha's schedule is stored and never used: the step size is lr."""

    def eta(self, state, lr, lambd, alpha, t):
        return lr


class DecayMissing(_ASGD):
    """lambd shrinks the step size and not the parameter."""

    def move(self, p, g, eta, lambd):
        p.sub_(eta * g)


class DecayAfterStep(_ASGD):
    """lambd shrinks the parameter after the step, and the step with it."""

    def move(self, p, g, eta, lambd):
        p.sub_(eta * g).mul_(1 - lambd * eta)


class AverageOfOld(_ASGD):
    """The parameter is averaged before it moves."""

    def average(self, ax, mu, p, before):
        super().average(ax, mu, before, before)


class AverageFromStart(_ASGD):
    """t0 is accepted, and the average starts at the first step."""

    def mu(self, t, t0):
        return 1 / max(1, t)


class AverageOneStepLate(_ASGD):
    """The weight of the average is counted from t0 + 1."""

    def mu(self, t, t0):
        return 1 / max(1, t - t0 - 1)


class AverageGrows(_ASGD):
    """The average forgets to subtract itself: ax + mu * p."""

    def average(self, ax, mu, p, before):
        ax.copy_(p) if mu == 1 else ax.add_(mu * p)
