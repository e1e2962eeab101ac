"""Family ``state``: checkpoints, copies, and what a new instance must be told."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from verify.checks.context import Context
from verify.checks.groups import BEHAVIOUR_DTYPES
from verify.checks.judged import judged, run, same_bits
from verify.checks.programs import differing_groups, settings
from verify.driver import SubjectRaised, travel
from verify.finding import message_for
from verify.program import (
    COPIES,
    INTO,
    WAYS,
    Copy,
    Edit,
    Filling,
    LoadFrom,
    Parameter,
    Program,
    Reload,
    Step,
)
from verify.trajectory import Recorder, record, unequal

SHAPES = ((5,), (3, 2), ())


def _steps(*present: tuple[bool, ...], at: int = 0) -> tuple[Step, ...]:
    return tuple(
        Step(tuple(Filling(at + 41 * k + 13 * i) if there else None for i, there in enumerate(row)))
        for k, row in enumerate(present)
    )


def _ordinary(context: Context) -> Iterator[Program]:
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
    for program in _ordinary(context):
        present = ((True, True, False), (True, False, False), (True,) * 3, (True,) * 3)
        yield program.with_operations(_steps(*present, at=3))


def _interrupted(program: Program, *between: Any, everywhere: bool = False) -> Program:
    """The program with operations after its second step, or after each."""
    operations: list = []
    for number, op in enumerate(program.operations):
        operations.append(op)
        if everywhere or number == min(1, len(program.operations) - 2):
            operations += between
    return program.with_operations(operations)


_INTO = {"same": "itself", "fresh": "a fresh instance", "stepped": "an instance that has stepped"}
_WAYS = {"direct": "", "deepcopy": " (deep copy)", "pickle": " (pickle)", "file": " (torch.save, weights_only)"}


def _continues(context: Context, program: Program) -> str | None:
    for into in INTO:
        for how in WAYS:
            found = _goes_on(context, program, Reload(how, into), everywhere=how == "direct")
            if found:
                return found
    return None


def _goes_on(context: Context, program: Program, load: Reload, *, everywhere: bool = False) -> str | None:
    """Whether a run that is saved and loaded is the same in parameters and state."""
    what = f"saved{_WAYS[load.how]} and loaded into {_INTO[load.into]}"
    interrupted = run(context, _interrupted(program, load, everywhere=everywhere))
    found = same_bits(run(context, program), interrupted, what, state=True)
    if found is None or not context.loaded.rule.known:
        return found
    # an entry that the rule does not know may be a diagnosis, which moves nothing: a longer run shows it
    known = _known_keys(context, program)
    longer = program.with_operations((*program.operations, *program.operations[1:] * 3))
    interrupted = run(context, _interrupted(longer, load, everywhere=everywhere))
    return same_bits(run(context, longer), interrupted, what, state=known.__contains__)


def _known_keys(context: Context, program: Program) -> set[Any]:
    """Keys under which the rule's own state may be found."""
    loaded = context.loaded
    known: set[Any] = {"step", *loaded.subject.state_keys.values()}
    for variable in loaded.rule.step(program.options).state:
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
    _ordinary,
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
    _ordinary,
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
        twin = _interrupted(case, Reload("file", "fresh"))
        elsewhere = record(context.loaded, twin, context.in_subject, _Elsewhere)
        found = same_bits(run(context, case), elsewhere, "loaded into a new instance on new tensors")
        if found:
            return found
    return None


@judged(
    "state.copies",
    "A deep copy, and a pickled copy, of parameters and optimizer goes on bit for bit, and apart from the original.",
    _ordinary,
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
        copied = run(context, _interrupted(program, Copy(how)))
        found = same_bits(plain, copied, what)
        if found:
            return found
        if not _takes_a_group(copied):
            return f"{what}, the optimizer takes no further group with add_param_group"
        found = _original_stays(context, program, how)
        if found:
            return f"{what}, {found}"
    return None


def _takes_a_group(driver: Recorder) -> bool:
    if not hasattr(driver.optimizer, "add_param_group"):
        return True
    extra = torch.ones(2, dtype=driver.tracks[0].tensor.dtype, requires_grad=True)
    extra.grad = torch.ones_like(extra)
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
    changed = _changed(before, optimizer.state_dict() if before else {})
    return f"stepping the copy changed {changed} of the original" if changed else None


def _changed(before: Any, after: Any, path: str = "") -> str | None:
    """Path of the first thing in which two nested containers differ."""
    if isinstance(before, torch.Tensor) or isinstance(after, torch.Tensor):
        same = isinstance(before, torch.Tensor) and isinstance(after, torch.Tensor)
        same = same and before.shape == after.shape and before.dtype == after.dtype
        return None if same and torch.equal(before.nan_to_num(), after.nan_to_num()) else path
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        if before.keys() != after.keys():
            return f"{path} (keys {sorted(map(str, before.keys() ^ after.keys()))})"
        return next((c for k in before if (c := _changed(before[k], after[k], f"{path}[{k!r}]"))), None)
    if isinstance(before, list | tuple) and isinstance(after, list | tuple):
        if len(before) != len(after):
            return f"{path} (length {len(before)}, then {len(after)})"
        return next(
            (c for i, (x, y) in enumerate(zip(before, after, strict=True)) if (c := _changed(x, y, f"{path}[{i}]"))),
            None,
        )
    return None if before == after or (before != before and after != after) else path


@judged(
    "state.independence",
    "Asking for the state dict changes nothing; loading changes neither the dict nor where it came from.",
    _ordinary,
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
    changed = _changed(kept, loaded, "state_dict")
    if changed:
        return f"load_state_dict changed the dict that it was given, at {changed}"
    shared = _storages(source.saved()) & _storages(other.saved())
    if shared:
        return "after a load from disk the two instances share state tensors"
    for number, op in enumerate(program.operations):
        other.do(number, op)
    changed = _changed(before, source.saved(), "state_dict")
    if changed:
        return f"stepping an instance that loaded a file changed the source's {changed}"
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
    _ordinary,
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
                unknown = context.loaded.rule.known and key not in _known_keys(context, program)
                if unknown and _goes_on(context, program, Reload("file", "fresh")) is None:
                    continue
                return f"state {key!r} of parameter {index} was {_kind(value)} and is {_kind(after[key], value)} after a load"
    if context.loaded.rule.known and _sees_all_state(context, source):
        for other_dtype in _other_dtypes(context.dtype):
            foreign = _interrupted(program, LoadFrom(other_dtype))
            outcome = context.run(foreign)
            if outcome.failed:
                return message_for(context.loaded, foreign, outcome)
    return None


def _sees_all_state(context: Context, source: Recorder) -> bool:
    """Whether the reference can go on from what was loaded: it must be found where the rule says."""
    settings = [{**context.loaded.rule.defaults, **g} for g in source.program.groups]
    for track in source.tracks:
        values = settings[track.spec.group]
        state = context.loaded.rule.step(source.program.options).state
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
    _ordinary,
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
            what = f"saved{_WAYS[how]} before the first step and loaded into {_INTO[into]}"
            found = same_bits(plain, twin, what, state=True)
            if found:
                return found
    return None


@judged(
    "state.keys",
    "A file with a missing or an unknown key, or with another number of groups or parameters, goes on right or ends "
    "in an error that says so.",
    _ordinary,
    dtypes=("float32",),
    needs=("state_dict",),
)
def keys(context: Context, program: Program) -> str | None:
    """Each key of a group, and each of a parameter's state, is left out of the file in turn; a strange one is put
    in; a group, and a parameter, is taken away. A key that is left out may stand for its default, or for the
    value of the instance, as in a file that is older than the key; state, also what is kept in groups, may begin
    anew; anything else must end in an exception that names the key.

    Bugs of this kind: a wrong number of groups that zip ignores, an exception from deep inside that names
    nothing, values that are silently replaced.
    """
    program = program.with_operations(program.operations[:3])
    if len(program.operations) < 2:
        return None
    plain = run(context, program)
    saved = run(context, program.with_operations(program.operations[:-1])).saved("deepcopy")
    for what, wrong in _wrong_sizes(saved):
        if _load(context, program, wrong)[1] is None:
            return f"a file with {what} was loaded without an error"
    for key in saved["param_groups"][0]:
        if key == "params":
            continue
        found = _without_key(context, program, plain, saved, key)
        if found:
            return found
    strange = copy.deepcopy(saved)
    for group in strange["param_groups"]:
        group["optim_verify_unknown"] = 1
    after, error = _load(context, program, strange)
    if error is not None and "optim_verify_unknown" not in error:
        return f"a file with an unknown key in its groups ends in {error}, which does not name the key"
    if after is not None:
        found = same_bits(_last(plain), _last(after), "with an unknown key in the file's groups")
        if found:
            return found
    return _without_state(context, program, plain, saved)


def _wrong_sizes(saved: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    groups = saved["param_groups"]
    yield "one group too many", {**saved, "param_groups": [*groups, {**groups[-1], "params": []}]}
    if len(groups) > 1:
        yield "a group too few", {**saved, "param_groups": groups[:-1]}
    fewer = {**groups[0], "params": groups[0]["params"][:-1]}
    if groups[0]["params"]:
        yield "a parameter too few", {**saved, "param_groups": [fewer, *groups[1:]]}


def _load(context: Context, program: Program, data: Any) -> tuple[Recorder | None, str | None]:
    """Load into a fresh instance and take the last step; the run, or the exception that ended it."""
    resumed = run(context, program.with_operations(program.operations[:-1]))
    # a fresh instance on these parameters, as a resumed run has it
    resumed.optimizer = resumed.call(resumed.built)
    resumed.moments, resumed.replayable = [], False
    try:
        resumed.call(resumed.optimizer.load_state_dict, copy.deepcopy(data))
        resumed.do(len(program.operations) - 1, program.operations[-1])
    except SubjectRaised as error:
        return None, str(error)
    return resumed, None


def _last(recorder: Recorder) -> Recorder:
    recorder.moments = recorder.moments[-1:]
    return recorder


def _without_key(context: Context, program: Program, plain: Recorder, saved: dict, key: str) -> str | None:
    lacking = {**saved, "param_groups": [{k: v for k, v in g.items() if k != key} for g in saved["param_groups"]]}
    after, error = _load(context, program, lacking)
    if error is not None:
        return None if key in error else f"a file without {key!r} ends in {error}, which does not name the key"
    assert after is not None
    found = same_bits(_last(plain), _last(after), f"from a file without {key!r}")
    if found and key in context.loaded.parameters:
        default = context.loaded.parameters[key].default
        stands = {**saved, "param_groups": [{**g, key: default} for g in saved["param_groups"]]}
        with_default, _ = _load(context, program, stands)
        if with_default is not None and same_bits(_last(with_default), _last(after), "") is None:
            return None
    if found and any(
        twin is not None and same_bits(_last(twin), _last(after), "") is None
        for twin in _group_begun_anew(context, program, saved, key)
    ):
        return None
    return found


def _group_begun_anew(context: Context, program: Program, saved: dict, key: str) -> Iterator[Recorder | None]:
    """As :func:`_begun_anew`, for a key that the groups of a fresh instance do not have: it holds state."""
    resumed = run(context, program.with_operations(()))
    fresh = getattr(resumed.optimizer, "param_groups", [{}])
    if any(key in g for g in fresh):
        return
    lacking = [{k: v for k, v in g.items() if k != key} for g in saved["param_groups"]]
    yield _load(context, program, {**saved, "state": {}, "param_groups": lacking})[0]
    # it may begin at zero, or where a hyperparameter says
    numbers = (k for k, v in fresh[0].items() if isinstance(v, int | float) and not isinstance(v, bool))
    for name in (None, *numbers):
        groups = [
            {**g, key: _like(g[key], own.get(name, 0))} if key in g else g
            for g, own in zip(saved["param_groups"], fresh, strict=True)
        ]
        yield _load(context, program, {**saved, "param_groups": groups})[0]


def _like(value: Any, start: float) -> Any:
    """The number ``start`` as the kind of thing that ``value`` is."""
    if isinstance(value, torch.Tensor):
        return torch.full_like(value, start)
    return type(value)(start) if isinstance(value, int | float) and not isinstance(value, bool) else start


def _without_state(context: Context, program: Program, plain: Recorder, saved: dict) -> str | None:
    """Each key of every parameter's state in turn."""
    for key in dict.fromkeys(k for own in saved["state"].values() if isinstance(own, Mapping) for k in own):
        lacking = copy.deepcopy(saved)
        for own in lacking["state"].values():
            own.pop(key, None)
        after, error = _load(context, program, lacking)
        if error is not None:
            if str(key) not in error:
                return f"a file whose state lacks {key!r} ends in {error}, which does not name the key"
            continue
        assert after is not None
        found = same_bits(_last(plain), _last(after), f"from a file whose state lacks {key!r}")
        if found and not any(
            twin is not None and same_bits(_last(twin), _last(after), "") is None
            for twin in _begun_anew(context, program, saved, key)
        ):
            return found
    return None


def _begun_anew(context: Context, program: Program, saved: dict, key: Any) -> Iterator[Recorder | None]:
    """Runs that what lacks in a file may rightly stand for: no state at all, or a part of it that begins later."""
    yield _load(context, program, {**saved, "state": {}})[0]
    variables = context.loaded.rule.step(program.options).state
    later = {k for s in variables if s.option or s.needs or s.unset_at_first for k in (s.name, *s.keys)}
    if key in later or not context.loaded.rule.known:
        zero = copy.deepcopy(saved)
        for own in zero["state"].values():
            if key in own:
                own[key] = own[key] * 0
        yield _load(context, program, zero)[0]
