"""An optimizer whose every step needs a closure, as one whose step may be called without.

Most checks set gradients and call ``step()``. For a rule that needs a closure they are given a subclass whose closure,
where none is passed, leaves the gradients as they are: a function with the gradients that were set. It is kept
simple, so that a script can hold it (verify.script_lines).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch


def gradients_are_set():
    """A closure of an objective whose gradients are there already."""
    return torch.zeros(())


@functools.cache
def giving(cls: Any) -> Any:
    """The subclass of an optimizer's class."""
    hooked = getattr(cls.step, "hooked", False)
    inner = cls.step.__wrapped__ if hooked else cls.step

    def step(self, closure=gradients_are_set):
        return inner(self, closure)

    def reduced(self, protocol):
        # by the name of the class that has one
        return blank, (cls,), self.__getstate__()

    if issubclass(cls, torch.optim.Optimizer):
        # the hooks of step() run once, around this one and not around the other
        step = torch.optim.Optimizer.profile_hook_step(step)
        step.hooked = True  # type: ignore[attr-defined]
    named = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    return type(cls.__name__, (cls,), {"step": step, "__reduce_ex__": reduced, **named})


def blank(cls: Any) -> Any:
    """An instance that is about to get its state."""
    return giving(cls).__new__(giving(cls))


def giving_closure(factory: Callable[..., Any]) -> Callable[..., Any]:
    """A constructor whose optimizers have a closure of their own."""

    @functools.wraps(factory)
    def build(*args, **kwargs):
        optimizer = factory(*args, **kwargs)
        optimizer.__class__ = giving(type(optimizer))
        return optimizer

    return build
