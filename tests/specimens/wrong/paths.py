"""Wrong foreach paths beside right loops, in SGD: ``many`` is what a specimen gets wrong."""

import torch


class _SGD(torch.optim.Optimizer):
    """The right one, in a loop and in foreach."""

    def __init__(self, params, lr=1e-3, momentum=0.0, weight_decay=0.0, foreach=False):
        defaults = dict(lr=lr, momentum=momentum, weight_decay=weight_decay, foreach=foreach)
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            grads = [p.grad for p in params]
            if params and group["foreach"]:
                self.many(params, grads, group, group["lr"], group["weight_decay"])
            else:
                for p, g in zip(params, grads, strict=True):
                    g = self.buffer(p, g + group["weight_decay"] * p, group["momentum"])
                    p.sub_(group["lr"] * g)
        return loss

    def buffer(self, p, g, momentum):
        if momentum == 0:
            return g
        if "momentum_buffer" not in self.state[p]:
            self.state[p]["momentum_buffer"] = g.clone()
        else:
            self.state[p]["momentum_buffer"].mul_(momentum).add_(g)
        return self.state[p]["momentum_buffer"]

    def many(self, params, grads, group, lr, wd):
        grads = torch._foreach_add(grads, params, alpha=wd)
        grads = [self.buffer(p, g, group["momentum"]) for p, g in zip(params, grads, strict=True)]
        torch._foreach_add_(params, grads, alpha=-lr)


class ForeachDecaysGradient(_SGD):
    """The foreach path adds the decay into the gradients in place. [G02]"""

    def many(self, params, grads, group, lr, wd):
        torch._foreach_add_(grads, params, alpha=wd)
        grads = [self.buffer(p, g, group["momentum"]) for p, g in zip(params, grads, strict=True)]
        torch._foreach_add_(params, grads, alpha=-lr)


class ForeachDecaysAfterMomentum(_SGD):
    """The foreach path adds the decay after the momentum, the loop before it. [U07]"""

    def many(self, params, grads, group, lr, wd):
        grads = [self.buffer(p, g, group["momentum"]) for p, g in zip(params, grads, strict=True)]
        grads = torch._foreach_add(grads, params, alpha=wd)
        torch._foreach_add_(params, grads, alpha=-lr)


class ForeachForOneShape(_SGD):
    """The foreach path moves only the parameters whose shape is that of the first."""

    def many(self, params, grads, group, lr, wd):
        alike = [p for p in params if p.shape == params[0].shape]
        super().many(alike, [p.grad for p in alike], group, lr, wd)
