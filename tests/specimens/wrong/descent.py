"""Wrong plain descent and wrong heavy balls."""

import torch


class _Descent(torch.optim.Optimizer):
    """The loop; every class says in ``update`` what it does."""

    def __init__(self, params, lr=1e-3):
        super().__init__(params, dict(lr=lr))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p, p.grad, self.state[p], group)
        return loss

    def update(self, p, g, state, group):
        p.sub_(group["lr"] * g)


class Ascends(_Descent):
    """Adds the gradient."""

    def update(self, p, g, state, group):
        p.add_(group["lr"] * g)


class DividesBySize(_Descent):
    """Divides the gradient by the number of elements."""

    def update(self, p, g, state, group):
        p.sub_(group["lr"] * g / max(g.numel(), 1))


class LrSquared(_Descent):
    """Multiplies by lr twice."""

    def update(self, p, g, state, group):
        p.sub_(group["lr"] ** 2 * g)


class AppliesLastStep(_Descent):
    """Applies the step before; the first one is zero. [F45]"""

    def update(self, p, g, state, group):
        p.sub_(state.get("last", 0 * g))
        state["last"] = group["lr"] * g


class Signed(_Descent):
    """Follows the sign of the gradient."""

    def update(self, p, g, state, group):
        p.sub_(group["lr"] * g.sgn())


class _HeavyBall(_Descent):
    """The right heavy ball."""

    def __init__(self, params, lr=1e-3, momentum=0.9):
        torch.optim.Optimizer.__init__(self, params, dict(lr=lr, momentum=momentum))

    def update(self, p, g, state, group):
        velocity = state.setdefault("momentum_buffer", torch.zeros_like(p))
        velocity.mul_(group["momentum"]).sub_(group["lr"] * g)
        p.add_(velocity)


class LrOutsideVelocity(_HeavyBall):
    """Claims lr inside the velocity and multiplies the velocity by it."""

    def update(self, p, g, state, group):
        velocity = state.setdefault("momentum_buffer", torch.zeros_like(p))
        velocity.mul_(group["momentum"]).sub_(g)
        p.add_(group["lr"] * velocity)


class VelocityUpsideDown(_HeavyBall):
    """The velocity is stored with the wrong sign, though the parameter moves rightly."""

    def update(self, p, g, state, group):
        velocity = state.setdefault("momentum_buffer", torch.zeros_like(p))
        velocity.mul_(group["momentum"]).add_(group["lr"] * g)
        p.sub_(velocity)


class VelocityOneStepOld(_HeavyBall):
    """The parameter moves before the velocity hears of the gradient."""

    def update(self, p, g, state, group):
        velocity = state.setdefault("momentum_buffer", torch.zeros_like(p))
        p.add_(velocity)
        velocity.mul_(group["momentum"]).sub_(group["lr"] * g)


class LrTimesVelocityAgain(_HeavyBall):
    """The velocity, which has lr inside it, is multiplied by lr once more."""

    def update(self, p, g, state, group):
        velocity = state.setdefault("momentum_buffer", torch.zeros_like(p))
        velocity.mul_(group["momentum"]).sub_(group["lr"] * g)
        p.add_(group["lr"] * velocity)


class VelocityNotKept(_HeavyBall):
    """The velocity is computed out of place and never stored."""

    def update(self, p, g, state, group):
        velocity = state.setdefault("momentum_buffer", torch.zeros_like(p))
        p.add_(velocity.mul(group["momentum"]).sub(group["lr"] * g))
