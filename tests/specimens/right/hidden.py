"""Right optimizers that keep their state, or their count, where nobody looks for it."""

import torch
from _sound import demand_all


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class _Optimizer(torch.optim.Optimizer):
    """The loop; every class does its own arithmetic in ``update``."""

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for index, p in enumerate(group["params"]):
                if p.grad is None:
                    continue
                if p.grad.is_sparse:
                    raise RuntimeError("sparse gradients are not supported")
                g = -p.grad if group.get("maximize") else p.grad
                self.update(p, g, group, index)
        return loss


def _adam(p, g, m, v, t, group):
    """Move p, m and v in place."""
    p, g, m, v, (b1, b2) = _real(p), _real(g), _real(m), _real(v), group["betas"]
    g = g.add(p, alpha=group["weight_decay"])
    m.lerp_(g, 1 - b1)
    v.mul_(b2).addcmul_(g, g, value=1 - b2)
    divisor = v.sqrt().div_((1 - b2**t) ** 0.5).add_(group["eps"])
    p.addcdiv_(m, divisor, value=-group["lr"] / (1 - b1**t))


class _Adam(_Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, maximize=False):
        defaults = dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        demand_all(defaults)
        super().__init__(params, defaults | dict(maximize=maximize))


class AdamOtherNames(_Adam):
    """The state has names of its own."""

    def update(self, p, g, group, index):
        state = self.state[p]
        if not state:
            state.update(n=0, mean=torch.zeros_like(p), power=torch.zeros_like(p))
        state["n"] += 1
        _adam(p, g, state["mean"], state["power"], state["n"], group)


class AdamStateTuple(_Adam):
    """Functional style: an immutable tuple of moments and count is replaced in every step."""

    def update(self, p, g, group, index):
        zeros = torch.zeros_like(p)
        m, v, t = self.state[p].get("moments", (zeros, zeros, 0))
        m, v = m.clone(), v.clone()
        _adam(p, g, m, v, t + 1, group)
        self.state[p]["moments"] = (m, v, t + 1)


class AdamCountsInGroup(_Adam):
    """The counts of a group's parameters are a list in the group."""

    def update(self, p, g, group, index):
        state = self.state[p]
        counts = group["counts"] if state else group.setdefault("counts", [0] * len(group["params"]))
        if not state:
            state.update(exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
        counts[index] += 1
        _adam(p, g, state["exp_avg"], state["exp_avg_sq"], counts[index], group)


class HeavyBallAttributes(_Optimizer):
    """The velocities are in an attribute, and checkpoints and copies have them too."""

    def __init__(self, params, lr=1e-3, momentum=0.9, maximize=False):
        demand_all(dict(lr=lr, momentum=momentum))
        self.velocity = {}
        super().__init__(params, dict(lr=lr, momentum=momentum, maximize=maximize))

    def update(self, p, g, group, index):
        velocity = self.velocity.setdefault(p, torch.zeros_like(p))
        velocity.mul_(group["momentum"]).add_(g, alpha=-group["lr"])
        p.add_(velocity)

    def _held(self):
        return [p for group in self.param_groups for p in group["params"]]

    def state_dict(self):
        velocities = [self.velocity.get(p) for p in self._held()]
        return super().state_dict() | {"velocity": velocities}

    @torch.no_grad()
    def load_state_dict(self, state_dict):
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "velocity"})
        pairs = zip(self._held(), state_dict["velocity"], strict=True)
        self.velocity = {p: v.to(p, copy=True) for p, v in pairs if v is not None}

    def __getstate__(self):
        return super().__getstate__() | {"velocity": self.velocity}


def make_sgd(params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False):
    """SGD from a factory; the decay may be a factor."""
    demand_all(dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay))
    if nesterov and (momentum <= 0 or dampening != 0):
        raise ValueError("nesterov needs a momentum and no dampening")

    own = dict(momentum=momentum, dampening=dampening, weight_decay=weight_decay)
    return _SGD(params, dict(lr=lr, nesterov=nesterov, maximize=maximize, **own))


class _SGD(_Optimizer):
    def update(self, p, g, group, index):
        state, momentum = self.state[p], group["momentum"]
        lr, wd = group["lr"], group["weight_decay"]
        if momentum == 0:
            p.mul_(1 - lr * wd).sub_(lr * g)
            return
        g = g + wd * p
        old = state.get("velocity")
        state["velocity"] = g + 0 if old is None else momentum * old + (1 - group["dampening"]) * g
        p.sub_(lr * (g + momentum * state["velocity"] if group["nesterov"] else state["velocity"]))


class GradientDescentRenamed(_Optimizer):
    """Plain descent that calls its one argument ``learning_rate``."""

    def __init__(self, params, learning_rate=1e-3):
        demand_all(dict(learning_rate=learning_rate))
        super().__init__(params, dict(learning_rate=learning_rate))

    def update(self, p, g, group, index):
        p.copy_(torch.sub(p, g, alpha=group["learning_rate"]))


class AdamRenamed(_Optimizer):
    """Adam that calls its arguments alpha, b1, b2, epsilon and l2."""

    def __init__(self, params, alpha=1e-3, b1=0.9, b2=0.999, epsilon=1e-8, l2=0.0):
        defaults = dict(b1=b1, b2=b2, epsilon=epsilon, l2=l2)
        demand_all(dict(lr=alpha, **defaults))
        super().__init__(params, dict(alpha=alpha, **defaults))

    def update(self, p, g, group, index):
        state = self.state[p]
        if not state:
            state.update(step=0, exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
        state["step"] += 1
        lr, b1, b2, eps, wd = (group[k] for k in ("alpha", "b1", "b2", "epsilon", "l2"))
        named = dict(lr=lr, betas=(b1, b2), eps=eps, weight_decay=wd)
        _adam(p, g, state["exp_avg"], state["exp_avg_sq"], state["step"], named)
