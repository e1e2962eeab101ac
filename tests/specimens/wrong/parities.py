"""Wrong in one of two ways that should agree: implementations, layouts, maximize, complex, slices."""

import torch
from _faithful import SGD, Adam, AdamW, Faithful, Lion, RMSprop, real

# -- implementations -------------------------------------------------------------------------


class _Foreach(Faithful):
    """Right Adam in a loop and in foreach; ``many`` and its pieces are what a specimen gets wrong."""

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, maximize=False, foreach=False
    ):  # fmt: skip
        defaults = dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        super().__init__(params, defaults | dict(maximize=maximize, foreach=foreach))

    def walk(self):
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            grads = [self.gradient(p, group) for p in params]
            states = [self.state[p] for p in params]
            for p, state in zip(params, states, strict=True):
                if not state:
                    state["step"] = torch.tensor(0.0)
                    state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(p), torch.zeros_like(p)
                state["step"] += 1
            if params and group["foreach"]:
                self.many(params, grads, states, group)
            else:
                for p, g, state in zip(params, grads, states, strict=True):
                    _Foreach.many(self, [p], [g], [state], group)

    def many(self, params, grads, states, group):
        lr, (b1, b2), decay = float(group["lr"]), group["betas"], group["weight_decay"]
        params, grads = [real(p) for p in params], [real(g) for g in grads]
        m, v = [real(s["exp_avg"]) for s in states], [real(s["exp_avg_sq"]) for s in states]
        counts = [s["step"].item() for s in states]
        grads = torch._foreach_add(grads, params, alpha=decay)
        torch._foreach_lerp_(m, grads, 1 - b1)
        torch._foreach_mul_(v, b2)
        torch._foreach_addcmul_(v, grads, grads, 1 - b2)
        divisors = torch._foreach_sqrt(v)
        torch._foreach_div_(divisors, [(1 - b2**t) ** 0.5 for t in counts])
        torch._foreach_add_(divisors, group["eps"])
        torch._foreach_addcdiv_(params, m, divisors, [-lr / (1 - b1**t) for t in counts])


class ForeachCountOfFirst(_Foreach):
    """The foreach path corrects all parameters by the count of the first one. [S01]"""

    def many(self, params, grads, states, group):
        states = [{**state, "step": states[0]["step"]} for state in states]
        super().many(params, grads, states, group)


class ForeachLosesSmallDecay(_Foreach):
    """The foreach path leaves the decay out of parameters with fewer than two dimensions."""

    def many(self, params, grads, states, group):
        grads = [g - group["weight_decay"] * p if p.dim() < 2 else g for p, g in zip(params, grads, strict=True)]
        super().many(params, grads, states, group)


class ForeachEpsRelative(_Foreach):
    """The foreach path divides epsilon by the bias correction, and the loop does not. [F01]"""

    def many(self, params, grads, states, group):
        for p, g, state in zip(params, grads, states, strict=True):
            second = (1 - group["betas"][1] ** state["step"].item()) ** 0.5
            super().many([p], [g], [state], {**group, "eps": group["eps"] / second})


# -- layouts ---------------------------------------------------------------------------------


class DecaySkipsNonContiguous(AdamW):
    """The decay is left out for a parameter that is not contiguous."""

    def decayed(self, p, g, group):
        return super().decayed(p, g, group) if p.is_contiguous() else g


class TransposedGradient(SGD):
    """A matrix that is not contiguous is moved by its gradient in the order of columns."""

    def gradient(self, p, group):
        g = super().gradient(p, group)
        return g if p.is_contiguous() or p.dim() != 2 else g.t().reshape(p.shape)


# -- maximize --------------------------------------------------------------------------------


class MaximizeUndoneByDecay(SGD):
    """With weight decay the gradient is negated once more for maximize. [G03]"""

    def decayed(self, p, g, group):
        g = -g if group["maximize"] and group["weight_decay"] else g
        return super().decayed(p, g, group)


class MaximizeMissesFirstBuffer(SGD):
    """The first momentum buffer is the gradient as it came, also when maximizing."""

    def velocity(self, g, state, group):
        g = -g if group["maximize"] and group["momentum"] and not state else g
        return super().velocity(g, state, group)


# -- complex ---------------------------------------------------------------------------------


class ComplexSquareOfModulus(Adam):
    """The second moment of a complex parameter is that of the modulus, for both parts."""

    def move(self, p, g, state, group):
        self.pairs = p.is_complex()
        super().move(p, g, state, group)

    def update(self, p, g, m, v, t, group):
        b1, b2 = group["betas"]
        square = (g * g).sum(-1, keepdim=True) if self.pairs else g * g
        m.lerp_(g, 1 - b1)
        v.mul_(b2).add_(square, alpha=1 - b2)
        p.addcdiv_(m, v.sqrt().div_((1 - b2**t) ** 0.5).add_(group["eps"]), value=-self.rate(t, group))


class ComplexConjugated(SGD):
    """A complex parameter moves along the conjugate of its gradient."""

    def gradient(self, p, group):
        return super().gradient(p, group).conj().resolve_conj()


class ComplexImaginaryLeft(RMSprop):
    """Only the real part of a complex parameter moves."""

    def move(self, p, g, state, group):
        self.pairs = p.is_complex()
        super().move(p, g, state, group)

    def divide(self, p, g, divisor, lr):
        if self.pairs:
            p, g, divisor = p[..., :1], g[..., :1], divisor[..., :1]
        super().divide(p, g, divisor, lr)


class ComplexSign(Lion):
    """The sign of a complex number is taken as the number over its modulus."""

    def move(self, p, g, state, group):
        if not p.is_complex():
            super().move(p, g, state, group)
            return
        if not state:
            state["exp_avg"] = torch.zeros_like(p)
        lr, (b1, b2), m = float(group["lr"]), group["betas"], state["exp_avg"]
        p.mul_(1 - lr * group["weight_decay"]).sub_(lr * torch.sgn(b1 * m + (1 - b1) * g))
        m.mul_(b2).add_(g, alpha=1 - b2)


# -- slices ----------------------------------------------------------------------------------


class LargeTensorsRounded(SGD):
    """The gradient of a tensor of more than 64 elements goes through eight bits with one scale."""

    def gradient(self, p, group):
        g = super().gradient(p, group)
        if g.numel() <= 64 or not g.isfinite().all():
            return g
        scale = real(g).abs().max() / 127
        rounded = torch.round(real(g) / scale) * scale if scale > 0 else real(g)
        return torch.view_as_complex(rounded) if g.is_complex() else rounded


class ClippedByOwnNorm(SGD):
    """The gradient of a tensor is scaled to a norm of at most 1."""

    def gradient(self, p, group):
        g = super().gradient(p, group)
        norm = g.norm().item()
        return g / norm if norm > 1 else g


class GradientCentred(SGD):
    """The mean over the tensor is taken from a gradient of more than one element."""

    def gradient(self, p, group):
        g = super().gradient(p, group)
        return g - g.mean() if g.numel() > 1 else g


class TrustRatio(SGD):
    """lr is multiplied by the parameter's norm over the gradient's. [F34]"""

    def move(self, p, g, state, group):
        weight, size = p.norm().item(), g.norm().item()
        ratio = weight / size if weight > 0 and size > 0 else 1.0
        super().move(p, g, state, {**group, "lr": float(group["lr"]) * ratio})
