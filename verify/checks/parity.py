"""Family ``parity``: ways of saying the same thing must give the same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from verify.checks import check
from verify.checks.context import Context, Report, try_all
from verify.checks.groups import BEHAVIOUR_DTYPES
from verify.checks.judged import judged, outcome_of, run
from verify.checks.measured import apart, compare_measured, explicit, told
from verify.checks.programs import differing_groups, first_trials, settings
from verify.driver import Unsupported
from verify.lanes import DTYPES
from verify.outcome import Outcome
from verify.pairs import Place, Relation, compare
from verify.program import Filling, Parameter, Program, Step
from verify.trajectory import Recorder, first_difference

OTHER_IMPLEMENTATIONS = ("foreach", "fused", "differentiable", "capturable", "compiled")
REAL_DTYPES = ("float64", "float32", "bfloat16", "float16")


def _programs(context: Context) -> Iterator[Program]:
    """Parameters of several sizes in groups that differ, with missing gradients, under every choice of options."""
    for number, (options, values) in enumerate(settings(context)):
        groups = differing_groups(context, values, options)[:2]
        last = len(groups) - 1
        parameters = tuple(
            Parameter(shape, g, Filling(700 * number + 50 * k))
            for k, (shape, g) in enumerate((((257,), 0), ((4, 9), 0), ((), last), ((33,), last)))
        )
        steps = tuple(
            Step(tuple(Filling(9000 * number + 977 * j + 301 * k) if (j, k) != (1, 1) else None for k in range(4)))
            for j in range(4)
        )
        yield context.program(groups=tuple(groups), options=dict(options), parameters=parameters, operations=steps)


def _compare(context: Context, program: Program, other: Program, relation: Relation) -> str | None:
    """Side by side, within the sum of the allowances; where no rule is known, within measured rounding."""
    if not context.loaded.rule.known:
        return compare_measured(context, program, other, relation.what)
    scalars = (context.scalars if program.implementation == context.implementation else "float64", context.scalars)
    found, same = compare(context.loaded, program, other, relation, scalars=scalars, in_subject=context.in_subject)
    if found is None:
        context.bitwise.append(same)
    return found


# -- implementations ---------------------------------------------------------------------------


def _as_for_loop(context: Context, program: Program) -> str | None:
    plain = replace(program, implementation="for-loop")
    return _compare(context, plain, program, Relation(f"{program.implementation} beside for-loop"))


def _judge_implementation(context: Context, program: Program) -> Outcome:
    return outcome_of(_as_for_loop, context, program)


@check(
    "parity.implementations",
    "Every implementation agrees with the for-loop within the sum of their allowances.",
    implementations=OTHER_IMPLEMENTATIONS,
    judge=_judge_implementation,
)
def implementations(context: Context) -> Report:
    """Both start every step from the same parameters and state; parameters and state are compared after it.

    Whether they were equal bit for bit in every program is recorded with the cell.
    Bugs of this kind: two recurrences in one optimizer, a gradient list that foreach changes in place, a step
    count that one path reads before and the other after it is advanced.
    """
    report = Report()
    context.bitwise.clear()
    if not try_all(context, report, _programs(context), lambda p: _judge_implementation(context, p)):
        equal = sum(context.bitwise)
        how = "bit for bit equal" if equal == len(context.bitwise) else "equal within rounding"
        report.notes.append(f"{how} to for-loop ({equal} of {len(context.bitwise)} programs bit for bit)")
    return report


# -- layouts, maximize, complex numbers, slices --------------------------------------------------


def _laid_out(context: Context) -> Iterator[Program]:
    choices: list = list(settings(context)) or [({}, first_trials(context))]
    for number, layout in enumerate(("transposed", "strided", "channels_last", "transposed_gradient")):
        options, own = choices[number % len(choices)]
        shape = (2, 3, 4, 5) if layout == "channels_last" else (6, 11)
        yield context.program(
            groups=(own,),
            options=dict(options),
            parameters=(Parameter(shape, 0, Filling(77 * number), layout), Parameter((5,), 0, Filling(3))),
            operations=tuple(Step((Filling(400 + 53 * k), Filling(k))) for k in range(3)),
        )


@judged(
    "parity.layouts",
    "A parameter that is not contiguous moves as a contiguous one does.",
    _laid_out,
)
def layouts(context: Context, program: Program) -> str | None:
    """Transposed, strided and channels-last parameters and gradients beside contiguous ones with the same numbers.

    Bugs of this kind: a kernel that walks storage in order, p.view(-1) of a copy, state with other strides than
    its parameter.
    """
    plain = replace(program, parameters=tuple(replace(p, layout="contiguous") for p in program.parameters))
    return _compare(context, plain, program, Relation("with another memory layout"))


class _Negated(Recorder):
    def gradient(self, filling, track):
        return -super().gradient(filling, track)


@judged(
    "parity.maximize",
    "maximize with a gradient g does what minimizing with -g does, bit for bit.",
    _programs,
    dtypes=BEHAVIOUR_DTYPES,
)
def maximize(context: Context, program: Program) -> str | None:
    """The program is run with maximize, and without it on negated gradients; parameters must be the same.

    Bugs of this kind: maximize accepted and never used, applied after decay was added, negating p.grad itself
    so that every second step undoes it.
    """
    name = "maximize"
    if name not in context.loaded.options:
        raise Unsupported("it has no maximize")
    options = dict(program.options)
    up = run(context, replace(program, options={**options, name: True}))
    down = run(context, replace(program, options={**options, name: False}), _Negated)
    found = first_difference(down.moments, up.moments)
    if found is None:
        return None
    step, parameter, _, element, value, otherwise = found
    return (
        f"with maximize, parameter {parameter} is {otherwise:.9g} after step {step + 1} (element {element}); minimizing "
        f"with the gradient negated gives {value:.9g}, and both must be the same"
    )


@judged(
    "parity.complex",
    "A complex parameter moves as the two real ones that it is made of.",
    _programs,
    dtypes=("complex64", "complex128"),
    needs=("complex",),
)
def complex_numbers(context: Context, program: Program) -> str | None:
    """The same numbers as a complex parameter, and as a real one with a last axis of two. Where no rule is known,
    shapes may matter: then two real parameters of the complex one's shape will do as well.

    Bugs of this kind: abs() where the two parts are meant one by one, a complex second moment, conjugation.
    """
    real = str(DTYPES[program.dtype].to_real()).removeprefix("torch.")
    parts = tuple(replace(p, shape=(*p.shape, 2)) for p in program.parameters)
    two = replace(program, dtype=real, parameters=parts)
    if context.loaded.rule.known:
        return _compare(context, two, program, Relation("as complex numbers"))
    return _as_either(context, two, program)


def _as_either(context: Context, two: Program, program: Program) -> str | None:
    """Whether each complex parameter moves as a real one with a last axis of two, or as two real ones do."""
    two, program = explicit(two), explicit(program)
    real, whole = run(context, two), run(context, program)
    found = apart(context, two, real, whole)
    if not found:
        return None
    in_parts = replace(
        two,
        parameters=tuple(replace(p, initial=_part(p.initial, k)) for p in program.parameters for k in (0, 1)),
        operations=tuple(
            replace(op, gradients=tuple(_part(g, k) for g in op.gradients for k in (0, 1)))
            if isinstance(op, Step)
            else op
            for op in two.operations
        ),
    )
    parts = run(context, in_parts)
    parts.moments = [
        replace(m, values=tuple(np.stack(m.values[i : i + 2], axis=-1).ravel() for i in range(0, len(m.values), 2)))
        for m in parts.moments
    ]
    also = apart(context, two, parts, whole)
    left = {index: where for index, where in found.items() if index in also}
    return told(left, real, whole, "as complex numbers") if left else None


def _part(filling: Any, k: int) -> Any:
    """Real or imaginary parts of explicit values."""
    return filling and replace(filling, values=(filling.values * 2)[k::2])


CUTS = (0, 1, 9, 64, 65, 128)


def _whole(context: Context) -> Iterator[Program]:
    for number, (options, values) in enumerate(settings(context)):
        yield context.program(
            groups=(values,),
            options=dict(options),
            parameters=(Parameter((CUTS[-1],), 0, Filling(1300 * number)),),
            operations=tuple(Step((Filling(7000 * number + 611 * k),)) for k in range(4)),
        )


@judged(
    "parity.slices",
    "A tensor moves as its slices do when each is a parameter of its own.",
    _whole,
    dtypes=REAL_DTYPES,
    needs=("rule",),
)
def slices(context: Context, program: Program) -> str | None:
    """A tensor of 128 elements, and the same numbers cut into pieces of 1, 8, 55, 1 and 63.

    Bugs of this kind: a vector loop whose remainder is left out, a norm or a mean over the tensor, small tensors
    that are treated in another way.
    """
    if not context.loaded.rule.is_elementwise:
        raise Unsupported("its rule has reductions: a slice is another tensor, and moves in another way")
    first = program.parameters[0]
    size = first.shape[0] if len(first.shape) == 1 else 0
    cuts = [c for c in CUTS if c < size] + [size]
    if len(cuts) < 3 or len(program.parameters) > 1 or not _cuttable(program):
        raise Unsupported("the program has no single tensor to cut")

    def cut(filling: Filling) -> list[Filling]:
        return [replace(filling, start=filling.start + c) for c in cuts[:-1]]

    pieces = tuple(
        replace(first, shape=(b - a,), initial=f) for (a, b), f in zip(pairwise(cuts), cut(first.initial), strict=True)
    )
    operations = tuple(
        replace(op, gradients=(None,) * len(pieces) if op.gradients[0] is None else tuple(cut(op.gradients[0])))
        if isinstance(op, Step)
        else op
        for op in program.operations
    )
    places = [Place(0, k, slice(a, b)) for k, (a, b) in enumerate(pairwise(cuts))]
    other = replace(program, parameters=pieces, operations=operations)
    return _compare(context, program, other, Relation("cut into slices", places))


def _cuttable(program: Program) -> bool:
    """Whether every filling is a slice of the pool, so that a slice of it is one too."""
    fillings = [program.parameters[0].initial]
    fillings += [op.gradients[0] for op in program.operations if isinstance(op, Step) and op.gradients[0] is not None]
    return all(f.values is None and not f.expanded for f in fillings)
