"""Optimizers that make two mistakes, of which one may be expected: the other must still be found."""

from pathlib import Path

import torch


class Adam(torch.optim.Optimizer):
    """Adam, with switches for mistakes."""

    eps_inside = decays_without_lr = first_eps_only = False

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            lr, (beta1, beta2), eps = group["lr"], group["betas"], group["eps"]
            if self.first_eps_only:
                eps = self.param_groups[0]["eps"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["step"] = torch.tensor(0.0)
                    state["exp_avg"] = torch.zeros_like(p)
                    state["exp_avg_sq"] = torch.zeros_like(p)
                state["step"] += 1
                t = state["step"].item()
                g = p.grad
                if self.decays_without_lr:
                    p.mul_(1 - group["weight_decay"])
                else:
                    g = g.add(p, alpha=group["weight_decay"])
                m, v = state["exp_avg"], state["exp_avg_sq"]
                m.mul_(beta1).add_(g, alpha=1 - beta1)
                v.mul_(beta2).addcmul_(g, g.conj(), value=1 - beta2)
                corrected = v / (1 - beta2**t)
                root = (corrected + eps**2).sqrt() if self.eps_inside else corrected.sqrt() + eps
                p.sub_(lr / (1 - beta1**t) * m / root)
        return loss


class EpsInside(Adam):
    eps_inside = True


class DecaysWithoutLr(Adam):
    decays_without_lr = True


class EpsInsideAndDecaysWithoutLr(EpsInside, DecaysWithoutLr):
    pass


class FirstGroupsEps(Adam):
    first_eps_only = True


class FirstGroupsEpsAndDecaysWithoutLr(FirstGroupsEps, DecaysWithoutLr):
    pass


class FirstGroupsEpsAndEpsInside(FirstGroupsEps, EpsInside):
    pass


class RaisesOnMissing(Adam):
    """A step without one of the gradients raises."""

    def step(self, closure=None):
        if any(p.grad is None for group in self.param_groups for p in group["params"]):
            raise RuntimeError("a gradient is missing")
        return super().step(closure)


class RaisesOnMissingAndDecaysWithoutLr(RaisesOnMissing, DecaysWithoutLr):
    pass


class Prints(Adam):
    def step(self, closure=None):
        print("step")
        return super().step(closure)


class Rare(Adam):
    """Wrong where a hyperparameter is edited to a value that no fixed program has."""

    def step(self, closure=None):
        odd = any(0.5 < group["lr"] < 1 or 0.1 < group["lr"] < 0.5 for group in self.param_groups)
        self.eps_inside = odd
        return super().step(closure)


class Switched(Adam):
    """Wrong until there is a file called mended in the current folder."""

    def step(self, closure=None):
        self.eps_inside = not Path("mended").exists()
        return super().step(closure)
