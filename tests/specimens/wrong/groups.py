"""Wrong bookkeeping: groups, missing gradients, aliases; in SGD with momentum.

``_SGD`` is right; every other class overrides the one piece of it that it gets wrong.
"""

import torch


def _move(p, g, state, group):
    if group["momentum"] == 0:
        p.sub_(group["lr"] * g)
        return
    if "momentum_buffer" in state:
        state["momentum_buffer"].mul_(group["momentum"]).add_(g)
    else:
        state["momentum_buffer"] = g.clone()
    p.sub_(group["lr"] * state["momentum_buffer"])


class _SGD(torch.optim.Optimizer):
    """The right one."""

    def __init__(self, params, lr=1e-3, momentum=0.9):
        super().__init__(params, dict(lr=lr, momentum=momentum))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        self.walk()
        return loss

    def walk(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    _move(p, p.grad, self.state[p], group)


class FirstGroupForAll(_SGD):
    """The first group's hyperparameters are used for all groups."""

    def walk(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    _move(p, p.grad, self.state[p], self.param_groups[0])


class LastGroupForAll(_SGD):
    """Parameters are collected from all groups and moved with the group left by the loop. [P05]"""

    def walk(self):
        moved = []
        for group in self.param_groups:
            moved += [p for p in group["params"] if p.grad is not None]
        for p in moved:
            _move(p, p.grad, self.state[p], group)


class FirstGroupOnly(_SGD):
    """Only the first group is moved. [P06]"""

    def walk(self):
        group = self.param_groups[0]
        for p in group["params"]:
            if p.grad is not None:
                _move(p, p.grad, self.state[p], group)


class LrAtConstruction(_SGD):
    """lr is read when the optimizer is built, so later edits do nothing. [P13]"""

    def __init__(self, params, lr=1e-3, momentum=0.9):
        super().__init__(params, lr, momentum)
        self.lrs = [group["lr"] for group in self.param_groups]

    def walk(self):
        for lr, group in zip(self.lrs, self.param_groups, strict=False):
            for p in group["params"]:
                if p.grad is not None:
                    _move(p, p.grad, self.state[p], {**group, "lr": lr})


class StateByIndexInGroup(_SGD):
    """Buffers are looked up by the index within the group, so groups share them. [P11]"""

    def walk(self):
        buffers = self.__dict__.setdefault("buffers", {})
        for group in self.param_groups:
            for index, p in enumerate(group["params"]):
                if p.grad is not None:
                    _move(p, p.grad, buffers.setdefault(index, {}), group)


class StateByShape(_SGD):
    """Parameters of one shape share a buffer."""

    def walk(self):
        buffers = self.__dict__.setdefault("buffers", {})
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    _move(p, p.grad, buffers.setdefault(p.shape, {}), group)


class StateForFirstGradients(_SGD):
    """State is made at the first step, for the parameters that have gradients then. [P10]"""

    def walk(self):
        held = [(p, group) for group in self.param_groups for p in group["params"]]
        moved = [(p, group) for p, group in held if p.grad is not None]
        made = self.__dict__.setdefault("made", {p: {} for p, _ in moved})
        for p, group in moved:
            _move(p, p.grad, made[p], group)


class SkipsAllWithoutFirst(_SGD):
    """Nothing moves when the first parameter has no gradient. [P09]"""

    def walk(self):
        if self.param_groups[0]["params"][0].grad is not None:
            super().walk()


class StopsAtMissingGradient(_SGD):
    """The loop over parameters ends at the first one without a gradient. [P18]"""

    def walk(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    break
                _move(p, p.grad, self.state[p], group)


class MissingGradientAsZero(_SGD):
    """A parameter without a gradient is moved as if its gradient were zero."""

    def walk(self):
        for group in self.param_groups:
            for p in group["params"]:
                g = torch.zeros_like(p) if p.grad is None else p.grad
                _move(p, g, self.state[p], group)


class MissingGradientAsLast(_SGD):
    """A parameter without a gradient is moved by the last one that it had. [G10]"""

    def walk(self):
        last = self.__dict__.setdefault("last", {})
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    last[p] = p.grad.clone()
                if p in last:
                    _move(p, last[p], self.state[p], group)


class MissingGradientCrashes(_SGD):
    """A parameter without a gradient is an error."""

    def walk(self):
        for group in self.param_groups:
            for p in group["params"]:
                _move(p, p.grad.clone(), self.state[p], group)


class ZeroGradientSkipped(_SGD):
    """A parameter whose gradient is all zero is skipped, though its momentum should move it."""

    def walk(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None and p.grad.any():
                    _move(p, p.grad, self.state[p], group)


class GradientConsumed(_SGD):
    """step() takes the gradients away, so a second step on them does nothing. [G06]"""

    def walk(self):
        super().walk()
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None


class GradientZeroed(_SGD):
    """step() sets the gradients to zero, so a second step on them is another one."""

    def walk(self):
        super().walk()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad.zero_()


class BufferIsGradient(_SGD):
    """The first momentum buffer is the gradient itself and not a copy of it. [G04]"""

    def walk(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None and group["momentum"] != 0 and not self.state[p]:
                    self.state[p]["momentum_buffer"] = p.grad
                    p.sub_(group["lr"] * p.grad)
                elif p.grad is not None:
                    _move(p, p.grad, self.state[p], group)
