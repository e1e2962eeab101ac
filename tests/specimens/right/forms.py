"""Right optimizers of the other rules, each in a form that torch does not use."""

import torch
from _sound import demand_all


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class _Optimizer(torch.optim.Optimizer):
    """The loop; every class does its own arithmetic in ``update``, on reals."""

    states = ()
    coupled = True  # whether the loop adds the weight decay to the gradient

    def __init__(self, params, lr, maximize, **defaults):
        demand_all(dict(lr=lr, **defaults))
        super().__init__(params, dict(lr=lr, maximize=maximize, **defaults))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.grad.is_sparse:
                    raise RuntimeError("sparse gradients are not supported")
                state = self.state[p]
                if not state:
                    state["step"] = 0
                    state.update({key: torch.zeros_like(p) for key in self.states})
                    self.start(state, group)
                state["step"] += 1
                views = [_real(state[key]) for key in self.states]
                g = _real(-p.grad if group["maximize"] else p.grad)
                if self.coupled and group.get("weight_decay"):
                    g = g.add(_real(p), alpha=group["weight_decay"])
                self.update(_real(p), g, *views, state, group)
        return loss

    def start(self, state, group):
        pass


class AdagradByNorm(_Optimizer):
    """Adagrad that keeps the root of its sum, by hypot."""

    states = ("norm",)

    def __init__(
        self, params, lr=1e-2, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0,
        eps=1e-10, maximize=False,
    ):  # fmt: skip
        super().__init__(
            params, lr, maximize, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps,
            initial_accumulator_value=initial_accumulator_value,
        )  # fmt: skip

    def start(self, state, group):
        _real(state["norm"]).fill_(group["initial_accumulator_value"] ** 0.5)

    def update(self, p, g, norm, state, group):
        torch.hypot(norm, g, out=norm)
        rate = group["lr"] / (1 + (state["step"] - 1) * group["lr_decay"])
        p.sub_(rate * (g / (norm + group["eps"])))


class AdadeltaByQuotient(_Optimizer):
    """Adadelta that divides the gradient by the quotient of the two roots."""

    states = ("square_avg", "acc_delta")

    def __init__(self, params, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0.0, maximize=False):
        super().__init__(params, lr, maximize, rho=rho, eps=eps, weight_decay=weight_decay)

    def update(self, p, g, v, u, state, group):
        rho, eps = group["rho"], group["eps"]
        wide = torch.promote_types(p.dtype, torch.float32)
        v.copy_(rho * v + (1 - rho) * g * g)
        delta = g.to(wide) / ((v.to(wide) + eps).sqrt() / (u.to(wide) + eps).sqrt())
        u.copy_(rho * u + (1 - rho) * delta * delta)
        p.copy_(p - group["lr"] * delta)


class RMSpropByVariance(_Optimizer):
    """RMSprop that averages squared deviations when it is centred; nothing is subtracted."""

    states = ("variance", "grad_avg", "momentum_buffer")

    def __init__(
        self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0,
        centered=False, maximize=False,
    ):  # fmt: skip
        rest = dict(alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum)
        rest["centered"] = centered
        super().__init__(params, lr, maximize, **rest)

    def update(self, p, g, variance, mean, buffer, state, group):
        alpha = group["alpha"]
        if group["centered"]:
            variance.add_((1 - alpha) * (g - mean) ** 2).mul_(alpha)
            mean.lerp_(g, 1 - alpha)
        else:
            variance.mul_(alpha).add_((1 - alpha) * g**2)
        step = g / (variance.sqrt() + group["eps"])
        if group["momentum"] > 0:
            step = buffer.mul_(group["momentum"]).add_(step)
        p.sub_(group["lr"] * step)


class AdamaxStacked(_Optimizer):
    """Adamax whose norm is the largest along a stack of two."""

    states = ("exp_avg", "exp_inf")

    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, maximize=False):
        super().__init__(params, lr, maximize, betas=betas, eps=eps, weight_decay=weight_decay)

    def update(self, p, g, m, u, state, group):
        b1, b2 = group["betas"]
        m.mul_(b1).add_((1 - b1) * g)
        u.copy_(torch.stack([b2 * u, g.abs() + group["eps"]]).amax(0))
        p.sub_(group["lr"] * (m / (1 - b1 ** state["step"]) / u))


class NAdamOneQuotient(_Optimizer):
    """NAdam with one numerator and one division; its product of mus is a Python float."""

    states = ("exp_avg", "exp_avg_sq")

    def __init__(
        self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, momentum_decay=4e-3,
        maximize=False,
    ):  # fmt: skip
        rest = dict(betas=betas, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay)
        super().__init__(params, lr, maximize, **rest)

    def start(self, state, group):
        state["mu_product"] = 1.0

    def update(self, p, g, m, v, state, group):
        (b1, b2), t, decay = group["betas"], state["step"], group["momentum_decay"]
        mu = b1 * (1 - 0.5 * 0.96 ** (t * decay))
        mu_next = b1 * (1 - 0.5 * 0.96 ** ((t + 1) * decay))
        state["mu_product"] *= mu
        m.mul_(b1).add_(g, alpha=1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        of_g = (1 - mu) / (1 - state["mu_product"])
        of_m = mu_next / (1 - state["mu_product"] * mu_next)
        divisor = v.sqrt() / (1 - b2**t) ** 0.5 + group["eps"]
        p.sub_(group["lr"] * ((of_g * g + of_m * m) / divisor))


class RAdamOneStep(_Optimizer):
    """RAdam whose two branches are one: the divisor is 1 where the length is too short."""

    states = ("exp_avg", "exp_avg_sq")

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, maximize=False):
        super().__init__(params, lr, maximize, betas=betas, eps=eps, weight_decay=weight_decay)

    def update(self, p, g, m, v, state, group):
        (b1, b2), t = group["betas"], state["step"]
        m.mul_(b1).add_(g, alpha=1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        rate, divisor = group["lr"] / (1 - b1**t), 1
        whole = 2 / (1 - b2) - 1
        length = whole - 2 * t * b2**t / (1 - b2**t)
        if length > 5:
            shrunk = (length - 4) / (whole - 4) * (length - 2) / (whole - 2) * whole / length
            rate *= (shrunk * (1 - b2**t)) ** 0.5
            divisor = v.sqrt() + group["eps"]
        p.sub_(rate * (m / divisor))


class RpropWhere(_Optimizer):
    """Rprop by torch.where."""

    states = ("prev", "step_size")

    def __init__(self, params, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50), maximize=False):
        super().__init__(params, lr, maximize, etas=etas, step_sizes=step_sizes)

    def start(self, state, group):
        _real(state["step_size"]).fill_(group["lr"])

    def update(self, p, g, prev, size, state, group):
        (down, up), agreement = group["etas"], torch.sign(g) * torch.sign(prev)
        grown = torch.where(agreement > 0, size * up, size)
        size.copy_(torch.where(agreement < 0, size * down, grown).clamp(*group["step_sizes"]))
        prev.copy_(torch.where(agreement < 0, torch.zeros_like(g), g))
        p.sub_(torch.sign(prev) * size)


class ASGDFloats(_Optimizer):
    """ASGD whose eta and mu are Python floats."""

    states = ("ax",)

    def __init__(self, params, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0.0, maximize=False):
        rest = dict(lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay)
        super().__init__(params, lr, maximize, **rest)

    def start(self, state, group):
        state["eta"], state["mu"] = group["lr"], 1.0

    def update(self, p, g, ax, state, group):
        lr, lambd, eta, t = group["lr"], group["lambd"], state["eta"], state["step"]
        p.copy_(p - lambd * eta * p - eta * g)
        ax.lerp_(p, state["mu"])
        state["eta"] = lr / (1 + lambd * lr * t) ** group["alpha"]
        state["mu"] = 1 / max(1.0, t - group["t0"])


class LionWhere(_Optimizer):
    """Lion by torch.where."""

    states = ("exp_avg",)
    coupled = False

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, maximize=False):
        super().__init__(params, lr, maximize, betas=betas, weight_decay=weight_decay)

    def update(self, p, g, m, state, group):
        (b1, b2), lr = group["betas"], group["lr"]
        blend = b1 * m + (1 - b1) * g
        up, down = blend < 0, blend > 0
        p.sub_(lr * group["weight_decay"] * p)
        p.copy_(torch.where(up, p + lr, torch.where(down, p - lr, p)))
        m.mul_(b2).add_((1 - b2) * g)
