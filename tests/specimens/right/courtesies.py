"""Right optimizers that meet promises on late groups, kinds of lr, closures and memory in an unusual way."""

from collections import deque

import torch
from _sound import SoundSGD, sgd


class SGDLrAsNumber(SoundSGD):
    """A tensor lr is taken out of its tensor in the constructor, and groups hold the number."""

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
        lr = lr.item() if isinstance(lr, torch.Tensor) else lr
        super().__init__(params, lr, momentum, dampening, weight_decay)

    def update(self, p, g, state, group):
        sgd(p, g, state, group)


class SGDRefusesTensorLr(SoundSGD):
    """An lr that is a tensor is refused in words, wherever it comes from."""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        self.demand_number(self.param_groups[-1])

    def demand_number(self, group):
        if isinstance(group["lr"], torch.Tensor):
            raise TypeError("lr must be a number, and is a tensor")

    def update(self, p, g, state, group):
        self.demand_number(group)
        sgd(p, g, state, group)


class SGDWindow(SoundSGD):
    """The norms of the last forty updates are kept, as numbers to look at."""

    def update(self, p, g, state, group):
        before = p.detach().clone()
        sgd(p, g, state, group)
        self.__dict__.setdefault("norms", deque(maxlen=40)).append((p - before).abs().sum())


class SGDAfterClosure(SoundSGD):
    """All is read after the closure, in a step that puts its own flag back whatever happens."""

    def step(self, closure=None):
        self.inside = True
        try:
            return super().step(closure)
        finally:
            del self.inside

    def update(self, p, g, state, group):
        sgd(p, g, state, group)


class SGDOwnGroups(SoundSGD):
    """add_param_group looks at everything by itself before torch's does, and keeps the names of keys."""

    def add_param_group(self, param_group):
        if not isinstance(param_group, dict):
            raise TypeError("a group must be a dict")
        given = param_group["params"]
        if isinstance(given, set):
            raise TypeError("the order of a set is not defined; give a list")
        param_group = {**param_group, "params": [given] if isinstance(given, torch.Tensor) else list(given)}
        here = {id(p) for group in self.param_groups for p in group["params"]}
        if any(id(p) in here for p in param_group["params"]):
            raise ValueError("a parameter is here already")
        super().add_param_group(param_group)

    def update(self, p, g, state, group):
        sgd(p, g, state, group)


class SGDNewMemory(SoundSGD):
    """Buffers come from new memory and are written before they are read."""

    def update(self, p, g, state, group):
        work = torch.empty_like(p)
        torch.mul(p, group["weight_decay"], out=work).add_(g)
        if group["momentum"]:
            if "momentum_buffer" in state:
                state["momentum_buffer"].mul_(group["momentum"]).add_(work, alpha=1 - group["dampening"])
            else:
                state["momentum_buffer"] = torch.empty_like(p).copy_(work)
            work = state["momentum_buffer"]
        p.add_(work, alpha=-float(group["lr"]))
