"""Checks of family ``rule`` about counts, sizes, layouts and non-finite numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator

from verify.checks import check
from verify.checks.context import Context, Report, try_all
from verify.checks.programs import choices_of, first_trials
from verify.lanes import DTYPES, as_float64, fill
from verify.program import Filling, Parameter, Program, SetCount, Step
from verify.strategies import TAIL_SIZES


@check(
    "rule.counter",
    "Step counts stay right across 255 to 258 and 2047 to 2050.",
    needs=("rule",),
)
def counter(context: Context) -> Report:
    """A state is saved, its step counters are set to 98, 254, 998, 2046 or 9998, and it is loaded back;
    then four steps.

    A counter kept in bfloat16 stands still at 256, in float16 at 2048, in uint8 it wraps. Where the
    state holds no counter that can be set, the steps are really taken (up to 258 of them).
    """
    report = Report()
    rule = context.loaded.rule
    values = first_trials(context)
    # with a slow correction step 256 still differs from step 257
    values |= {h.name: 0.999 for h in rule.hyperparameters if h.name in values and h.name.startswith("beta")}
    shape = (64,)
    gradients = [Step((Filling(977 * k + 5),)) for k in range(6)]
    place = dict(groups=(values,), parameters=(Parameter(shape, 0, Filling(301)),))
    choices = [o for o in choices_of(context) if rule.constraint({**context.loaded.fixed, **values}, o)]
    for number, start in enumerate((254, 2046, 98, 998, 9998)):
        operations = (gradients[0], SetCount(start), *gradients[1:5])
        options = dict(choices[number % len(choices)]) if choices else {}
        program = context.program(**place, options=options, operations=operations)
        if not _count_program(context, report, program):
            return report
    if report.status == "not-applicable":
        report.status, reason, report.reason = "passed", report.reason, ""
        report.notes.append(f"258 steps were really taken: {reason}")
        many = tuple(Step((Filling(31 * k),)) for k in range(258))
        _count_program(context, report, context.program(**place, operations=many))
    return report


def _count_program(context: Context, report: Report, program: Program) -> bool:
    outcome = context.run(program)
    report.record(outcome)
    if outcome.unsupported:
        report.not_applicable(outcome.unsupported)
    return not (outcome.failed and context.refute(report, program, outcome))


@check(
    "rule.tails",
    "Every element of a tensor of any size is updated, also those that fill no whole vector register.",
    needs=("rule",),
)
def tails(context: Context) -> Report:
    """Sizes around 1, 8, 16, 32, 64 and 128, and 100,003 (at quick in float32), where vector loops end in a remainder."""
    report = Report()
    values = first_trials(context)
    large = context.budget.name != "quick" or context.dtype == "float32"
    sizes = [*TAIL_SIZES, *([100_003] if large else [])]
    programs = (
        context.program(
            groups=(values,),
            parameters=(Parameter((size,), 0, Filling(size)),),
            operations=tuple(Step((Filling(1000 + 13 * size + k),)) for k in range(2 if size < 1000 else 1)),
        )
        for size in sizes
    )
    try_all(context, report, programs)
    return report


LAYOUT_CASES = (
    ((5, 7), "transposed", False),
    ((5, 7), "transposed_gradient", False),
    ((6, 9), "strided", False),
    ((33,), "strided", False),
    ((2, 3, 4, 5), "channels_last", False),
    ((4, 5), "contiguous", True),
    ((4, 5), "transposed", True),
    ((), "contiguous", False),
    ((), "contiguous", True),
    ((0,), "contiguous", False),
    ((3, 0), "contiguous", False),
    ((1, 1, 1), "contiguous", False),
    ((2, 3, 4), "contiguous", False),
    ((4, 2, 3), "transposed", False),
    ((8, 16), "contiguous", False),
    ((2, 3, 2, 2), "contiguous", False),
    ((2, 1, 3, 1, 2), "contiguous", False),
)


@check(
    "rule.layouts",
    "The memory layout of parameter and gradient changes nothing; 0-d and empty tensors are fine.",
    needs=("rule",),
)
def layouts(context: Context) -> Report:
    """Transposed, strided, channels-last parameters; gradients with other strides than their parameter,
    or expanded from one cell; 0-d and empty tensors, alone and beside an ordinary one.

    Bugs of this kind: a kernel that walks storage linearly, p.view(-1) of a copy, state[:] on a 0-d tensor.
    """
    report = Report()
    try_all(context, report, _layout_programs(context))
    return report


def _layout_programs(context: Context) -> Iterator[Program]:
    values = first_trials(context)
    choices = [o for o in choices_of(context) if context.loaded.rule.constraint({**context.loaded.fixed, **values}, o)]
    for number, (shape, layout, expanded) in enumerate(LAYOUT_CASES):
        for beside in (False, True) if context.budget.name != "quick" else (number % 2 == 0,):
            parameters = [Parameter(shape, 0, Filling(len(shape) + 40), layout)]
            gradients = [[Filling(500 + 77 * k, expanded=expanded)] for k in range(2)]
            if beside:
                parameters.append(Parameter((4,), 0, Filling(90)))
                for k, g in enumerate(gradients):
                    g.append(Filling(900 + k))
            yield context.program(
                groups=(values,),
                options=dict(choices[number % len(choices)]) if choices else {},
                parameters=tuple(parameters),
                operations=tuple(Step(tuple(g)) for g in gradients),
            )


@check(
    "rule.nonfinite",
    "A nan or an infinity in one element of a gradient stays in that element.",
    needs=("rule",),
)
def nonfinite(context: Context) -> Report:
    """One element of the gradient is nan or infinite; all others must end as if it were not there.

    Judged by the same oracle: every other element, at this step and the next, is inside its allowance.
    Bugs of this kind: a global norm or mean, a whole tensor skipped because one element is bad.
    """
    report = Report()
    values = first_trials(context)
    width = 2 if DTYPES[context.dtype].is_complex else 1
    for bad in (math.nan, math.inf, -math.inf):
        first = as_float64(fill(Filling(4001), (37,), DTYPES[context.dtype]))
        first[5 * width] = bad
        program = context.program(
            groups=(values,),
            parameters=(Parameter((37,), 0, Filling(801)),),
            operations=(
                Step((Filling(values=tuple(first)),)),
                Step((Filling(2203),)),
            ),
        )
        # what becomes of the bad element itself is the subject's own affair
        bad_element = tuple(range(5 * width, 6 * width))
        outcome = context.run(program, ignore=bad_element)
        report.record(outcome)
        if outcome.failed and context.refute(report, program, outcome, ignore=bad_element):
            break
    return report
