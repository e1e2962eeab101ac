"""Right optimizers that move many parameters at once."""

import torch
from _sound import demand_all


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class AdamWFlat(torch.optim.Optimizer):
    """All parameters of a group are gathered into one vector, moved, and scattered back."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        defaults = dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        demand_all(defaults)
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if any(p.grad.is_sparse for p in params):
                raise RuntimeError("sparse gradients are not supported")
            for p in params:
                if not self.state[p]:
                    self.state[p]["step"] = torch.tensor(0.0)
                    self.state[p]["exp_avg"] = torch.zeros_like(p)
                    self.state[p]["exp_avg_sq"] = torch.zeros_like(p)
                self.state[p]["step"] += 1
            if params:
                self.move(params, group)
        return loss

    def move(self, params, group):
        (b1, b2), lr = group["betas"], group["lr"]
        states = [self.state[p] for p in params]
        targets = (params, [s["exp_avg"] for s in states], [s["exp_avg_sq"] for s in states])
        p, m, v = (torch.cat([_real(x).flatten().double() for x in xs]) for xs in targets)
        g = torch.cat([_real(x.grad).flatten().double() for x in params])
        sizes = torch.tensor([_real(x).numel() for x in params])
        t = torch.stack([s["step"] for s in states]).double().repeat_interleave(sizes)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        quotient = m / (1 - b1**t) / ((v / (1 - b2**t)).sqrt() + group["eps"])
        p = p - lr * group["weight_decay"] * p - lr * quotient
        for xs, vector in zip(targets, (p, m, v), strict=True):
            for x, piece in zip(xs, vector.split(sizes.tolist()), strict=True):
                _real(x).copy_(piece.view_as(_real(x)))


class SGDForeach(torch.optim.Optimizer):
    """SGD with a loop and a foreach path."""

    def __init__(
        self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False,
        maximize=False, foreach=True,
    ):  # fmt: skip
        demand_all(dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay))
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("nesterov needs a momentum and no dampening")
        defaults = dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay)
        defaults |= dict(nesterov=nesterov, maximize=maximize, foreach=foreach)
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if any(p.grad.is_sparse for p in params):
                raise RuntimeError("sparse gradients are not supported")
            if group["foreach"] and params:
                self.move(params, group)
            else:
                for p in params:
                    self.move([p], group)
        return loss

    def move(self, params, group):
        grads = [p.grad for p in params]
        if group["maximize"]:
            grads = torch._foreach_neg(grads)
        if group["weight_decay"]:
            grads = torch._foreach_add(grads, params, alpha=group["weight_decay"])
        if group["momentum"]:
            buffers = self.accumulate(params, grads, group["momentum"], group["dampening"])
            if group["nesterov"]:
                grads = torch._foreach_add(grads, buffers, alpha=group["momentum"])
            else:
                grads = buffers
        torch._foreach_add_(params, grads, alpha=-group["lr"])

    def accumulate(self, params, grads, momentum, dampening):
        for p, g in zip(params, grads, strict=True):
            state = self.state[p]
            if "momentum_buffer" in state:
                state["momentum_buffer"].mul_(momentum).add_(g, alpha=1 - dampening)
            else:
                state["momentum_buffer"] = g.clone()
        return [self.state[p]["momentum_buffer"] for p in params]
