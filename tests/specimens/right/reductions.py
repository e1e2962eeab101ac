"""Right optimizers of rules with reductions, each in a form that the field does not use."""

import torch
from _sound import demand_all


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class _Optimizer(torch.optim.Optimizer):
    """The loop; every class does its own arithmetic in ``update``, on reals."""

    states = ()

    def __init__(self, params, lr, maximize, **defaults):
        demand_all(dict(lr=lr, **defaults))
        for name in ("trust_coefficient", "clamp_value"):
            if defaults.get(name) == 0:
                raise ValueError(f"{name} must not be 0")
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
                    self.start(state, _real(p.grad))
                state["step"] += 1
                g = _real(-p.grad if group["maximize"] else p.grad)
                self.update(_real(p), g, *(_real(state[key]) for key in self.states), state, group)
        return loss

    def start(self, state, g):
        pass


def where(condition, one, other):
    return torch.where(condition, one, torch.full_like(one, other))


class LARSByDots(_Optimizer):
    """Norms are roots of dot products, and the local rate is folded into the rate."""

    states = ("momentum_buffer",)

    def __init__(self, params, lr=1e-3, momentum=0.0, weight_decay=0.0, trust_coefficient=1e-3, maximize=False):
        super().__init__(
            params, lr, maximize, momentum=momentum, weight_decay=weight_decay, trust_coefficient=trust_coefficient
        )

    def update(self, p, g, velocity, state, group):
        x, y = p.reshape(-1), g.reshape(-1)
        p_norm, g_norm = torch.dot(x, x).sqrt(), torch.dot(y, y).sqrt()
        local = group["trust_coefficient"] / (g_norm / p_norm + group["weight_decay"])
        rate = group["lr"] * where((p_norm > 0) & (g_norm > 0), local, 1.0)
        velocity.mul_(group["momentum"]).add_(rate * g + rate * group["weight_decay"] * p)
        p.sub_(velocity)


class LARSOutside(_Optimizer):
    """The norms of both are taken in float64, and the local rate is a Python number."""

    states = ("momentum_buffer",)

    def __init__(
        self, params, lr=1e-3, momentum=0.0, weight_decay=0.0, trust_coefficient=1e-3, eps=0.0, nesterov=False,
        maximize=False,
    ):  # fmt: skip
        super().__init__(
            params, lr, maximize, momentum=momentum, weight_decay=weight_decay, trust_coefficient=trust_coefficient,
            eps=eps, nesterov=nesterov,
        )  # fmt: skip

    def update(self, p, g, buffer, state, group):
        p_norm, g_norm = (x.double().norm().item() for x in (p, g))
        divisor = g_norm + group["weight_decay"] * p_norm + group["eps"]
        local = group["trust_coefficient"] * p_norm / divisor if p_norm > 0 and g_norm > 0 else 1.0
        g = local * (g + group["weight_decay"] * p)
        if group["momentum"]:
            g = buffer.mul_(group["momentum"]).add_(g) if not group["nesterov"] else self.ahead(buffer, g, group)
        p.sub_(group["lr"] * g)

    def ahead(self, buffer, g, group):
        return g + buffer.mul_(group["momentum"]).add_(g) * group["momentum"]


class LAMBByHalves(_Optimizer):
    """Norms are those of the norms of two halves; a direction of length one is made first and stretched then."""

    states = ("exp_avg", "exp_avg_sq")

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.01, maximize=False):
        super().__init__(params, lr, maximize, betas=betas, eps=eps, weight_decay=weight_decay)

    @staticmethod
    def length(x):
        parts = [part.norm() for part in x.reshape(-1).tensor_split(2)]
        return torch.stack(parts).norm()

    def size(self, p, group):
        return self.length(p)

    def corrected(self, m, s, t, group):
        b1, b2 = group["betas"]
        return m / (1 - b1**t), s / (1 - b2**t)

    def update(self, p, g, m, s, state, group):
        b1, b2 = group["betas"]
        m.lerp_(g, 1 - b1)
        s.mul_(b2).addcmul_(g, g, value=1 - b2)
        m_hat, s_hat = self.corrected(m, s, state["step"], group)
        r = m_hat / (s_hat.sqrt() + group["eps"]) + group["weight_decay"] * p
        length, size = self.length(r), self.size(p, group)
        scaled = (length > 0) & (size > 0)
        r = r / where(scaled, length, 1.0) * where(scaled, size, 1.0)
        p.sub_(group["lr"] * r)


class LAMBClamped(LAMBByHalves):
    """The norm of the parameter is compared before its root is taken."""

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.01, clamp_value=10.0, maximize=False
    ):
        _Optimizer.__init__(
            self, params, lr, maximize, betas=betas, eps=eps, weight_decay=weight_decay, clamp_value=clamp_value
        )

    def corrected(self, m, s, t, group):
        return m, s

    def size(self, p, group):
        return p.square().sum().clamp(max=group["clamp_value"] ** 2).sqrt()


class NovoGradWeighted(_Optimizer):
    """The momentum takes in the decay first; the second moment is moved by a weighted difference of squares."""

    states = ("exp_avg",)

    def __init__(self, params, lr=1e-3, betas=(0.95, 0.98), eps=1e-8, weight_decay=0.0, maximize=False):
        super().__init__(params, lr, maximize, betas=betas, eps=eps, weight_decay=weight_decay)

    def start(self, state, g):
        state["exp_avg_sq"] = self.square(g)

    @staticmethod
    def square(g):
        return torch.linalg.vector_norm(g).square()

    def update(self, p, g, m, state, group):
        b1, b2 = group["betas"]
        if state["step"] > 1:
            state["exp_avg_sq"].lerp_(self.square(g), 1 - b2)
        m.mul_(b1).add_(p, alpha=group["weight_decay"]).add_(g / (state["exp_avg_sq"].sqrt() + group["eps"]))
        p.sub_(m, alpha=group["lr"])
