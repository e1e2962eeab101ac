"""Right optimizers in pieces: the wrong ones beside this file override the one piece they get wrong.

``step`` runs the closure in ``evaluate`` and then ``walk``, which calls ``move`` for every parameter that has a
gradient. Imported by its own name, for a specimen is loaded from its file and its folder is on the path.
"""

import math
import numbers

import torch

_BELOW = {"betas": 1.0, "alpha": 1.0}
_NUMBERS = ("lr", "betas", "eps", "weight_decay", "momentum", "dampening", "alpha", "lr_decay")


def real(x):
    return torch.view_as_real(x) if x.is_complex() else x


def validate(defaults):
    """Every hyperparameter is a number in its range."""
    for name in (*_NUMBERS, "initial_accumulator_value"):
        below = _BELOW.get(name, math.inf)
        values = defaults.get(name, 0.0)
        for x in values if isinstance(values, tuple | list) else (values,):
            number = x.item() if isinstance(x, torch.Tensor) and x.numel() == 1 else x
            if not isinstance(number, numbers.Real) or not 0 <= number < below:
                raise ValueError(f"{name} must be a number from 0 to below {below}, and is {values!r}")


class Faithful(torch.optim.Optimizer):
    """What all of them have in common."""

    def __init__(self, params, defaults):
        self.validate(defaults)
        super().__init__(params, defaults)

    def validate(self, defaults):
        validate(defaults)

    def step(self, closure=None):
        loss = self.evaluate(closure)
        with torch.no_grad():
            self.walk()
        return loss

    def evaluate(self, closure):
        if closure is None:
            return None
        with torch.enable_grad():
            return closure()

    def walk(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.move(p, self.gradient(p, group), self.state[p], group)

    def gradient(self, p, group):
        g = self.dense(p.grad) if p.grad.is_sparse else p.grad
        return -g if group["maximize"] else g

    def dense(self, g):
        raise RuntimeError(f"{type(self).__name__} takes no sparse gradients")

    def held(self):
        """All parameters, in order."""
        return [p for group in self.param_groups for p in group["params"]]

    def position(self, p):
        """The place of a parameter among all."""
        return next(i for i, q in enumerate(self.held()) if q is p)


class SGD(Faithful):
    """Right SGD."""

    def __init__(
        self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False
    ):  # fmt: skip
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("nesterov needs a momentum and no dampening")
        defaults = dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay)
        super().__init__(params, defaults | dict(nesterov=nesterov, maximize=maximize))

    def move(self, p, g, state, group):
        g = self.velocity(self.decayed(p, g, group), state, group)
        p.sub_(float(group["lr"]) * g)

    def decayed(self, p, g, group):
        return g + group["weight_decay"] * p if group["weight_decay"] else g

    def velocity(self, g, state, group):
        momentum = group["momentum"]
        if momentum == 0:
            return g
        if "momentum_buffer" in state:
            state["momentum_buffer"].mul_(momentum).add_(g, alpha=1 - group["dampening"])
        else:
            state["momentum_buffer"] = torch.clone(g)
        buffer = state["momentum_buffer"]
        return g + momentum * buffer if group["nesterov"] else buffer


class Adam(Faithful):
    """Right Adam."""

    decoupled = False

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, maximize=False):
        defaults = dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize)
        super().__init__(params, defaults)

    def move(self, p, g, state, group):
        if not state:
            self.start(p, state)
        t = self.count(p, state, group)
        p, g = real(p), real(g)
        g = self.decayed(p, g, group)
        self.update(p, g, real(state["exp_avg"]), real(state["exp_avg_sq"]), t, group)

    def start(self, p, state):
        state["step"] = torch.tensor(0.0)
        state["exp_avg"] = torch.zeros_like(p)
        state["exp_avg_sq"] = torch.zeros_like(p)

    def count(self, p, state, group):
        state["step"] += 1
        return state["step"].item()

    def decayed(self, p, g, group):
        if self.decoupled:
            p.mul_(1 - float(group["lr"]) * group["weight_decay"])
            return g
        return g.add(p, alpha=group["weight_decay"])

    def update(self, p, g, m, v, t, group):
        b1, b2 = group["betas"]
        m.lerp_(g, 1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        divisor = v.sqrt().div_((1 - b2**t) ** 0.5).add_(group["eps"])
        p.addcdiv_(m, divisor, value=-self.rate(t, group))

    def rate(self, t, group):
        return float(group["lr"]) / (1 - group["betas"][0] ** t)


class AdamW(Adam):
    """Right AdamW."""

    decoupled = True

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, maximize=False):
        super().__init__(params, lr, betas, eps, weight_decay, maximize)


class Lion(Faithful):
    """Right Lion."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0, maximize=False):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay, maximize=maximize))

    def move(self, p, g, state, group):
        if not state:
            state["exp_avg"] = torch.zeros_like(p)
        lr, (b1, b2) = float(group["lr"]), group["betas"]
        p, g, m = real(p), real(g), real(state["exp_avg"])
        direction = torch.sign(b1 * m + (1 - b1) * g)
        p.mul_(1 - lr * group["weight_decay"]).sub_(lr * direction)
        m.mul_(b2).add_(g, alpha=1 - b2)


class RMSprop(Faithful):
    """Right RMSprop."""

    def __init__(self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, maximize=False):
        super().__init__(params, dict(lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, maximize=maximize))

    def move(self, p, g, state, group):
        if not state:
            state["square_avg"] = torch.zeros_like(p)
        p, g, v, alpha = real(p), real(g), real(state["square_avg"]), group["alpha"]
        g = g.add(p, alpha=group["weight_decay"])
        v.mul_(alpha).addcmul_(g, g, value=1 - alpha)
        self.divide(p, g, v.sqrt().add_(group["eps"]), float(group["lr"]))

    def divide(self, p, g, divisor, lr):
        p.addcdiv_(g, divisor, value=-lr)


class Adagrad(Faithful):
    """Right Adagrad."""

    def __init__(self, params, lr=1e-2, lr_decay=0.0, weight_decay=0.0, eps=1e-10, maximize=False):
        defaults = dict(lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps, maximize=maximize)
        super().__init__(params, defaults)

    def move(self, p, g, state, group):
        if not state:
            state["step"] = torch.tensor(0.0)
            state["sum"] = torch.zeros_like(p)
        state["step"] += 1
        p, g, s = real(p), real(g), real(state["sum"])
        g = g.add(p, alpha=group["weight_decay"])
        s.addcmul_(g, g)
        rate = float(group["lr"]) / (1 + (state["step"].item() - 1) * group["lr_decay"])
        p.addcdiv_(g, s.sqrt().add_(group["eps"]), value=-rate)
