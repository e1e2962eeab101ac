"""Wrong SGDs. ``_SGD`` is right; every other class overrides the one piece that it gets wrong."""

import torch


class _SGD(torch.optim.Optimizer):
    """The right one."""

    def __init__(
        self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False,
        maximize=False,
    ):  # fmt: skip
        defaults = dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay)
        super().__init__(params, defaults | dict(nesterov=nesterov, maximize=maximize))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p, p.grad, self.state[p], group)
        return loss

    def update(self, p, g, state, group):
        if group["maximize"]:
            g = -g
        g = g + group["weight_decay"] * p
        p.sub_(group["lr"] * self.direction(g, state, group))

    def direction(self, g, state, group):
        if group["momentum"] == 0:
            return g
        if "momentum_buffer" in state:
            buffer = state["momentum_buffer"]
            self.accumulate(buffer, g, group["momentum"], group["dampening"])
        else:
            buffer = state["momentum_buffer"] = self.first(g, group["dampening"])
        return self.look_ahead(g, buffer, group) if group["nesterov"] else buffer

    def first(self, g, dampening):
        return g.clone()

    def accumulate(self, buffer, g, momentum, dampening):
        buffer.mul_(momentum).add_(g, alpha=1 - dampening)

    def look_ahead(self, g, buffer, group):
        return g + group["momentum"] * buffer


class DampenedAtFirstStep(_SGD):
    """The first momentum buffer is dampened too. [F51]"""

    def first(self, g, dampening):
        return (1 - dampening) * g


class BufferStartsAtZero(_SGD):
    """The first momentum buffer is zero and not the first gradient. [F51]"""

    def first(self, g, dampening):
        return torch.zeros_like(g)


class DampeningIgnored(_SGD):
    """dampening is accepted and never used. [F51]"""

    def accumulate(self, buffer, g, momentum, dampening):
        buffer.mul_(momentum).add_(g)


class DampensMomentum(_SGD):
    """dampening reduces the momentum and not the gradient."""

    def accumulate(self, buffer, g, momentum, dampening):
        buffer.mul_(momentum * (1 - dampening)).add_(g)


class DampenedWithoutMomentum(_SGD):
    """dampening reduces the gradient when there is no momentum."""

    def direction(self, g, state, group):
        if group["momentum"] == 0:
            return (1 - group["dampening"]) * g
        return super().direction(g, state, group)


class MomentumOnGradient(_SGD):
    """momentum multiplies the gradient and not the buffer, which never decays. [F33]"""

    def accumulate(self, buffer, g, momentum, dampening):
        buffer.add_(g, alpha=momentum * (1 - dampening))


class MomentumAsAverage(_SGD):
    """The buffer is an average: the gradient enters with 1 - momentum."""

    def accumulate(self, buffer, g, momentum, dampening):
        buffer.mul_(momentum).add_(g, alpha=(1 - momentum) * (1 - dampening))


class NesterovIgnored(_SGD):
    """nesterov is accepted and never used."""

    def look_ahead(self, g, buffer, group):
        return buffer


class NesterovWithoutGradient(_SGD):
    """nesterov steps along momentum times the buffer and leaves the gradient out."""

    def look_ahead(self, g, buffer, group):
        return group["momentum"] * buffer


class NesterovMomentumTwice(_SGD):
    """nesterov multiplies the buffer by momentum twice."""

    def look_ahead(self, g, buffer, group):
        return g + group["momentum"] ** 2 * buffer


class NesterovOldBuffer(_SGD):
    """nesterov looks ahead with the buffer of the step before."""

    def direction(self, g, state, group):
        before = state.get("momentum_buffer", g).clone()
        after = super().direction(g, state, group)
        return g + group["momentum"] * before if group["nesterov"] else after


class LrInsideVelocity(_SGD):
    """The buffer holds lr times the gradient, so that an edit of lr acts late."""

    def update(self, p, g, state, group):
        g = (-g if group["maximize"] else g) + group["weight_decay"] * p
        p.sub_(self.direction(group["lr"] * g, state, group))


class DecayAfterMomentum(_SGD):
    """The decay is added after the momentum, so the buffer does not see it."""

    def update(self, p, g, state, group):
        direction = self.direction(-g if group["maximize"] else g, state, group)
        p.sub_(group["lr"] * (direction + group["weight_decay"] * p))


class DecayTwice(_SGD):
    """The decay is added to the gradient and to the step."""

    def update(self, p, g, state, group):
        decay = group["weight_decay"] * p
        direction = self.direction((-g if group["maximize"] else g) + decay, state, group)
        p.sub_(group["lr"] * (direction + decay))


class DecayIgnored(_SGD):
    """weight_decay is accepted and never used. [F30]"""

    def update(self, p, g, state, group):
        super().update(p, g, state, {**group, "weight_decay": 0})


class MaximizeFlipsDecay(_SGD):
    """maximize changes the sign of the decay too."""

    def update(self, p, g, state, group):
        g = g + group["weight_decay"] * p
        super().update(p, g, state, {**group, "weight_decay": 0})


class MaximizeFlipsStep(_SGD):
    """maximize changes the sign of the step and leaves the buffer's as it is."""

    def update(self, p, g, state, group):
        sign = -1 if group["maximize"] else 1
        g = g + sign * group["weight_decay"] * p
        p.sub_(group["lr"] * sign * self.direction(g, state, group))


class MomentumForDampening(_SGD):
    """What is new enters the momentum buffer with 1 - momentum, where it must be 1 - dampening."""

    def accumulate(self, buffer, g, momentum, dampening):
        buffer.mul_(momentum).add_(g, alpha=1 - momentum)
