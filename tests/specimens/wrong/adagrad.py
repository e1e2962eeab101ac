"""Wrong Adagrads. ``_Adagrad`` is right; every other class overrides the piece it gets wrong."""

import torch


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class _Adagrad(torch.optim.Optimizer):
    """The right one."""

    def __init__(
        self, params, lr=1e-2, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0,
        eps=1e-10,
    ):  # fmt: skip
        defaults = dict(lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps)
        super().__init__(params, defaults | {self.initial: initial_accumulator_value})

    initial = "initial_accumulator_value"

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    if not state:
                        state["step"] = torch.tensor(0.0)
                        state["sum"] = torch.zeros_like(p)
                        _real(state["sum"]).fill_(self.start(group[self.initial]))
                    state["step"] += 1
                    self.update(_real(p), _real(p.grad), _real(state["sum"]), state, group)
        return loss

    def start(self, initial):
        return initial

    def update(self, p, g, total, state, group):
        g = g + group["weight_decay"] * p
        rate = self.rate(group["lr"], group["lr_decay"], state["step"].item())
        self.move(p, g, total, rate, group["eps"])

    def rate(self, lr, decay, t):
        return lr / (1 + (t - 1) * decay)

    def move(self, p, g, total, rate, eps):
        total.addcmul_(g, g)
        p.addcdiv_(g, total.sqrt() + eps, value=-rate)


class EpsInsideRoot(_Adagrad):
    """Epsilon is added inside the root."""

    def move(self, p, g, total, rate, eps):
        total.addcmul_(g, g)
        p.addcdiv_(g, (total + eps).sqrt(), value=-rate)


class EpsAccumulates(_Adagrad):
    """Epsilon is added to the sum itself, in every step."""

    def move(self, p, g, total, rate, eps):
        total.addcmul_(g, g).add_(eps)
        p.addcdiv_(g, total.sqrt(), value=-rate)


class NoRoot(_Adagrad):
    """Divides by the sum and not by its root."""

    def move(self, p, g, total, rate, eps):
        total.addcmul_(g, g)
        p.addcdiv_(g, total + eps, value=-rate)


class SumOneStepOld(_Adagrad):
    """Divides by the sum that does not hold this step's gradient yet."""

    def move(self, p, g, total, rate, eps):
        p.addcdiv_(g, total.sqrt() + eps, value=-rate)
        total.addcmul_(g, g)


class RootStored(_Adagrad):
    """The sum's root is taken in place, so that it is the root that is added to next."""

    def move(self, p, g, total, rate, eps):
        p.addcdiv_(g, total.addcmul_(g, g).sqrt_() + eps, value=-rate)


class LrDecaysFromFirstStep(_Adagrad):
    """lr_decay acts in the first step already."""

    def rate(self, lr, decay, t):
        return lr / (1 + t * decay)


class LrDecayIgnored(_Adagrad):
    """lr_decay is accepted and never used."""

    def rate(self, lr, decay, t):
        return lr


class InitialValueIgnored(_Adagrad):
    """initial_accumulator_value is accepted, and the sum starts at zero."""

    def start(self, initial):
        return 0.0
