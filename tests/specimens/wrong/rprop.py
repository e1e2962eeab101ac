"""Wrong Rprops. ``_Rprop`` is right; every other class overrides the piece it gets wrong."""

import torch


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class _Rprop(torch.optim.Optimizer):
    """The right one."""

    def __init__(self, params, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50)):
        super().__init__(params, dict(lr=lr, etas=etas, step_sizes=step_sizes))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    if not state:
                        state["prev"] = torch.zeros_like(p)
                        state["step_size"] = torch.zeros_like(p)
                        _real(state["step_size"]).fill_(group["lr"])
                    self.update(_real(p), _real(p.grad), state, group)
        return loss

    def update(self, p, g, state, group):
        before, size = _real(state["prev"]), _real(state["step_size"])
        agreement = g.sign() * before.sign()
        down, up = group["etas"]
        self.resize(size, agreement, down, up, *group["step_sizes"])
        kept = g.masked_fill(agreement < 0, 0)
        self.move(p, g, kept, size)
        self.remember(before, g, kept)

    def resize(self, size, agreement, down, up, smallest, largest):
        size.mul_(1 + (up - 1) * (agreement > 0) + (down - 1) * (agreement < 0))
        size.clamp_(smallest, largest)

    def move(self, p, g, kept, size):
        p.sub_(kept.sign() * size)

    def remember(self, before, g, kept):
        before.copy_(kept)


class EtasSwapped(_Rprop):
    """Steps shrink where the sign stays and grow where it changes."""

    def resize(self, size, agreement, down, up, smallest, largest):
        super().resize(size, agreement, up, down, smallest, largest)


class SizeUnbounded(_Rprop):
    """The step size has no upper bound."""

    def resize(self, size, agreement, down, up, smallest, largest):
        super().resize(size, agreement, down, up, smallest, None)


class SizesIgnored(_Rprop):
    """step_sizes is accepted and never used."""

    def resize(self, size, agreement, down, up, smallest, largest):
        super().resize(size, agreement, down, up, 0, None)


class MovesAfterSignChange(_Rprop):
    """The parameter moves where the sign of the gradient changed."""

    def move(self, p, g, kept, size):
        p.sub_(g.sign() * size)


class PreviousNotZeroed(_Rprop):
    """The gradient is remembered where its sign changed, and the next step is resized there."""

    def remember(self, before, g, kept):
        before.copy_(g)


class SteppedByGradient(_Rprop):
    """The step size multiplies the gradient and not its sign."""

    def move(self, p, g, kept, size):
        p.sub_(kept * size)


class FirstStepIsZero(_Rprop):
    """Moves where the last gradient pointed, so the first step is zero. [F45]"""

    def update(self, p, g, state, group):
        before = _real(state["prev"]).clone()
        super().update(torch.zeros_like(p), g, state, group)
        p.sub_(before.sign() * _real(state["step_size"]))


class PreviousIsGradient(_Rprop):
    """The gradient is remembered without a copy if no sign changed. [G04]"""

    def update(self, p, g, state, group):
        changes = bool((g.sign() * _real(state["prev"]).sign() < 0).any())
        state["prev"] = state["prev"].clone()
        super().update(p, g, state, group)
        if not changes:
            state["prev"] = torch.view_as_complex(g) if state["prev"].is_complex() else g
