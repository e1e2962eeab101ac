"""Check ``state.keys``: checkpoints that do not fit, and older ones in which something is missing."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from verify.checks.context import Context
from verify.checks.judged import judged, run, same_bits
from verify.checks.state import ordinary
from verify.driver import SubjectRaised
from verify.program import (
    Program,
)
from verify.trajectory import Recorder

SHAPES = ((5,), (3, 2), ())


@judged(
    "state.keys",
    "A file with a missing or an unknown key, or with another number of groups or parameters, goes on right or ends "
    "in an error that says so.",
    ordinary,
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
    rule = context.loaded.rule
    variables = rule.step(program.options).state
    chosen = {o.name for o in rule.options if not o.of_shape}
    later = {k for s in variables if s.option in chosen or s.needs or s.unset_at_first for k in (s.name, *s.keys)}
    if key in later or not context.loaded.rule.known:
        zero = copy.deepcopy(saved)
        for own in zero["state"].values():
            if key in own:
                own[key] = own[key] * 0
        yield _load(context, program, zero)[0]
