"""What a promise is tried on, and what the promises share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch


class Broken(Exception):
    """A promise is broken; the message is the sentence that says so."""


class NotOffered(Exception):
    """The subject does not have what the promise is about."""


@dataclass
class Case:
    """An optimizer and small numbers to try it on.

    Args:
        factory: builds it: ``factory(params, **arguments)``.
        arguments: constructor arguments.
        groups: for each group the places of its parameters, and hyperparameters of its own.
        parameters: their initial values.
        gradients: for each step one gradient (or None) for each parameter.
        other: constructor arguments with other hyperparameters.
        names: constructor arguments that are hyperparameters.
        required: those without a default.
        wrong: constructor arguments out of their domain, each with the hyperparameter's name and the value to tell.
        slack: how far code may be from the same code compiled, which may compute scalars in tensors.
    """

    factory: Callable[..., Any]
    arguments: dict[str, Any]
    groups: list[tuple[list[int], dict[str, Any]]]
    parameters: list[torch.Tensor]
    gradients: list[list[torch.Tensor | None]]
    other: dict[str, Any] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    required: list[str] = field(default_factory=list)
    wrong: list[tuple[dict[str, Any], str, str]] = field(default_factory=list)
    slack: float = 0.0


def fresh(case: Case) -> list[torch.Tensor]:
    """New parameters with the initial values, laid out in memory as those."""
    made = []
    for p in case.parameters:
        new = torch.empty_strided(p.shape, p.stride(), dtype=p.dtype, device=p.device)
        made.append(new.copy_(p).requires_grad_())
    return made


def build(case: Case, params: list[torch.Tensor], **changes: Any) -> Any:
    """The optimizer on these parameters, in the groups of the case."""
    arguments = {**case.arguments, **changes}
    if len(case.groups) == 1:
        return case.factory(params, **arguments)
    groups = [{"params": [params[i] for i in places], **own} for places, own in case.groups]
    return case.factory(groups, **arguments)


def give(case: Case, params: list[torch.Tensor], k: int) -> None:
    """Set the gradients of step ``k``, as new tensors."""
    for p, g in zip(params, case.gradients[k % len(case.gradients)], strict=True):
        p.grad = None if g is None else g.clone()


def give_with_graph(case: Case, params: list[torch.Tensor], k: int) -> None:
    """Set the gradients of step ``k`` as create_graph leaves them, with a grad_fn of their own."""
    with torch.enable_grad():
        for p, g in zip(params, case.gradients[k % len(case.gradients)], strict=True):
            p.grad = None if g is None else g.clone().requires_grad_().clone()


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors are equal element by element (nan equals nan)."""
    if a.shape != b.shape or a.dtype != b.dtype or a.layout != b.layout:
        return False
    if a.is_sparse:
        return same(a._indices(), b._indices()) and same(a._values(), b._values())
    return bool(((a == b) | ((a != a) & (b != b))).all())


def dense(g: torch.Tensor) -> torch.Tensor:
    """A gradient as a dense tensor."""
    return g.to_dense() if g.is_sparse else g


def copies(params: list[torch.Tensor]) -> list[torch.Tensor]:
    """Their present values."""
    return [p.detach().clone() for p in params]


def expect_same(got: list[torch.Tensor], expected: list[torch.Tensor], when: str, rest: str) -> None:
    """Broken if values are not the same, with the first element that differs."""
    for i, (a, b) in enumerate(zip(got, expected, strict=True)):
        if not same(a.detach(), b.detach()):
            x, y = a.detach().reshape(-1), b.detach().reshape(-1)
            at = next(j for j in range(x.numel()) if not same(x[j], y[j]))
            raise Broken(f"{when}, parameter {i} is {x[at].item():.9g} instead of {y[at].item():.9g}; {rest}")


def with_new_memory(function: Callable[[], Any], fill: bool) -> Any:
    """A call in torch's deterministic mode, in which new memory is filled with NaN or not."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    settings: Any = torch.utils.deterministic
    filled = settings.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    settings.fill_uninitialized_memory = fill
    try:
        return function()
    finally:
        settings.fill_uninitialized_memory = filled
        torch.use_deterministic_algorithms(deterministic, warn_only=warns)


def snapshot(optimizer: Any, params: list[torch.Tensor]) -> list[tuple[str, Any]]:
    """Every entry of the state as it is now, to compare with later."""
    return [(where, x.clone() if isinstance(x, torch.Tensor) else x) for where, x in state_of(optimizer, params)]


def expect_state(
    optimizer: Any, params: list[torch.Tensor], before: list[tuple[str, Any]], when: str, rest: str
) -> None:
    """Broken if an entry of the state is not what it was."""
    after = dict(state_of(optimizer, params))
    for where, old in before:
        if where not in after:
            raise Broken(f"{when}, the state {where} is gone; {rest}")
        if not unchanged(old, after[where]):
            raise Broken(f"{when}, the state {where} changed; {rest}")


def unchanged(old: Any, new: Any) -> bool:
    """Whether an entry of the state is what it was; of what is no number, text or plain tensor nobody can say."""
    if isinstance(old, torch.Tensor) and isinstance(new, torch.Tensor):
        plain = old.layout == new.layout == torch.strided and not old.is_meta and not new.is_meta
        return same(old, new) if plain else old.layout == new.layout
    if isinstance(old, int | float | str) and isinstance(new, int | float | str):
        return old == new or (old != old and new != new)
    return isinstance(new, torch.Tensor) == isinstance(old, torch.Tensor)


def takes_late_groups(case: Case) -> bool:
    """Whether a group can be added and stepped; where it cannot, that is for another check to say."""
    params = fresh(case)
    if len(params) < 2:
        return False
    try:
        optimizer = case.factory(params[:1], **case.arguments)
        optimizer.add_param_group({"params": params[1:]})
        give(case, params, 0)
        optimizer.step()
    except Exception:
        return False
    return True


def state_of(optimizer: Any, params: list[torch.Tensor]) -> Iterator[tuple[str, Any]]:
    """Every entry of the state of every parameter, with words that say where it is."""
    state = getattr(optimizer, "state", None)
    for i, p in enumerate(params):
        own = state.get(p) if isinstance(state, Mapping) else None
        yield from entries(own, f"of parameter {i}") if own else ()


def entries(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """The leaves of nested containers."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from entries(entry, f"{key!r} {where}")
    elif isinstance(value, list | tuple):
        for index, entry in enumerate(value):
            yield from entries(entry, f"[{index}] of {where}")
    else:
        yield where, value
