"""Promises about memory: what can be freed, what may grow, and what was never written."""

from __future__ import annotations

import gc
import random
import types
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from verify.promises.case import Broken, Case, build, dense, fresh, give, same, with_new_memory
from verify.promises.tensors import sparse_gradient


def memory(case: Case) -> None:
    """Three steps whose closure computes a loss and its gradients: once gradients are set to None, the loss, the
    gradients and what the graph held must be free. The tensors that can be reached from the optimizer (its state, its
    groups, its attributes, those of its class) must have as many elements after 50 steps as after 5; if not, it goes
    on to 600, for a history of bounded length may be meant; on sparse gradients too, whose entries may be kept one by
    one. And the steps must be the same when memory that nobody
    has initialised holds NaN.

    Bugs of this kind: the loss kept with its graph, and with it all activations; gradients kept in an attribute; a
    log of tensors that nobody empties; buffers from torch.empty that are multiplied by zero.
    """
    freed(case)
    bounded(case)
    bounded(case, sparse=True)
    initialised(case)


def freed(case: Case) -> None:
    """Losses and gradients that nothing may hold after they were used."""
    params = fresh(case)
    optimizer = build(case, params)
    for k in range(3):
        watched = step_watched(case, optimizer, params, k)
        for p in params:
            p.grad = None
        if any(ref() is not None for ref, _ in watched):
            gc.collect()
        for ref, what in watched:
            if ref() is not None:
                raise Broken(
                    f"after step {k + 1}, with all gradients set to None, {what} is still alive; the optimizer must "
                    "let go of it"
                )


def step_watched(case: Case, optimizer: Any, params: list[torch.Tensor], k: int) -> list[tuple[Any, str]]:
    """A step with a closure, and weak references to what it used."""
    watched: list[tuple[Any, str]] = []

    def evaluate() -> torch.Tensor:
        for p in params:
            p.grad = None
        loss = torch.zeros((), device=params[0].device)
        for p, g in zip(params, case.gradients[k % len(case.gradients)], strict=True):
            if g is not None:
                hidden = p * dense(g).conj()
                watched.append((weakref.ref(hidden), "what the graph of the loss held"))
                hidden = hidden.real if hidden.is_complex() else hidden
                loss = loss + (hidden * 1.0).sum().to(loss.dtype)
        if loss.requires_grad:
            loss.backward()
        for p, g in zip(params, case.gradients[k % len(case.gradients)], strict=True):
            if g is not None and g.is_sparse and p.grad is not None:
                p.grad = p.grad.to_sparse(1)
        watched.append((weakref.ref(loss), "the loss"))
        for i, p in enumerate(params):
            if p.grad is not None:
                watched.append((weakref.ref(p.grad), f"the gradient of parameter {i}"))
        return loss

    try:
        optimizer.step(evaluate)
    except TypeError:  # it takes no closure, which is for another check to say
        with torch.enable_grad():
            evaluate()
        optimizer.step()
    return watched


def bounded(case: Case, sparse: bool = False) -> None:
    """The number of elements that the optimizer holds after 5 steps and after 50."""
    params = fresh(case)
    optimizer = build(case, params)
    held: dict[int, int] = {}
    done = 0
    for until in (5, 50, 300, 600):
        if until > 50 and held[50] <= held[5]:
            return
        while done < until:
            give(case, params, done)
            if sparse:
                give_lookups(params, done)
            try:
                optimizer.step()
            except Exception:
                if sparse:
                    return  # whether sparse gradients are taken is another promise
                raise
            done += 1
        for p in params:
            p.grad = None
        held[until] = elements(optimizer)
    if held[600] > held[300]:
        told = ", ".join(f"{count} after {when}" for when, count in held.items())
        kind = " on sparse gradients" if sparse else ""
        raise Broken(
            f"the optimizer's tensors grow with every step{kind}: {told} steps in all their elements; they must not"
        )


def give_lookups(params: list[torch.Tensor], k: int) -> None:
    """Gradients as an embedding leaves them that looked up eight rows, in no order and some of them several times."""
    for p in params:
        if p.grad is not None and p.ndim and len(p):
            rows = tuple(random.Random(k).choices(range(len(p)), k=8))
            p.grad = sparse_gradient(dense(p.grad), rows, "twice")


def elements(optimizer: Any) -> int:
    """Elements of all tensors and arrays that can be reached from an optimizer."""
    seen: set[int] = set()
    total = 0
    waiting = [optimizer, *class_attributes(type(optimizer))]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, torch.Tensor) and thing.is_sparse:
            total += thing._values().numel()
        elif isinstance(thing, torch.Tensor) or type(thing).__module__.split(".")[0] == "numpy":
            total += int(getattr(thing, "numel", lambda thing=thing: getattr(thing, "size", 0))())
        else:
            waiting += inside(thing)
    return total


def class_attributes(kind: type) -> Iterator[Any]:
    """What the optimizer's own classes hold."""
    for owner in kind.__mro__:
        if owner is not object and not owner.__module__.startswith("torch."):
            yield from (x for x in vars(owner).values() if isinstance(x, Mapping | list | tuple | set))


def inside(thing: Any) -> list[Any]:
    """What an object holds, as far as it is data."""
    if isinstance(thing, Mapping):
        return [*thing.keys(), *thing.values()]
    if isinstance(thing, list | tuple | set | frozenset) or type(thing).__name__ == "deque":
        return list(thing)
    if isinstance(thing, types.FunctionType):
        return [cell.cell_contents for cell in thing.__closure__ or () if cell != types.CellType()]
    if isinstance(thing, types.MethodType):
        return [thing.__func__, thing.__self__]
    if isinstance(thing, type | types.ModuleType | str | bytes | int | float | complex):
        return []
    return list(getattr(thing, "__dict__", {}).values())


def initialised(case: Case) -> None:
    """The same steps, with new memory filled by NaN and as it comes."""
    runs = [with_new_memory(lambda: walk_three(case), fill) for fill in (False, True)]
    for i, (plain, filled) in enumerate(zip(*runs, strict=True)):
        if not same(plain, filled):
            raise Broken(
                f"when memory that nobody has initialised holds NaN, parameter {i} differs after three steps; every "
                "buffer must be written before it is read"
            )


def walk_three(case: Case) -> list[torch.Tensor]:
    """Parameters after three steps."""
    params = fresh(case)
    optimizer = build(case, params)
    for k in range(3):
        give(case, params, k)
        optimizer.step()
    return [p.detach() for p in params]
