"""Family ``state``: checkpoints, copies, and what a new instance must be told."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from verify.checks.context import Context
from verify.checks.groups import BEHAVIOUR_DTYPES
from verify.checks.judged import has_one_group, judged, run, same_bits
from verify.checks.programs import differing_groups, settings
from verify.driver import SubjectRaised
from verify.program import (
    COPIES,
    INTO,
    WAYS,
    Copy,
    Edit,
    Filling,
    Parameter,
    Program,
    Reload,
    Step,
)
from verify.sparse import in_form
from verify.trajectory import Recorder, record, unequal

SHAPES = ((5,), (3, 2), ())


def _steps(*present: tuple[bool, ...], at: int = 0) -> tuple[Step, ...]:
    return tuple(
        Step(tuple(Filling(at + 41 * k + 13 * i) if there else None for i, there in enumerate(row)))
        for k, row in enumerate(present)
    )


def ordinary(context: Context) -> Iterator[Program]:
    """Three parameters in one or two groups, four steps, the second parameter's gradient missing once."""
    for number, (options, values) in enumerate(settings(context)):
        groups = differing_groups(context, values, options)[:2]
        parameters = tuple(
            Parameter(shape, min(k, len(groups) - 1), Filling(90 * number + 7 * k)) for k, shape in enumerate(SHAPES)
        )
        yield context.program(
            groups=tuple(groups),
            options=dict(options),
            parameters=parameters,
            operations=_steps((True,) * 3, (True, False, True), (True,) * 3, (True,) * 3, at=100 * number),
        )


def _late(context: Context) -> Iterator[Program]:
    """The last parameter's first gradient comes at the third step."""
    for program in ordinary(context):
        present = ((True, True, False), (True, False, False), (True,) * 3, (True,) * 3)
        yield program.with_operations(_steps(*present, at=3))


def interrupted(program: Program, *between: Any, everywhere: bool = False) -> Program:
    """The program with operations after its second step, or after each."""
    operations: list = []
    for number, op in enumerate(program.operations):
        operations.append(op)
        if everywhere or number == min(1, len(program.operations) - 2):
            operations += between
    return program.with_operations(operations)


LOADED_INTO = {"same": "itself", "fresh": "a fresh instance", "stepped": "an instance that has stepped"}
SAVED_BY = {"direct": "", "deepcopy": " (deep copy)", "pickle": " (pickle)", "file": " (torch.save, weights_only)"}


def _continues(context: Context, program: Program) -> str | None:
    for into in INTO:
        for how in WAYS:
            found = goes_on(context, program, Reload(how, into), everywhere=how == "direct")
            if found:
                return found
    return None


def goes_on(context: Context, program: Program, load: Reload, *, everywhere: bool = False) -> str | None:
    """Whether a run that is saved and loaded is the same in parameters and state."""
    what = f"saved{SAVED_BY[load.how]} and loaded into {LOADED_INTO[load.into]}"
    resumed = run(context, interrupted(program, load, everywhere=everywhere))
    found = same_bits(run(context, program), resumed, what, state=True)
    if found is None or not context.loaded.rule.known:
        return found
    # an entry that the rule does not know may be a diagnosis, which moves nothing: a longer run shows it
    known = known_keys(context, program)
    longer = program.with_operations((*program.operations, *program.operations[1:] * 3))
    resumed = run(context, interrupted(longer, load, everywhere=everywhere))
    return same_bits(run(context, longer), resumed, what, state=known.__contains__)


def known_keys(context: Context, program: Program) -> set[Any]:
    """Keys under which the rule's own state may be found."""
    loaded = context.loaded
    known: set[Any] = {"step", *loaded.subject.state_keys.values()}
    for parameter in program.parameters:
        for variable in loaded.rule.step(program.options, parameter.shape).state:
            known |= {variable.name, *variable.keys}
    return known


def _rewound(context: Context, program: Program) -> str | None:
    """A file is loaded into the instance that wrote it and has stepped on: it goes on from there."""
    operations = program.operations
    if not all(isinstance(op, Step) for op in operations):
        return None
    plain = run(context, program)
    for at in (2, 0):
        if at >= len(operations):
            continue
        rewound = run(context, program.with_operations(operations[:at]))
        data = rewound.saved("deepcopy")
        values = [t.tensor.detach().clone() for t in rewound.tracks]
        for _ in range(2):
            for index, op in enumerate(operations[at:]):
                rewound.do(at + index, op)
        rewound.call(rewound.optimizer.load_state_dict, data)
        with torch.no_grad():
            for track, value in zip(rewound.tracks, values, strict=True):
                track.tensor.copy_(value)
        rewound.moments, rewound.replayable = rewound.moments[:at], False
        for index, op in enumerate(operations[at:]):
            rewound.do(at + index, op)
        found = same_bits(
            plain, rewound, f"saved after {at} steps and loaded into itself {2 * (len(operations) - at)} steps later"
        )
        if found:
            return found
    return None


# what torch's schedulers write into groups, and look for when they go on
FOREIGN = ("initial_lr", 0.375)


def _keeps_foreign_key(context: Context, program: Program) -> str | None:
    """What a scheduler has written into a group is there after a load."""
    source = run(context, program.with_operations(program.operations[:1]))
    key, value = FOREIGN
    groups = getattr(source.optimizer, "param_groups", None)
    if not isinstance(groups, list) or not groups or not isinstance(groups[0], dict):
        return None
    groups[0][key] = value
    saved = source.saved("file")
    source.optimizer = source.call(source.built)
    try:
        source.call(source.optimizer.load_state_dict, saved)
    except SubjectRaised as error:
        if key in str(error):
            return None
        raise
    found = source.optimizer.param_groups[0].get(key)
    if found != value:
        return (
            f"a group's {key!r}, which a scheduler writes, is {'gone' if found is None else found} after a run is saved "
            "and loaded; a scheduler cannot go on without it"
        )
    return None


@judged(
    "state.round_trip",
    "A run that is saved and loaded goes on bit for bit.",
    ordinary,
    dtypes=BEHAVIOUR_DTYPES,
    needs=("state_dict",),
)
def round_trip(context: Context, program: Program) -> str | None:
    """The state dict is saved after the second step (and after every step), passed on as it is, deep-copied,
    pickled, or written with torch.save and read with weights_only=True, and loaded into the same instance, a
    fresh one, or one that has already stepped; and an early file into the instance that wrote it, many steps later.
    Parameters and state must then be what they are without; an entry of the state that the rule does not know may
    change as long as no parameter ever moves otherwise. What a scheduler wrote into a group must be there.

    Bugs of this kind: a counter or a cached quantity that is not restored, state that a step with weights_only
    cannot hold, hooks that fill in defaults over what was loaded, the larger of two counts kept, group keys dropped.
    """
    return _continues(context, program) or _rewound(context, program) or _keeps_foreign_key(context, program)


@judged(
    "state.late_gradients",
    "Parameters whose first gradient comes after a load start at their own step 1, and the others go on.",
    _late,
    dtypes=BEHAVIOUR_DTYPES,
    needs=("state_dict",),
)
def late_gradients(context: Context, program: Program) -> str | None:
    """One parameter has no gradient before the state is saved and loaded, another misses one step.

    Bugs of this kind: state made once for the parameters that had gradients then; an empty state that is
    loaded as a plain dict; one counter for all.
    """
    return _continues(context, program)


class _Elsewhere(Recorder):
    """Goes on with other tensors and another instance, as a new process would."""

    replayable = False

    def built(self):
        if self.optimizer is None:
            return super().built()
        # the old one goes on, and spoils whatever it shares with the new one
        for _ in range(2):
            self._step_aside()
        for track in self.tracks:
            gradient = track.tensor.grad
            track.tensor = track.leaf = track.tensor.detach().clone().requires_grad_(not track.frozen)
            if self.program.implementation == "differentiable":
                track.tensor = track.leaf.clone()
            track.tensor.grad = gradient
        self.program, program = replace(self.program, groups=self._other_groups()), self.program
        try:
            return super().built()
        finally:
            self.program = program

    def _other_groups(self) -> tuple[Mapping[str, float], ...]:
        """Other values of what the param groups hold, which the state dict must bring back."""
        group = getattr(self.optimizer, "param_groups", [{}])[0]
        changed = []
        for values in self.program.groups:
            other = {
                name: value / 2 if self.loaded.hyperparameters[name].name in group else value
                for name, value in values.items()
            }
            whole = {**self.loaded.rule.defaults, **self.loaded.fixed, **other}
            fits = self.loaded.rule.constraint(whole, self.loaded.rule.step(self.program.options).options)
            fits = fits and all(h.contains(whole[h.name]) and not h.integer for h in self.loaded.rule.hyperparameters)
            changed.append(other if fits else values)
        return tuple(changed)


@judged(
    "state.complete",
    "Nothing that the next step needs lives outside the state dict.",
    ordinary,
    dtypes=BEHAVIOUR_DTYPES,
    needs=("state_dict",),
)
def complete(context: Context, program: Program) -> str | None:
    """The state is loaded into a fresh instance with other hyperparameters and other tensors, while the old
    instance goes on stepping; the fresh one must continue bit for bit, also after an edit of lr.

    Bugs of this kind: moments in a Python attribute or keyed by id(p), counters on self or on the class,
    hyperparameters that are read from the constructor instead of from the group.
    """
    cases = [program]
    if "lr" in context.editable:
        edit = Edit(0, "lr", 0.375)
        cases.append(program.with_operations((program.operations[0], edit, *program.operations[1:])))
    for case in cases:
        twin = interrupted(case, Reload("file", "fresh"))
        elsewhere = record(context.loaded, twin, context.in_subject, _Elsewhere)
        found = same_bits(run(context, case), elsewhere, "loaded into a new instance on new tensors")
        if found:
            return found
    return None


@judged(
    "state.copies",
    "A deep copy, and a pickled copy, of parameters and optimizer goes on bit for bit, and apart from the original.",
    ordinary,
    dtypes=BEHAVIOUR_DTYPES,
    implementations=("for-loop", "foreach", "fused", "capturable"),
    needs=("pickle",),
)
def copies(context: Context, program: Program) -> str | None:
    """Parameters and optimizer are copied together, by copy.deepcopy and by pickle; the copy steps on and a group
    can be added to it; the original must not move.

    Bugs of this kind: __getstate__ that drops the defaults, a lambda that cannot be pickled, lists fixed at
    construction that are missing afterwards, a closure that still refers to the original.
    """
    plain = run(context, program)
    for how in COPIES:
        what = "copied by deepcopy" if how == "deepcopy" else "copied by pickle"
        copied = run(context, interrupted(program, Copy(how)))
        found = same_bits(plain, copied, what)
        if found:
            return found
        if not has_one_group(context) and not _takes_a_group(copied):
            return f"{what}, the optimizer takes no further group with add_param_group"
        found = _original_stays(context, program, how)
        if found:
            return f"{what}, {found}"
    return None


def _takes_a_group(driver: Recorder) -> bool:
    if not hasattr(driver.optimizer, "add_param_group"):
        return True
    extra = torch.ones(driver.loaded.small_shape, dtype=driver.tracks[0].tensor.dtype, requires_grad=True)
    extra.grad = in_form(torch.ones_like(extra), "rows") if driver.loaded.sparse_alone else torch.ones_like(extra)
    try:
        driver.call(driver.optimizer.add_param_group, {"params": [extra]})
        driver.call(lambda: driver.optimizer.step())
    except SubjectRaised:
        return False
    return True


def _original_stays(context: Context, program: Program, how: str) -> str | None:
    """Whether stepping a copy leaves the original alone."""
    start = min(2, len(program.operations) - 1)
    if start < 1:
        return None
    first = run(context, program.with_operations(program.operations[:start]))
    optimizer = first.optimizer
    before = copy.deepcopy(optimizer.state_dict()) if hasattr(optimizer, "state_dict") else {}
    originals = [t.tensor for t in first.tracks]
    first.do(start, Copy(how))
    for number, op in enumerate(program.operations[start:]):
        first.do(start + 1 + number, op)
    for index, (tensor, values) in enumerate(zip(originals, first.moments[start - 1].values, strict=True)):
        if unequal(tensor.detach().double().reshape(-1).numpy(), values) is not None:
            return f"stepping the copy moved parameter {index} of the original"
    place = changed(before, optimizer.state_dict() if before else {})
    return f"stepping the copy changed {place} of the original" if place else None


def changed(before: Any, after: Any, path: str = "") -> str | None:
    """Path of the first thing in which two nested containers differ."""
    if isinstance(before, torch.Tensor) or isinstance(after, torch.Tensor):
        same = isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor)
        same = same and before.shape == after.shape and before.dtype == after.dtype
        return None if same and torch.equal(before.nan_to_num(), after.nan_to_num()) else path
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        if before.keys() != after.keys():
            return f"{path} (keys {sorted(map(str, before.keys() ^ after.keys()))})"
        return next((c for k in before if (c := changed(before[k], after[k], f"{path}[{k!r}]"))), None)
    if isinstance(before, list | tuple) and isinstance(after, list | tuple):
        if len(before) != len(after):
            return f"{path} (length {len(before)}, then {len(after)})"
        return next(
            (c for i, (x, y) in enumerate(zip(before, after, strict=True)) if (c := changed(x, y, f"{path}[{i}]"))),
            None,
        )
    return None if before == after or (before != before and after != after) else path
