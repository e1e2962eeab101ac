"""Right optimizers with factored second moments, each in a form that the field does not use."""

import torch
from _sound import demand_all


class _Factored(torch.optim.Optimizer):
    """The loop; every class does its own arithmetic in ``update``."""

    row, column, whole = "exp_avg_sq_row", "exp_avg_sq_col", "exp_avg_sq"
    further = ()

    def __init__(self, params, lr, maximize, **defaults):
        demand_all(dict(lr=lr, **{k: v for k, v in defaults.items() if k not in ("eps", "beta2_decay", "decay_rate")}))
        if not 0 <= defaults["eps"][0] < float("inf") or not 0 <= defaults["eps"][1] < float("inf"):
            raise ValueError(f"eps must be two numbers that are not negative, and is {defaults['eps']}")
        super().__init__(params, dict(lr=lr, maximize=maximize, **defaults))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.grad.is_sparse or p.is_complex():
                    raise RuntimeError("sparse gradients and complex parameters are not supported")
                state = self.state[p]
                if not state:
                    state["step"] = 0
                    self.start(p, state)
                state["step"] += 1
                if p.numel():
                    self.update(p, -p.grad if group["maximize"] else p.grad, state, group)
        return loss

    def start(self, p, state):
        if p.dim() > 1:
            state[self.row] = p.new_zeros(p.shape[:-1])
            state[self.column] = p.new_zeros((*p.shape[:-2], p.shape[-1]))
        else:
            state[self.whole] = torch.zeros_like(p)
        state.update({key: torch.zeros_like(p) for key in self.further})


def mix(old, new, weight):
    old.copy_(weight * new + (1 - weight) * old)


def rms(x):
    return x.square().mean().sqrt()


def demand_decay(decay):
    if not isinstance(decay, int | float) or not decay <= 0 or decay == -float("inf"):
        raise ValueError(f"the decay of beta2 must not be positive, and is {decay!r}")


class AdafactorBySums(_Factored):
    """Sums of rows and columns in the place of means, and the estimate is a quotient of roots."""

    row, column, whole = "row_var", "col_var", "variance"

    def __init__(self, params, lr=1e-2, beta2_decay=-0.8, eps=(1e-30, 1e-3), d=1.0, weight_decay=0.0, maximize=False):
        demand_decay(beta2_decay)
        if not isinstance(d, int | float) or not d >= 1:
            raise ValueError(f"d must be at least 1, and is {d!r}")
        super().__init__(params, lr, maximize, beta2_decay=beta2_decay, eps=eps, d=d, weight_decay=weight_decay)

    def start(self, p, state):
        super().start(p, state)
        if p.dim() > 1:
            state[self.row], state[self.column] = state[self.row].unsqueeze(-1), state[self.column].unsqueeze(-2)

    def update(self, p, g, state, group):
        (eps1, eps2), t, lr = group["eps"], state["step"], group["lr"]
        weight = t ** group["beta2_decay"]
        if p.dim() > 1:
            r, c = state[self.row], state[self.column]
            mix(r, (g * g).sum(-1, keepdim=True) / p.shape[-1], weight)
            mix(c, (g * g).sum(-2, keepdim=True) / p.shape[-2], weight)
            variance = r * c / (r.sum(-2, keepdim=True) / p.shape[-2]).clamp(min=eps1)
        else:
            mix(state[self.whole], g * g, weight)
            variance = state[self.whole]
        u = g / variance.clamp(min=eps1**2).sqrt()
        length = max(1.0, (u * u).sum().item() ** 0.5 / (p.numel() ** 0.5 * group["d"]))
        alpha = max(eps2, rms(p).item()) * min(lr, t**-0.5)
        p.copy_(p * (1 - lr * group["weight_decay"]) - alpha / length * u)


class AdafactorOfUsers(_Factored):
    """Roots of rows and columns are taken one by one; no relative step."""

    further = ("exp_avg",)

    def __init__(
        self, params, lr=1e-2, beta1=0.0, decay_rate=-0.8, eps=(1e-30, 1e-3), clip_threshold=1.0, weight_decay=0.0,
        scale_parameter=True, relative_step=True, maximize=False,
    ):  # fmt: skip
        demand_decay(decay_rate)
        if not isinstance(beta1, int | float) or not 0 <= beta1 < 1:
            raise ValueError(f"beta1 must be a number from 0 to below 1, and is {beta1!r}")
        if clip_threshold == 0:
            raise ValueError("clip_threshold must not be 0")
        super().__init__(
            params, lr, maximize, beta1=beta1, decay_rate=decay_rate, eps=eps, clip_threshold=clip_threshold,
            weight_decay=weight_decay, scale_parameter=scale_parameter, relative_step=relative_step,
        )  # fmt: skip

    def rate(self, p, t, group):
        rate = group["lr"]
        if group["relative_step"]:
            rate = min(1e-2, 1 / t**0.5)
        return max(group["eps"][1], rms(p).item()) * rate if group["scale_parameter"] else rate

    def update(self, p, g, state, group):
        weight, square = state["step"] ** group["decay_rate"], g**2 + group["eps"][0]
        if p.dim() > 1:
            mix(state[self.row], square.mean(-1), weight)
            mix(state[self.column], square.mean(-2), weight)
            r = state[self.row]
            r = (r / r.mean(-1, keepdim=True)).sqrt().unsqueeze(-1)
            u = g / r / state[self.column].sqrt().unsqueeze(-2)
        else:
            mix(state[self.whole], square, weight)
            u = g / state[self.whole].sqrt()
        alpha = self.rate(p, state["step"], group)
        u = alpha * u / (rms(u) / group["clip_threshold"]).clamp(min=1)
        mix(state["exp_avg"], u, 1 - group["beta1"])
        p.sub_(alpha * group["weight_decay"] * p + state["exp_avg"])


class CAMEByRoots(_Factored):
    """The confidence is a root that is multiplied, not a quotient."""

    further = ("exp_avg",)

    def __init__(
        self, params, lr=2e-4, betas=(0.9, 0.999, 0.9999), eps=(1e-30, 1e-16), clip_threshold=1.0, weight_decay=0.0,
        maximize=False,
    ):  # fmt: skip
        if not isinstance(betas, tuple | list) or not all(isinstance(b, int | float) and 0 <= b < 1 for b in betas):
            raise ValueError(f"betas must be three numbers from 0 to below 1, and is {betas!r}")
        if clip_threshold == 0:
            raise ValueError("clip_threshold must not be 0")
        super().__init__(params, lr, maximize, eps=eps, clip_threshold=clip_threshold, weight_decay=weight_decay)
        for group in self.param_groups:
            group.setdefault("betas", tuple(betas))
        self.defaults["betas"] = tuple(betas)

    def start(self, p, state):
        super().start(p, state)
        if p.dim() > 1:
            state["exp_avg_res_row"], state["exp_avg_res_col"] = (
                torch.zeros_like(state[k]) for k in (self.row, self.column)
            )

    @staticmethod
    def factored(r, c, x, weight):
        mix(r, x.mean(-1), weight)
        mix(c, x.mean(-2), weight)
        return (r / r.mean(-1, keepdim=True)).unsqueeze(-1) * c.unsqueeze(-2)

    def update(self, p, g, state, group):
        (b1, b2, b3), square = group["betas"], g**2 + group["eps"][0]
        if p.dim() > 1:
            variance = self.factored(state[self.row], state[self.column], square, 1 - b2)
        else:
            mix(state[self.whole], square, 1 - b2)
            variance = state[self.whole]
        u = g * variance.rsqrt()
        u = u / (rms(u) / group["clip_threshold"]).clamp(min=1)
        m = state["exp_avg"]
        mix(m, u, 1 - b1)
        step = m
        if p.dim() > 1:
            surprise = (m - u).square() + group["eps"][1]
            step = m * self.factored(state["exp_avg_res_row"], state["exp_avg_res_col"], surprise, 1 - b3).rsqrt()
        p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(group["lr"] * step)
