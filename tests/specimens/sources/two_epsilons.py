"""Source 3: an Adam in hooks, with two ways to apply epsilon and a weight decay that has two switches."""

import math

import torch
from torch.optim import Optimizer


class WeightDecay:
    """Decay as an object: added to the gradient or decoupled, and then by lr or absolute."""

    def __init__(self, amount=0.0, decoupled=True, absolute=False):
        self.amount, self.decoupled, self.absolute = amount, decoupled, absolute

    def __call__(self, p, grad, lr):
        if self.decoupled:
            p.data.mul_(1.0 - (self.amount if self.absolute else lr * self.amount))
            return grad
        return grad.add(p.data, alpha=self.amount)


class HookedAdam(Optimizer):
    """State is made, moments are updated, the step is applied, each in a method of its own."""

    optimized = True

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-16, weight_decay=0.0, decoupled=True, absolute=False
    ):
        if not lr >= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not eps >= 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        if not all(0.0 <= beta < 1.0 for beta in betas):
            raise ValueError(f"Invalid betas: {betas}")
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))
        self.decoupled, self.absolute = decoupled, absolute

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.grad.is_sparse:
                    raise RuntimeError("sparse gradients are not supported")
                state = self.state[p]
                if not state:
                    state["step"] = 0
                    state["exp_avg"] = torch.zeros_like(p)
                    state["exp_avg_sq"] = torch.zeros_like(p)
                self.move(p, p.grad, state, group)
        return loss

    def move(self, p, grad, state, group):
        decay = WeightDecay(group["weight_decay"], self.decoupled, self.absolute)
        grad = decay(p, grad, group["lr"])
        beta1, beta2 = group["betas"]
        m, v = state["exp_avg"], state["exp_avg_sq"]
        m.mul_(beta1).add_(grad, alpha=1 - beta1)
        v.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        state["step"] += 1
        correction1, correction2 = 1 - beta1 ** state["step"], 1 - beta2 ** state["step"]
        if self.optimized:
            step_size = group["lr"] * math.sqrt(correction2) / correction1
            p.data.addcdiv_(m, v.sqrt().add_(group["eps"]), value=-step_size)
        else:
            denominator = (v.sqrt() / math.sqrt(correction2)).add_(group["eps"])
            p.data.addcdiv_(m, denominator, value=-group["lr"] / correction1)


class PlainHookedAdam(HookedAdam):
    """Not optimized: epsilon beside the corrected root, as in Algorithm 1."""

    optimized = False
