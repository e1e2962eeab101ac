"""Family ``state``: what a load brings back, and what saving and loading leave as it is."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch

from verify.checks.context import Context
from verify.checks.groups import BEHAVIOUR_DTYPES
from verify.checks.judged import judged, run, same_bits
from verify.checks.state import LOADED_INTO, SAVED_BY, changed, goes_on, interrupted, known_keys, ordinary
from verify.driver import travel
from verify.finding import message_for
from verify.program import (
    INTO,
    WAYS,
    LoadFrom,
    Program,
    Reload,
)
from verify.trajectory import Recorder, record

SHAPES = ((5,), (3, 2), ())


@judged(
    "state.independence",
    "Asking for the state dict changes nothing; loading changes neither the dict nor where it came from.",
    ordinary,
    dtypes=("float32",),
    needs=("state_dict",),
)
def independence(context: Context, program: Program) -> str | None:
    """The state dict is asked for after every step; a deep copy of it is loaded into another instance, which
    steps on. The dict that was passed, the source's own state and its parameters must stay as they are, and
    after a load from disk no tensor is shared between the two.

    Bugs of this kind: load_state_dict that pops or edits what it is given, state_dict() that rounds, resets or
    detaches the live state, state at class level.
    """
    plain = run(context, program)

    class Asking(Recorder):
        replayable = False

        def stepped(self, operation: int) -> None:
            super().stepped(operation)
            self.saved()

    found = same_bits(
        plain,
        record(context.loaded, program, context.in_subject, Asking),
        "asked for its state dict after every step",
        state=True,
    )
    if found:
        return found
    source = run(context, program)
    before = copy.deepcopy(source.saved())
    loaded = travel(source.saved(), "file")
    kept = copy.deepcopy(loaded)
    other = run(context, program.with_operations(program.operations[:1]))
    other.call(other.optimizer.load_state_dict, loaded)
    place = changed(kept, loaded, "state_dict")
    if place:
        return f"load_state_dict changed the dict that it was given, at {place}"
    shared = _storages(source.saved()) & _storages(other.saved())
    if shared:
        return "after a load from disk the two instances share state tensors"
    for number, op in enumerate(program.operations):
        other.do(number, op)
    place = changed(before, source.saved(), "state_dict")
    if place:
        return f"stepping an instance that loaded a file changed the source's {place}"
    return None


def _storages(data: Any) -> set[int]:
    """Addresses of all tensors in a state dict."""
    if isinstance(data, torch.Tensor):
        return {data.untyped_storage().data_ptr()} if data.numel() else set()
    values = data.values() if isinstance(data, Mapping) else data if isinstance(data, list | tuple) else ()
    return set().union(*map(_storages, values))


@judged(
    "state.dtypes",
    "Restored state has the dtype, device and shape it had; step counters are not cast with the parameters.",
    ordinary,
    needs=("state_dict",),
)
def dtypes(context: Context, program: Program) -> str | None:
    """A file is loaded into a fresh instance and every entry of the state is compared with what it was. Then the
    state of a run in another dtype is loaded, and the reference goes on from it.

    Bugs of this kind: a step counter that is cast to bfloat16 with the parameters or made a tensor of shape
    (1,), moments that come back in float64 or in half, or as parameters that require grad.
    """
    source = run(context, program)
    twin = run(context, program.with_operations((*program.operations, Reload("file", "fresh"))))
    for index, (one, other) in enumerate(zip(source.tracks, twin.tracks, strict=True)):
        before = context.loaded.own_state(source.optimizer, one.tensor)
        after = context.loaded.own_state(twin.optimizer, other.tensor)
        for key, value in before.items():
            if key not in after:
                return f"state {key!r} of parameter {index} is gone after a load"
            if _kind(after[key], value) != _kind(value):
                unknown = context.loaded.rule.known and key not in known_keys(context, program)
                if unknown and goes_on(context, program, Reload("file", "fresh")) is None:
                    continue
                return f"state {key!r} of parameter {index} was {_kind(value)} and is {_kind(after[key], value)} after a load"
    if context.loaded.rule.known and _sees_all_state(context, source):
        for other_dtype in _other_dtypes(context.dtype):
            foreign = interrupted(program, LoadFrom(other_dtype))
            outcome = context.run(foreign)
            if outcome.failed:
                return message_for(context.loaded, foreign, outcome)
    return None


def _sees_all_state(context: Context, source: Recorder) -> bool:
    """Whether the reference can go on from what was loaded: it must be found where the rule says."""
    settings = [{**context.loaded.rule.defaults, **g} for g in source.program.groups]
    for track in source.tracks:
        values = settings[track.spec.group]
        state = context.loaded.rule.step(source.program.options, track.spec.shape).state
        needed = {s.name for s in state if s.needs is None or values[s.needs]}
        if not needed <= set(context.loaded.find_state(source.optimizer, track.tensor)):
            return False
    return True


def _other_dtypes(dtype: str) -> tuple[str, ...]:
    return {"float64": ("float32",), "float32": ("float64",), "bfloat16": ("float32",), "float16": ("float32",)}.get(
        dtype, ()
    )


def _kind(value: Any, before: Any = None) -> str:
    """In words; that a tensor requires grad, where the one before did not."""
    if isinstance(value, torch.Tensor):
        wants = isinstance(before, torch.Tensor) and value.requires_grad and not before.requires_grad
        kind = f"a {str(value.dtype).removeprefix('torch.')} tensor of shape {tuple(value.shape)} on {value.device}"
        return f"{kind} that requires grad" if wants else kind
    return f"a Python {type(value).__name__}"


@judged(
    "state.untouched",
    "The state dict of an instance that never stepped can be saved and loaded, and asking for it changes nothing.",
    ordinary,
    dtypes=BEHAVIOUR_DTYPES,
    needs=("state_dict",),
)
def untouched(context: Context, program: Program) -> str | None:
    """Before the first step the state dict is saved and loaded in every way; then the program runs as ever.

    Bugs of this kind: lazy state that is made by a step with zero gradients, so that the first real step is the
    second; an empty state that comes back as a plain dict and raises KeyError.
    """
    plain = run(context, program)
    for into in INTO[:2]:
        for how in WAYS:
            twin = run(context, program.with_operations((Reload(how, into), *program.operations)))
            what = f"saved{SAVED_BY[how]} before the first step and loaded into {LOADED_INTO[into]}"
            found = same_bits(plain, twin, what, state=True)
            if found:
                return found
    return None
