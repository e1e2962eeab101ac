"""Right optimizers that keep their promises in an unusual way: closures, arguments, caches, sparse gradients."""

import torch
from _sound import Sound, SoundAdam, SoundSGD, adam, demand, real, sgd


class AdamCached(SoundAdam):
    """What depends on hyperparameters and count alone is cached, and computed anew after any edit."""

    def update(self, p, g, state, group):
        if not state:
            state.update(step=0, exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
        state["step"] += 1
        rate, root, b1, b2, eps, decay = self.numbers(group, state["step"])
        p, g, m, v = real(p), real(g), real(state["exp_avg"]), real(state["exp_avg_sq"])
        g = g.add(p, alpha=decay)
        m.mul_(b1).add_(g, alpha=1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        p.addcdiv_(m, (v.sqrt() / root).add_(eps), value=-rate)

    def numbers(self, group, t):
        lr, (b1, b2) = float(group["lr"]), group["betas"]
        key = (lr, b1, b2, group["eps"], group["weight_decay"], t)
        cache = self.__dict__.setdefault("cache", {})
        if key not in cache:
            cache.clear()
            cache[key] = (lr / (1 - b1**t), (1 - b2**t) ** 0.5, b1, b2, group["eps"], group["weight_decay"])
        return cache[key]


class SGDManualGrad(SoundSGD):
    """The grad mode is switched by hand, and put back also when the closure fails."""

    def step(self, closure=None):
        before, loss = torch.is_grad_enabled(), None
        try:
            if closure is not None:
                torch.set_grad_enabled(True)
                loss = closure()
            torch.set_grad_enabled(False)
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        if p.grad.is_sparse:
                            raise RuntimeError("sparse gradients are not supported")
                        sgd(p, p.grad, self.state[p], group)
        finally:
            torch.set_grad_enabled(before)
        return loss


class RMSpropKeywords(Sound):
    """The constructor takes keywords, and refuses those that it does not know."""

    usual = dict(lr=1e-2, alpha=0.99, eps=1e-8)  # noqa: RUF012

    def __init__(self, params, **hyperparameters):
        unknown = sorted(set(hyperparameters) - set(self.usual))
        if unknown:
            raise TypeError(f"unknown hyperparameters: {', '.join(unknown)}")
        defaults = {**self.usual, **hyperparameters}
        demand(lr=defaults["lr"], eps=defaults["eps"])
        demand(1, alpha=defaults["alpha"])
        super().__init__(params, defaults)

    def update(self, p, g, state, group):
        if not state:
            state["square_avg"] = torch.zeros_like(p)
        p, g, v = real(p), real(g), real(state["square_avg"])
        v.lerp_(g * g, 1 - group["alpha"])
        p.sub_(float(group["lr"]) * (g / (v.sqrt() + group["eps"])))


class SGDSortedForeach(SoundSGD):
    """The foreach path takes parameters by size, the smallest first."""

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, foreach=False):
        super().__init__(params, lr, momentum, dampening, weight_decay)
        self.defaults["foreach"] = foreach
        for group in self.param_groups:
            group.setdefault("foreach", foreach)

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if any(p.grad.is_sparse for p in params):
                raise RuntimeError("sparse gradients are not supported")
            if not group["foreach"]:
                for p in params:
                    sgd(p, p.grad, self.state[p], group)
            elif params:
                self.many(sorted(params, key=torch.Tensor.numel), group)
        return loss

    def many(self, params, group):
        updates = torch._foreach_add([p.grad for p in params], params, alpha=group["weight_decay"])
        if group["momentum"]:
            states = [self.state[p] for p in params]
            old = [(s["momentum_buffer"], u) for s, u in zip(states, updates, strict=True) if s]
            if old:
                buffers, grads = map(list, zip(*old, strict=True))
                torch._foreach_mul_(buffers, group["momentum"])
                torch._foreach_add_(buffers, grads, alpha=1 - group["dampening"])
            for state, update in zip(states, updates, strict=True):
                state.setdefault("momentum_buffer", update)
            updates = [state["momentum_buffer"] for state in states]
        torch._foreach_add_(params, updates, alpha=-float(group["lr"]))


class SGDSparse(SoundSGD):
    """A sparse gradient is made dense, rows that are given twice are added, and none at all is zero."""

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    g = p.grad.to_dense() if p.grad.is_sparse else p.grad
                    sgd(p, g, self.state[p], group)
        return loss


class SGDUnscales(SoundSGD):
    """It unscales gradients for torch's gradient scaler by itself, and skips a step by itself."""

    _step_supports_amp_scaling = True

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        found, scale = getattr(self, "found_inf", None), getattr(self, "grad_scale", None)
        if found is not None and found.item() > 0:
            return loss
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.grad.is_sparse:
                    raise RuntimeError("sparse gradients are not supported")
                sgd(p, p.grad if scale is None else p.grad / scale.to(p.device), self.state[p], group)
        return loss


class AdamBranches(SoundAdam):
    """Compiled code takes a branch of its own, which computes the same with tensors."""

    def update(self, p, g, state, group):
        if not state:
            state.update(step=torch.tensor(0.0), exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
        state["step"] += 1
        if not torch.compiler.is_compiling():
            adam(p, g, state["exp_avg"], state["exp_avg_sq"], state["step"].item(), group)
            return
        (b1, b2), t = group["betas"], state["step"].double()
        p, g, m, v = real(p), real(g), real(state["exp_avg"]), real(state["exp_avg_sq"])
        g = g + group["weight_decay"] * p
        m.copy_(b1 * m + (1 - b1) * g)
        v.copy_(b2 * v + (1 - b2) * g * g)
        root, rate = torch.sqrt(1 - b2**t), float(group["lr"]) / (1 - b1**t)
        p.copy_(p - rate * m / (v.sqrt() / root + group["eps"]))


class SGDScratch(SoundSGD):
    """Updates are computed in scratch memory by shape, which all parameters share and nothing survives in."""

    def update(self, p, g, state, group):
        key = (tuple(p.shape), p.dtype, p.device)
        scratch = self.__dict__.setdefault("scratch", {})
        if key not in scratch:
            scratch[key] = torch.empty(p.shape, dtype=p.dtype, device=p.device)
        work = scratch[key].copy_(g).add_(p, alpha=group["weight_decay"])
        if group["momentum"]:
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.empty_like(p).copy_(work)
            else:
                state["momentum_buffer"].mul_(group["momentum"]).add_(work, alpha=1 - group["dampening"])
            work.copy_(state["momentum_buffer"])
        p.sub_(work.mul_(float(group["lr"])))


class SGDBackwards(SoundSGD):
    """Groups and parameters are walked from the last to the first; repr and zero_grad are its own."""

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in reversed(self.param_groups):
            for p in reversed(group["params"]):
                if p.grad is not None:
                    if p.grad.is_sparse:
                        raise RuntimeError("sparse gradients are not supported")
                    sgd(p, p.grad, self.state[p], group)
        return loss

    def zero_grad(self, set_to_none=True):
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad.detach_().zero_()

    def __repr__(self):
        groups = [", ".join(f"{k}={v}" for k, v in g.items() if k != "params") for g in self.param_groups]
        return f"SGDBackwards({'; '.join(groups)})"


class _Lion(Sound):
    """Made by :func:`make_lion`."""

    def update(self, p, g, state, group):
        if not state:
            state["exp_avg"] = torch.zeros_like(p)
        lr, p, g, m = float(group["lr"]), real(p), real(g), real(state["exp_avg"])
        direction = torch.lerp(g, m, group["beta1"]).sign()
        p.mul_(1 - lr * group["weight_decay"]).add_(direction, alpha=-lr)
        m.lerp_(g, 1 - group["beta2"])


def make_lion(params, lr=1e-4, beta1=0.9, beta2=0.99, weight_decay=0.0):
    """A function that builds Lion, whose betas are two entries of the group."""
    demand(lr=lr, weight_decay=weight_decay)
    demand(1, beta1=beta1, beta2=beta2)
    return _Lion(params, dict(lr=lr, beta1=beta1, beta2=beta2, weight_decay=weight_decay))
