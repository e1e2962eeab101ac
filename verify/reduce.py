"""Shrink a failing program: to the one lane that is furthest outside, then to the smallest program.

Every candidate is run again and kept only when it still fails in the same quantity, so what is left
is a program that fails by itself. Deterministic: the same failure always ends in the same program.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from verify.driver import numbers
from verify.lanes import DTYPES, as_float64, fill
from verify.outcome import Mismatch, Outcome
from verify.program import (
    AddGroup,
    Edit,
    Filling,
    Freeze,
    Minimise,
    Parameter,
    Program,
    Reload,
    SetCount,
    Step,
    element_count,
)
from verify.shaped import shaped
from verify.subject import LoadedSubject

MOST_RUNS = 400
SIMPLE_NUMBERS = (0.0, 1.0, 0.5, 2.0, -1.0, 0.1)


def reduce_program(
    program: Program, outcome: Outcome, run: Callable[[Program], Outcome], loaded: LoadedSubject
) -> tuple[Program, Outcome]:
    """The smallest failing program that greedy simplification finds, and its outcome.

    Args:
        program, outcome: what failed.
        run: runs a candidate.
        loaded: the subject, for the domains that hyperparameters must stay in.
    """
    best, best_outcome = program, outcome
    runs = 0

    def attempt(candidate: Program) -> bool:
        nonlocal best, best_outcome, runs
        candidate = shaped(candidate, loaded.rule)
        if runs >= MOST_RUNS or candidate == best or not _in_domain(candidate, loaded):
            return False
        runs += 1
        found = run(candidate)
        if not same_failure(outcome, found):
            return False
        best, best_outcome = candidate, found
        return True

    # a learning rate or an epsilon of zero is allowed, but shows nothing
    may_vanish = {h.name for h in loaded.rule.hyperparameters if 0 in h.trials or h.default == 0}
    attempt(_up_to_failure(best, outcome))
    if outcome.mismatches:
        attempt(_one_lane(best, best_outcome.mismatches[0]))
    else:
        attempt(_small(best))
    progress = True
    while progress and runs < MOST_RUNS:
        progress = False
        simplifiers = (
            _fewer_operations,
            _fewer_parameters,
            _simpler_options,
            lambda p: _plainer_gradients(p, loaded.sparse_alone),
            _smaller_tensors,
            lambda p: _simpler_numbers(p, may_vanish),
            _simpler_values,
        )
        for candidates in simplifiers:
            again = True
            while again and runs < MOST_RUNS:
                again = any(attempt(c) for c in candidates(best))
                progress = progress or again
    return best, best_outcome


def _in_domain(program: Program, loaded: LoadedSubject) -> bool:
    """Whether the rule speaks of these hyperparameters, through every edit."""
    rule = loaded.rule
    known = {h.name: h for h in rule.hyperparameters}
    options = [dict(rule.step(program.options_of(g)).options) for g in range(len(program.groups))]
    if any(own[o.name] != o.default for own in options for o in rule.options if o.name not in loaded.options):
        return False
    groups = [dict(rule.defaults) | loaded.fixed | numbers(g) for g in program.groups]
    for op in (None, *program.operations):
        if isinstance(op, Edit) and op.name in loaded.options:
            options[op.group][op.name] = bool(op.value)
        elif isinstance(op, Edit):
            groups[op.group][op.name] = op.value
        elif op is not None:
            continue
        for values, own in zip(groups, options, strict=True):
            if not all(known[k].contains(x) for k, x in values.items()):
                return False
            if not rule.constraint(values, rule.step(own).options):
                return False
    return True


def same_failure(one: Outcome, other: Outcome) -> bool:
    """Whether both failed in the same way: by raising, by a broken promise, or outside in a common quantity."""
    if one.broken is not None:
        return other.broken is not None
    if one.error is not None:
        return other.error is not None and other.error.split(":")[0] == one.error.split(":")[0]
    kinds = {m.quantity for m in one.mismatches}
    return any(m.quantity in kinds for m in other.mismatches)


def _up_to_failure(program: Program, outcome: Outcome) -> Program:
    if not outcome.mismatches:
        return program
    return program.with_operations(program.operations[: outcome.mismatches[0].operation + 1])


def _explicit(filling: Filling, spec: Parameter, dtype: str, element: int) -> Filling:
    if filling.values is not None and len(filling.values) == 1:
        return filling
    shape = () if filling.expanded else spec.shape
    values = as_float64(fill(filling, shape, DTYPES[dtype]))
    width = 2 if DTYPES[dtype].is_complex else 1
    first = (element // width * width) % max(1, len(values))
    return Filling(values=tuple(float(x) for x in values[first : first + width]), sparse=filling.sparse)


def _one_lane(program: Program, mismatch: Mismatch) -> Program:
    """The failing element alone, with explicit values; other parameters keep their first element."""

    def lane(index: int) -> int:
        return mismatch.element if index == mismatch.parameter else 0

    if any(0 in p.shape for p in program.parameters):
        return program
    parameters = tuple(
        Parameter((1,), p.group, _explicit(p.initial, p, program.dtype_of(p), lane(i)), dtype=p.dtype)
        for i, p in enumerate(program.parameters)
    )
    operations = [
        replace(
            op,
            gradients=tuple(
                None if g is None else _explicit(g, p, program.dtype_of(p), lane(i))
                for i, (g, p) in enumerate(zip(op.gradients, program.parameters, strict=True))
            ),
        )
        if isinstance(op, Step)
        else op
        for op in program.operations
    ]
    return replace(program, parameters=parameters, operations=tuple(operations))


def _small(program: Program) -> Program:
    """Every parameter with two elements."""
    return replace(program, parameters=tuple(replace(p, shape=(2,), layout="contiguous") for p in program.parameters))


def _smaller_tensors(program: Program) -> Iterator[Program]:
    """Parameters with fewer elements; then values that can be read in the place of slices of the pool."""
    for index, p in enumerate(program.parameters):
        count = element_count(p.shape)
        halves = [(*p.shape[:k], n // 2, *p.shape[k + 1 :]) for k, n in enumerate(p.shape)]
        for shape in ((1,), (2,), (count // 2,), *halves):
            if 0 < element_count(shape) < count:
                yield _with_parameter(program, index, replace(p, shape=shape, layout="contiguous"))
        for filling in _readable(p.initial, p, program.dtype_of(p)):
            yield _with_parameter(program, index, replace(p, initial=filling))
    for at, op in enumerate(program.operations):
        if not isinstance(op, Step):
            continue
        for index, g in enumerate(op.gradients):
            for filling in (
                _readable(g, program.parameters[index], program.dtype_of(program.parameters[index]))
                if g is not None
                else ()
            ):
                gradients = (*op.gradients[:index], filling, *op.gradients[index + 1 :])
                yield _with_operation(program, at, replace(op, gradients=gradients))


def _readable(filling: Filling, spec: Parameter, dtype: str) -> Iterator[Filling]:
    """The values of a slice of the pool: all of them where they are few, else a simple one."""
    if filling.values is None:
        if element_count(spec.shape) <= 2 and not filling.expanded:
            values = as_float64(fill(filling, spec.shape, DTYPES[dtype]))
            if len(values):
                yield replace(filling, values=tuple(float(x) for x in values))
        yield from (replace(filling, values=(x,)) for x in (1.0, 0.5))


def _with_parameter(program: Program, index: int, parameter: Parameter) -> Program:
    return replace(program, parameters=(*program.parameters[:index], parameter, *program.parameters[index + 1 :]))


def _fewer_operations(program: Program) -> Iterator[Program]:
    for index in range(len(program.operations)):
        rest = program.operations[:index] + program.operations[index + 1 :]
        if rest:
            yield program.with_operations(rest)


def _without_parameter(program: Program, index: int) -> Program:
    operations: list = []
    for op in program.operations:
        if isinstance(op, Step):
            op = replace(op, gradients=op.gradients[:index] + op.gradients[index + 1 :])
        elif isinstance(op, Minimise) and op.unused >= 0:
            op = replace(op, unused=-1 if op.unused == index else op.unused - (op.unused > index))
        elif isinstance(op, Freeze):
            if op.parameter == index:
                continue
            op = replace(op, parameter=op.parameter - (op.parameter > index))
        operations.append(op)
    left = program.parameters[:index] + program.parameters[index + 1 :]
    return replace(program, parameters=left, operations=tuple(operations))


def _fewer_parameters(program: Program) -> Iterator[Program]:
    if len(program.parameters) > 1:
        for index in range(len(program.parameters)):
            yield _without_parameter(program, index)
    if len(program.groups) > 1:
        merged = (op for op in program.operations if not isinstance(op, AddGroup))
        operations = tuple(replace(op, group=0) if isinstance(op, Edit) else op for op in merged)
        together = tuple(replace(p, group=0) for p in program.parameters)
        for kept in program.groups:
            yield replace(program, groups=(kept,), parameters=together, operations=operations)
        yield from _without_last_group(program)
    for index, p in enumerate(program.parameters):
        if p.dtype:
            yield _with_parameter(program, index, replace(p, dtype=""))
        if p.layout != "contiguous":
            yield _with_parameter(program, index, replace(p, layout="contiguous"))


def _without_last_group(program: Program) -> Iterator[Program]:
    last = len(program.groups) - 1
    if all(p.group != last for p in program.parameters):
        operations = tuple(op for op in program.operations if getattr(op, "group", None) != last)
        yield replace(program, groups=program.groups[:-1], operations=operations)


def _simpler_options(program: Program) -> Iterator[Program]:
    if program.reuse_gradients:
        yield replace(program, reuse_gradients=False)
    if program.beside:
        yield replace(program, beside=False)
    for index, op in enumerate(program.operations):
        for plainer in _plainer(op):
            yield _with_operation(program, index, plainer)
    for name, value in program.options.items():
        if value:
            yield replace(program, options={**program.options, name: False})
    for index, group in enumerate(program.groups):
        for name in [k for k in group if isinstance(group[k], bool)]:
            left = {k: v for k, v in group.items() if k != name}
            yield replace(program, groups=(*program.groups[:index], left, *program.groups[index + 1 :]))


def _plainer_gradients(program: Program, sparse_alone: bool) -> Iterator[Program]:
    """Gradients that are dense, where the subject takes them, or sparse in the plainest form."""
    for at, op in enumerate(program.operations):
        if not isinstance(op, Step):
            continue
        for index, g in enumerate(op.gradients):
            for form in ("rows",) if sparse_alone else ("", "rows"):
                if g is not None and g.sparse not in ("", form):
                    gradients = (*op.gradients[:index], replace(g, sparse=form), *op.gradients[index + 1 :])
                    yield _with_operation(program, at, replace(op, gradients=gradients))


def _plainer(op) -> Iterator:
    if isinstance(op, Step) and op.closure:
        yield replace(op, closure=False)
    elif isinstance(op, Edit) and op.tensor:
        yield replace(op, tensor=False)
    elif isinstance(op, Reload):
        if op.into != "same":
            yield replace(op, into="fresh" if op.into == "stepped" else "same")
        if op.how != "direct":
            yield replace(op, how="direct")


def _rank(value: float) -> tuple:
    """Smaller is simpler to read."""
    if value in SIMPLE_NUMBERS:
        return (0, SIMPLE_NUMBERS.index(value))
    return (1, len(repr(value)), abs(math.log2(abs(value))) if value else 0)


def _simpler(value: float) -> Iterator[float]:
    for candidate in (*SIMPLE_NUMBERS, float(f"{value:.1g}"), float(f"{value:.2g}")):
        if _rank(candidate) < _rank(value):
            yield candidate


def _simpler_numbers(program: Program, may_vanish: set[str]) -> Iterator[Program]:
    for index, group in enumerate(program.groups):
        for name, value in numbers(group).items():
            for number in _simpler(value):
                if number == 0 and name not in may_vanish:
                    continue
                changed = {**group, name: type(value)(number)}
                yield replace(program, groups=(*program.groups[:index], changed, *program.groups[index + 1 :]))
    for index, op in enumerate(program.operations):
        if isinstance(op, Edit):
            for number in _simpler(op.value):
                yield _with_operation(program, index, replace(op, value=number))
        elif isinstance(op, SetCount) and op.count > 1:
            yield _with_operation(program, index, SetCount(op.count // 2))


def _with_operation(program: Program, index: int, op) -> Program:
    return program.with_operations((*program.operations[:index], op, *program.operations[index + 1 :]))


def _simpler_filling(filling: Filling) -> Iterator[Filling]:
    if filling.values is None or len(filling.values) > 2:
        return
    for index, value in enumerate(filling.values):
        for number in _simpler(value):
            yield replace(filling, values=(*filling.values[:index], number, *filling.values[index + 1 :]))


def _simpler_values(program: Program) -> Iterator[Program]:
    for index, p in enumerate(program.parameters):
        for filling in _simpler_filling(p.initial):
            yield _with_parameter(program, index, replace(p, initial=filling))
    for at, op in enumerate(program.operations):
        if isinstance(op, Minimise):
            for k in range(1, len(op.coefficients)):
                yield _with_operation(program, at, replace(op, coefficients=op.coefficients[:k]))
        if isinstance(op, Step):
            for index, g in enumerate(op.gradients):
                for filling in _simpler_filling(g) if g is not None else ():
                    gradients = (*op.gradients[:index], filling, *op.gradients[index + 1 :])
                    yield _with_operation(program, at, replace(op, gradients=gradients))
