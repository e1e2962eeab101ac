"""Right Adams whose operations come in another order, or are written without fused operations."""

import torch
from _sound import demand_all


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class _Adam(torch.optim.Optimizer):
    """The loop; every class does its own arithmetic in ``update``."""

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False,
        maximize=False,
    ):  # fmt: skip
        defaults = dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        demand_all(defaults)
        super().__init__(params, defaults | dict(amsgrad=amsgrad, maximize=maximize))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.grad.is_sparse:
                    raise RuntimeError("sparse gradients are not supported; see SparseAdam")
                g = -p.grad if group["maximize"] else p.grad
                state = self.state[p]
                if not state:
                    state["step"] = 0
                    keys = ["exp_avg", "exp_avg_sq", *["max_exp_avg_sq"] * group["amsgrad"]]
                    state.update({key: torch.zeros_like(p) for key in keys})
                state["step"] += 1
                views = {k: _real(v) for k, v in state.items() if k != "step"}
                lr, wd, eps, betas = (group[k] for k in ("lr", "weight_decay", "eps", "betas"))
                self.update(_real(p), _real(g), views, state["step"], lr, wd, eps, *betas)
        return loss


class AdamTextbook(_Adam):
    """Algorithm 1 line by line, with an integer count and a new tensor for every line."""

    def update(self, p, g, state, t, lr, wd, eps, b1, b2):
        if wd:
            g = g + wd * p
        m = b1 * state["exp_avg"] + (1 - b1) * g
        v = b2 * state["exp_avg_sq"] + (1 - b2) * (g * g)
        state["exp_avg"].copy_(m)
        state["exp_avg_sq"].copy_(v)
        if "max_exp_avg_sq" in state:
            v = torch.where(v > state["max_exp_avg_sq"], v, state["max_exp_avg_sq"])
            state["max_exp_avg_sq"].copy_(v)
        m_hat = m / (1 - b1**t)
        v_hat = v / (1 - b2**t)
        p.copy_(p - lr * m_hat / (torch.sqrt(v_hat) + eps))


class AdamLerpByHand(_Adam):
    """The first moment moves part of the way to the gradient, from the end that is nearer."""

    def update(self, p, g, state, t, lr, wd, eps, b1, b2):
        m, v = state["exp_avg"], state["exp_avg_sq"]
        g = g + wd * p
        if b1 > 0.5:
            m += (1 - b1) * (g - m)
        else:
            m.copy_(g - b1 * (g - m))
        v *= b2
        v += (1 - b2) * g**2
        if "max_exp_avg_sq" in state:
            v = state["max_exp_avg_sq"].copy_(torch.maximum(v, state["max_exp_avg_sq"]))
        p -= (lr / (1 - b1**t)) * (m / ((v / (1 - b2**t)) ** 0.5 + eps))


class AdamRescaledEps(_Adam):
    """The root is not corrected; lr and epsilon are scaled by what it lacks."""

    def update(self, p, g, state, t, lr, wd, eps, b1, b2):
        m, v = state["exp_avg"], state["exp_avg_sq"]
        g = g.add(p, alpha=wd)
        m.lerp_(g, 1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        if "max_exp_avg_sq" in state:
            v = torch.maximum(v, state["max_exp_avg_sq"], out=state["max_exp_avg_sq"])
        root = (1 - b2**t) ** 0.5
        wide = torch.promote_types(p.dtype, torch.float32)
        divisor = v.to(wide).sqrt() + eps * root
        p.copy_(p - (lr * root / (1 - b1**t)) * (m.to(wide) / divisor))


class AdamTensorCorrections(_Adam):
    """The bias corrections are tensors of no dimensions; so is the step size."""

    def update(self, p, g, state, t, lr, wd, eps, b1, b2):
        m, v = state["exp_avg"], state["exp_avg_sq"]
        g = g.add(p, alpha=wd)
        m.lerp_(g, 1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        if "max_exp_avg_sq" in state:
            v = torch.maximum(v, state["max_exp_avg_sq"], out=state["max_exp_avg_sq"])
        c1, c2 = 1 - torch.tensor([b1, b2], dtype=torch.float64) ** t
        divisor = v.sqrt() / c2.sqrt() + eps
        p.copy_(p - (lr / c1) * (m / divisor))


class _AdamW(_Adam):
    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False,
        maximize=False,
    ):  # fmt: skip
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize)


class AdamWDecaySubtracted(_AdamW):
    """AdamW whose decay is a term of the update: p - lr * wd * p - lr * quotient."""

    def update(self, p, g, state, t, lr, wd, eps, b1, b2):
        m, v = state["exp_avg"], state["exp_avg_sq"]
        m.mul_(b1).add_(g, alpha=1 - b1)
        v.mul_(b2).add_(g.square(), alpha=1 - b2)
        if "max_exp_avg_sq" in state:
            v = torch.maximum(v, state["max_exp_avg_sq"], out=state["max_exp_avg_sq"])
        quotient = (m / (1 - b1**t)) / ((v / (1 - b2**t)).sqrt() + eps)
        p.copy_(p - lr * wd * p - lr * quotient)


class AdamWDecayOfOld(_AdamW):
    """AdamW that steps first and then subtracts the decay of the parameter before the step."""

    def update(self, p, g, state, t, lr, wd, eps, b1, b2):
        m, v = state["exp_avg"], state["exp_avg_sq"]
        decay = lr * wd * p
        m.mul_(b1).add_(g, alpha=1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        if "max_exp_avg_sq" in state:
            v = torch.maximum(v, state["max_exp_avg_sq"], out=state["max_exp_avg_sq"])
        root = (1 - b2**t) ** 0.5
        p.addcdiv_(m, v.sqrt() / root + eps, value=-lr / (1 - b1**t))
        p.sub_(decay)


class AdamEpsHat(_Adam):
    """The epsilon-hat form with its step size worked out before the loop over tensors."""

    def update(self, p, g, state, t, lr, wd, eps, b1, b2):
        m, v = state["exp_avg"], state["exp_avg_sq"]
        g = g.add(p, alpha=wd)
        rate = lr * (1 - b2**t) ** 0.5 / (1 - b1**t)
        m.lerp_(g, 1 - b1)
        v.lerp_(g * g, 1 - b2)
        if "max_exp_avg_sq" in state:
            v = torch.maximum(v, state["max_exp_avg_sq"], out=state["max_exp_avg_sq"])
        p.addcdiv_(m, v.sqrt().add_(eps), value=-rate)
