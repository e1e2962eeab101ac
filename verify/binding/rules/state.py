"""State that is stale, foreign, of the wrong shape, or shared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from verify.binding.finding import Finding
from verify.binding.look import Look, state_of
from verify.binding.memory import overlapping, shape
from verify.binding.strangers import described

# state of torch.optim that has one element for every element of the parameter
ELEMENTWISE = frozenset(
    [
        "exp_avg",
        "exp_avg_sq",
        "max_exp_avg_sq",
        "exp_inf",
        "momentum_buffer",
        "square_avg",
        "grad_avg",
        "acc_delta",
        "sum",
        "prev",
        "step_size",
        "ax",
    ]
)


def stale_state(look: Look) -> Iterator[Finding]:
    for number, owner in enumerate(look.owners):
        held = {id(t) for _, _, t in look.slots[number]}
        usual = type(owner.optimizer).state_dict is torch.optim.Optimizer.state_dict
        for position, key in enumerate(state_of(owner)):
            if isinstance(key, Tensor) and id(key) not in held:
                was = look.memory.names.get(id(key), (None, None))[1]
                name = look.name(key) or was or f"entry {position} of optimizer.state"
                yield Finding(
                    "stale-state",
                    "error" if usual else "warning",
                    name,
                    f"{owner.name} has state for it ({described(key)}), and it is in none of its groups: state_dict() raises "
                    "KeyError, and a parameter that took its place starts afresh. Write: optimizer.state[new] = "
                    "optimizer.state.pop(old), or optimizer.state.pop(old).",
                )


def state_key(look: Look) -> Iterator[Finding]:
    for number, owner in enumerate(look.owners):
        ids = {id(t): t for _, _, t in look.slots[number]}
        for key in state_of(owner):
            if type(key) is int and key in ids:
                yield Finding(
                    "state-key",
                    "error",
                    look.name(ids[key]) or owner.name,
                    f"{owner.name} keeps its state under id(parameter), which means nothing after loading. Write: self.state[p].",
                )


def state_mismatch(look: Look) -> Iterator[Finding]:
    for number, owner in enumerate(look.owners):
        if not type(owner.optimizer).__module__.startswith("torch.optim"):
            continue
        kept = look.entries[number]
        for group, position, tensor in look.slots[number]:
            for key, value in kept.get(id(tensor), {}).items():
                if key in ELEMENTWISE and isinstance(value, Tensor) and value.ndim and shape(tensor) is not None:
                    yield from _mismatch(look, number, (group, position, tensor), key, value)


def _mismatch(look: Look, number: int, slot: tuple[int, int, Tensor], key: str, value: Tensor) -> Iterator[Finding]:
    group, position, tensor = slot
    if value.shape != tensor.shape:
        severity, wrong = "error", f"shape {list(value.shape)} for a parameter of shape {list(tensor.shape)}"
        write = (
            "optimizer.state.pop(p), if the parameter was resized; or load the state in the order in which it was saved"
        )
    elif value.device != tensor.device:
        severity, wrong = "error", f"device {value.device} for a parameter on {tensor.device}"
        write = "optimizer.load_state_dict(optimizer.state_dict()), which moves it"
    elif value.dtype != tensor.dtype:
        severity = "warning" if key == "momentum_buffer" else "error"
        wrong = f"dtype {value.dtype} for a parameter of {tensor.dtype}"
        write = "optimizer.load_state_dict(optimizer.state_dict()), which casts it; or convert the model before the first step"
    else:
        return
    yield Finding(
        "state-mismatch",
        severity,
        look.name(tensor) or look.called(number, group, position),
        f"its {key} in {look.owners[number].name} has {wrong}. Write: {write}.",
    )


def shared_state(look: Look) -> Iterator[Finding]:
    """Tensors under different parameters, or in different optimizers, over one memory."""
    found = [
        (number, tensor, key, value)
        for number, slots in enumerate(look.slots)
        for _, _, tensor in slots
        for key, value in look.entries[number].get(id(tensor), {}).items()
        if isinstance(value, Tensor) and value.ndim
    ]
    if not found:
        return
    everything = found + [(-1, tensor, "", tensor) for _, tensor in look.tensors]
    reported: set[tuple[int, int]] = set()
    for a, b in overlapping(value for *_, value in everything):
        if a >= len(found) or _buffer_of_several(everything[a][3], everything[b][3]):
            continue
        (owner, parameter, first, _), (other, whose, second, _) = everything[a], everything[b]
        if parameter is whose and other in (owner, -1):  # copies of a parameter that take its place, as in SAM
            continue
        if (owner, other) in reported:
            continue
        reported.add((owner, other))
        yield Finding(
            "shared-state",
            "error",
            _whose(look, parameter),
            f"its state {first!r} in {look.owners[owner].name} shares memory with "
            f"{f'the state {second!r} of ' if second else ''}{_whose(look, whose)}, so the steps of one change the other: load_state_dict does not copy. Write: "
            "other.load_state_dict(copy.deepcopy(optimizer.state_dict())).",
        )


def _whose(look: Look, tensor: Tensor) -> str:
    return next(name for name, held in (*look.held, *look.tensors) if held is tensor)


def _buffer_of_several(a: Tensor, b: Tensor) -> bool:
    """Whether two are one object, as constants are that stand for zeros of every parameter."""
    return a is b and not a.any()


def state_value(look: Look) -> Iterator[Finding]:
    for number, owner in enumerate(look.owners):
        if type(owner.optimizer).load_state_dict is not torch.optim.Optimizer.load_state_dict:
            continue
        kept = look.entries[number]
        for group, position, tensor in look.slots[number]:
            for key, value in kept.get(id(tensor), {}).items():
                what = _lost(value)
                if what:
                    yield Finding(
                        "state-value",
                        "warning",
                        look.name(tensor) or look.called(number, group, position),
                        f"its state {key!r} in {owner.name} is {what}. Keep numbers and tensors in the state, and text in the group.",
                    )


def _lost(value: Any) -> str:
    """What load_state_dict, which rebuilds every iterable from a generator, makes of a value."""
    if isinstance(value, (Tensor, int, float)):
        return ""
    if isinstance(value, (str, bytes)):
        return f"{value!r}: load_state_dict brings back the text of a generator object instead"
    if isinstance(value, range) or (isinstance(value, tuple) and hasattr(value, "_fields")) or _is_array(value):
        return f"a {type(value).__name__}, on which load_state_dict raises TypeError"
    return ""


def _is_array(value: Any) -> bool:
    return type(value).__module__ == "numpy" and type(value).__name__ == "ndarray"


RULES = (stale_state, state_key, state_mismatch, shared_state, state_value)
