"""What is special about a program: the features that a failure may depend on, and programs that lack one of them.

An expected failure is known by the features without which it does not appear (see verify.known).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from verify.driver import numbers
from verify.program import (
    AddGroup,
    Copy,
    Edit,
    Filling,
    LoadFrom,
    Operation,
    Parameter,
    Program,
    Reload,
    Step,
    element_count,
)
from verify.reduce import _in_domain as in_domain
from verify.reduce import _without_parameter as without_parameter
from verify.subject import LoadedSubject

Feature = tuple[str, str]
PLAIN_GRADIENT = Filling(values=(1.0, -0.5, 2.0, 0.25))


def features(program: Program, loaded: LoadedSubject) -> frozenset[Feature]:
    """All features of a program."""
    found: set[Feature] = {("option", name) for name, on in program.options.items() if on}
    for name, values in _numbers(program, loaded).items():
        found |= {(name, word) for value in values for word in _words(value)}
    for name in {k for g in map(numbers, program.groups) for k in g}:
        if len({_value(g, name, loaded) for g in program.groups}) > 1:
            found.add((name, "differs"))
    for op in program.operations:
        found |= set(_of_operation(op))
    for p in program.parameters:
        found |= set(_of_parameter(p))
    steps = sum(isinstance(op, Step) for op in program.operations)
    several = (("steps", steps), ("parameters", len(program.parameters)), ("groups", len(program.groups)))
    found |= {(what, "several") for what, count in several if count > 1}
    found |= {("program", name) for name in ("reuse_gradients", "beside") if getattr(program, name)}
    return frozenset(found)


def without(program: Program, feature: Feature, loaded: LoadedSubject) -> Iterator[Program]:
    """Programs like this one that lack a feature; none where the rule or the feature's kind allows none."""
    for candidate in _candidates(program, feature, loaded):
        fits = candidate.operations and in_domain(candidate, loaded)
        if fits and feature not in features(candidate, loaded):
            yield candidate


def misfit(program: Program, loaded: LoadedSubject) -> str:
    """Why a program from a file is none for this subject and its rule; empty where it is one."""
    from verify.errors import UsageError
    from verify.replay import _check_fits

    try:
        _check_fits(replace(program, device="cpu"), loaded)
    except UsageError as error:
        return str(error)
    return ""


# -- finding features --------------------------------------------------------------------------


def _value(group, name: str, loaded: LoadedSubject) -> float:
    return group.get(name, loaded.fixed.get(name, loaded.rule.defaults[name]))


def _numbers(program: Program, loaded: LoadedSubject) -> dict[str, set[float]]:
    """Every value that each hyperparameter takes on the way."""
    found = {name: {_value(g, name, loaded) for g in program.groups} for name in loaded.hyperparameters}
    for op in program.operations:
        if isinstance(op, Edit):
            found.setdefault(op.name, set()).add(op.value)
    return found


def _words(value: float) -> Iterator[str]:
    yield "nonzero" if value else "zero"
    if 0 < abs(value) < 0.01:
        yield "small"
    if 0.99 < value < 1:
        yield "near one"


def _of_operation(op: Operation) -> Iterator[Feature]:
    if isinstance(op, Step):
        if op.closure:
            yield "step", "closure"
        for g in op.gradients:
            yield from _of_gradient(g)
        return
    yield "operation", type(op).__name__
    if isinstance(op, Edit):
        yield op.name, "edited"
        if op.tensor:
            yield op.name, "tensor"
    elif isinstance(op, Reload):
        yield "load", op.into
        yield "save", op.how
    elif isinstance(op, Copy):
        yield "copy", op.how
    elif isinstance(op, LoadFrom):
        yield "load", op.dtype


def _of_gradient(g: Filling | None) -> Iterator[Feature]:
    if g is None:
        yield "gradient", "missing"
        return
    if g.expanded:
        yield "gradient", "expanded"
    if g.sparse:
        yield "gradient", "sparse"
    if g.values is None or 0 in g.values:
        yield "gradient", "zero"
    if g.values is not None and not all(map(math.isfinite, g.values)):
        yield "gradient", "not finite"


def _of_parameter(p: Parameter) -> Iterator[Feature]:
    if p.layout != "contiguous":
        yield "layout", "not contiguous"
    count = element_count(p.shape)
    if not p.shape or count == 0:
        yield "shape", "empty" if p.shape else "0-d"
    elif count > 1:
        yield "shape", "several"


def name_of(feature: Feature) -> str:
    """A feature in words, as it stands in a file."""
    return " ".join(feature)


def named(text: str) -> Feature:
    """The feature of a name."""
    what, _, word = text.partition(" ")
    return what, word


def is_situation(feature: Feature, loaded: LoadedSubject) -> bool:
    """Whether a feature is something that is done, rather than the size of a number in the formula."""
    what, word = feature
    return what not in loaded.rule.defaults or word in ("edited", "tensor", "differs")


# -- doing without ------------------------------------------------------------------------------


def _candidates(program: Program, feature: Feature, loaded: LoadedSubject) -> Iterator[Program]:
    what, word = feature
    if what in loaded.rule.defaults:
        yield from _other_numbers(program, what, word, loaded)
    elif what == "option":
        yield replace(program, options={**program.options, word: False})
    elif what == "operation":
        yield program.with_operations(op for op in program.operations if type(op).__name__ != word)
    elif what in ("load", "save", "copy"):
        yield program.with_operations(_plainer(op) for op in program.operations)
        yield program.with_operations(op for op in program.operations if not isinstance(op, Reload | Copy | LoadFrom))
    elif what == "gradient":
        yield _steps(program, lambda op: replace(op, gradients=tuple(_plain(g, word) for g in op.gradients)))
    elif what == "step":
        yield _steps(program, lambda op: replace(op, closure=False))
    elif what == "layout":
        yield _parameters(program, lambda p: replace(p, layout="contiguous"))
    elif what == "shape":
        yield _parameters(program, lambda p: _with_shape(p, word))
    elif what == "program":
        yield replace(program, **{word: False})  # type: ignore[arg-type]
    elif what == "steps":
        first = next(i for i, op in enumerate(program.operations) if isinstance(op, Step))
        yield program.with_operations(program.operations[: first + 1])
    elif what == "parameters":
        for kept in range(len(program.parameters)):
            alone = program
            for index in reversed(range(len(program.parameters))):
                if index != kept:
                    alone = without_parameter(alone, index)
            yield alone
    elif what == "groups":
        merged = (op for op in program.operations if not isinstance(op, AddGroup))
        operations = tuple(replace(op, group=0) if isinstance(op, Edit) else op for op in merged)
        together = tuple(replace(p, group=0) for p in program.parameters)
        for group in program.groups:
            yield replace(program, groups=(group,), parameters=together, operations=operations)


def _other_numbers(program: Program, name: str, word: str, loaded: LoadedSubject) -> Iterator[Program]:
    if word == "edited":
        yield program.with_operations(op for op in program.operations if not (isinstance(op, Edit) and op.name == name))
    elif word == "tensor":
        yield _edits(program, name, lambda op: replace(op, tensor=False))
    elif word == "differs":
        for number in dict.fromkeys(_value(g, name, loaded) for g in program.groups):
            yield _with_number(program, name, partial(_always, number), loaded)
    else:
        h = next(h for h in loaded.rule.hyperparameters if h.name == name)
        plain = [x for x in (*h.trials, h.default) if word not in _words(x)]
        for number in (0.0,) if word == "nonzero" else plain[:1]:
            yield _with_number(program, name, partial(_instead, number, word), loaded)


def _always(number: float, value: float) -> float:
    return number


def _instead(number: float, word: str, value: float) -> float:
    return number if word in _words(value) else value


def _with_number(program: Program, name: str, change: Callable[[float], float], loaded: LoadedSubject) -> Program:
    groups = tuple({**g, name: type(g.get(name, 0.0))(change(_value(g, name, loaded)))} for g in program.groups)
    return _edits(replace(program, groups=groups), name, lambda op: replace(op, value=change(op.value)))


def _edits(program: Program, name: str, change: Callable[[Edit], Edit]) -> Program:
    return program.with_operations(
        change(op) if isinstance(op, Edit) and op.name == name else op for op in program.operations
    )


def _steps(program: Program, change: Callable[[Step], Step]) -> Program:
    return program.with_operations(change(op) if isinstance(op, Step) else op for op in program.operations)


def _parameters(program: Program, change: Callable[[Parameter], Parameter]) -> Program:
    return replace(program, parameters=tuple(map(change, program.parameters)))


def _plainer(op: Operation) -> Operation:
    if isinstance(op, Reload):
        return replace(op, how="direct", into="same")
    return replace(op, how="deepcopy") if isinstance(op, Copy) else op


def _plain(g: Filling | None, word: str) -> Filling | None:
    """A gradient that is there, spread out, not zero or finite, whichever is asked for."""
    if word == "missing":
        return g or PLAIN_GRADIENT
    if g is None:
        return None
    if word == "expanded":
        return replace(g, expanded=False)
    if word == "sparse":
        return replace(g, sparse="")
    if g.values is None:
        return replace(PLAIN_GRADIENT, expanded=g.expanded, sparse=g.sparse)
    wrong = (lambda x: x == 0) if word == "zero" else (lambda x: not math.isfinite(x))
    return replace(g, values=tuple(1.0 if wrong(x) else x for x in g.values))


def _with_shape(p: Parameter, word: str) -> Parameter:
    count = element_count(p.shape)
    is_meant = {"0-d": not p.shape, "empty": count == 0, "several": count > 1}[word]
    return Parameter((1,), p.group, p.initial) if is_meant else p
