"""What the user hands in: models, optimizers and schedulers, checked and unwrapped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torch.optim import Optimizer

from verify.errors import UsageError

INNER = ("optimizer", "base_optimizer", "base", "_optimizer")


@dataclass(frozen=True)
class Owner:
    """One optimizer.

    Args:
        name: what to call it in a sentence.
        given: what the user handed in.
        optimizer: the innermost one, which steps.
    """

    name: str
    given: Any
    optimizer: Any

    def slots(self) -> Iterator[tuple[int, int, Tensor]]:
        """Group, position and parameter. Read afresh: load_state_dict replaces groups, and users edit them."""
        for number, group in enumerate(self.optimizer.param_groups):
            for position, parameter in enumerate(group["params"]):
                yield number, position, parameter

    def layers(self) -> list[Any]:
        """From what was given to the innermost optimizer."""
        return unwrapped(self.given)


@dataclass(frozen=True)
class Subjects:
    """All that is looked at. ``roots`` is the user's own mapping where that was given, so that it stays up to date."""

    roots: Mapping[str, Module | Tensor]
    owners: tuple[Owner, ...]
    schedulers: tuple[Any, ...]


def subjects(model: Any, optimizers: Any, schedulers: Any) -> Subjects:
    """Check and unwrap the arguments of ``audit`` and ``watch``.

    Raises:
        UsageError: one of them is not what it must be.
    """
    return Subjects(_roots(model), _owners(optimizers), _schedulers(schedulers))


def _roots(model: Any) -> Mapping[str, Module | Tensor]:
    if isinstance(model, Module):
        return {"": model}
    if isinstance(model, Tensor) or not isinstance(model, Iterable):
        raise UsageError(_not_a_model(model))
    roots = model if isinstance(model, Mapping) else {str(i): item for i, item in enumerate(model)}
    if not roots:
        raise UsageError("model is empty: give the module that is trained, or a list or dict of modules")
    for name, item in roots.items():
        if not isinstance(item, (Module, Tensor)) or not isinstance(name, str):
            raise UsageError(_not_a_model(item))
    return roots


def _not_a_model(item: Any) -> str:
    wants = "model must be a torch.nn.Module, or a list or dict of modules"
    if isinstance(item, type):
        return f"{wants}, not the class {item.__name__}: give the module itself"
    if _steps(item):
        return f"{wants}, not {_a(item)}: the model comes first, then the optimizers"
    if isinstance(item, Tensor):
        return f"{wants}, not {_a(item)}: give the module that it belongs to, or a dict with a name for each tensor"
    return f"{wants}, not {_a(item)}"


def _owners(optimizers: Any) -> tuple[Owner, ...]:
    if isinstance(optimizers, (Module, Tensor)) or not (_steps(optimizers) or isinstance(optimizers, Iterable)):
        raise UsageError(_not_an_optimizer(optimizers))
    given = [optimizers] if _steps(optimizers) else _several(optimizers)
    if not given:
        raise UsageError("optimizers is empty: give the optimizer that trains the model, or a list of them")
    found: dict[int, tuple[Any, Any]] = {}
    for item in given:
        if not _steps(item):
            raise UsageError(_not_an_optimizer(item))
        innermost = unwrapped(item)[-1]
        if not hasattr(innermost, "param_groups"):
            raise UsageError(
                f"{_a(item)} has neither param_groups nor an optimizer inside ({', '.join(INNER)}): give the torch optimizer that it wraps"
            )
        found.setdefault(id(innermost), (item, innermost))
    several = len(found) > 1
    return tuple(
        Owner(
            f"optimizer {i} ({type(inner).__name__})" if several else f"the optimizer ({type(inner).__name__})",
            item,
            inner,
        )
        for i, (item, inner) in enumerate(found.values())
    )


def _not_an_optimizer(item: Any) -> str:
    wants = "optimizers must be a torch optimizer, or a list of them"
    if isinstance(item, type):
        return f"{wants}, not the class {item.__name__}: give the optimizer itself"
    if isinstance(item, Module):
        return f"{wants}, not the module {type(item).__name__}: the model comes first, then the optimizers"
    if hasattr(item, "get_last_lr"):
        return f"{wants}, not the scheduler {type(item).__name__}: give it as schedulers=[...]"
    return f"{wants}, not {_a(item)}: it has no step() and param_groups"


def _schedulers(schedulers: Any) -> tuple[Any, ...]:
    given = [schedulers] if _drives(schedulers) or not isinstance(schedulers, Iterable) else _several(schedulers)
    for item in given:
        if not _drives(item) or isinstance(item, type):
            hint = ": it is an optimizer" if isinstance(item, Optimizer) else ": it has no optimizer and step()"
            raise UsageError(f"schedulers must be a list of learning rate schedulers, and has {_a(item)}{hint}")
    return tuple(_inner_scheduler(item) for item in given)


def _inner_scheduler(item: Any) -> Any:
    """Accelerate and others wrap a scheduler as ``.scheduler``."""
    inner = getattr(item, "scheduler", None)
    return inner if inner is not None and _drives(inner) else item


def _several(items: Iterable[Any]) -> list[Any]:
    return list(items.values() if isinstance(items, Mapping) else items)


def _steps(item: Any) -> bool:
    """Whether it is an optimizer, or wraps one."""
    if isinstance(item, (type, Module, Tensor)) or not callable(getattr(item, "step", None)):
        return False
    return hasattr(item, "param_groups") or (len(unwrapped(item)) > 1 and not hasattr(item, "get_last_lr"))


def _drives(item: Any) -> bool:
    """Whether it is a scheduler: it steps, and knows the optimizer that it drives."""
    if isinstance(item, (type, Optimizer)) or not callable(getattr(item, "step", None)):
        return False
    return hasattr(item, "optimizer") or hasattr(getattr(item, "scheduler", None), "optimizer")


def unwrapped(item: Any) -> list[Any]:
    """The object and every optimizer inside it, outermost first."""
    layers = [item]
    while True:
        inside = next(
            (x for x in (getattr(layers[-1], name, None) for name in INNER) if hasattr(x, "param_groups")), None
        )
        if inside is None or any(inside is layer for layer in layers):
            return layers
        layers.append(inside)


def _a(item: Any) -> str:
    return torch.typename(item) if isinstance(item, Tensor) else f"{type(item).__module__}.{type(item).__qualname__}"
