"""Checks of family ``rule`` about counts, sizes, layouts and non-finite numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from verify.checks import check
from verify.checks.context import Context, Report, try_all
from verify.checks.judged import Judge, is_separate, or_not_separate, outcome_of, run, same_bits
from verify.checks.measured import Rounding
from verify.checks.programs import choices_of, first_trials, plainly, settings
from verify.driver import Unsupported
from verify.lanes import DTYPES, as_float64, fill
from verify.outcome import Outcome
from verify.program import Filling, Parameter, Program, Repeat, SetCount, Step
from verify.strategies import TAIL_SIZES
from verify.trajectory import Recorder


def _is_known(context: Context) -> bool:
    return context.loaded.rule.known


def _is_elementwise(context: Context) -> bool:
    """Whether the rule is known, and no element has to do with others."""
    return context.loaded.rule.known and context.loaded.rule.is_elementwise


def _or_by_twin(
    twin: Judge, by_reference: Callable[[Context], bool] = _is_known
) -> Callable[[Context, Program], Outcome]:
    """Judges by the reference, or without it where no rule is known."""

    def judge(context: Context, program: Program) -> Outcome:
        return context.run(program) if by_reference(context) else outcome_of(twin, context, program)

    return judge


def _try_twins(context: Context, programs: Iterable[Program], twin: Judge) -> Report:
    report, reasons = Report(), []

    def tried(program: Program) -> Outcome:
        outcome = outcome_of(twin, context, program)
        reasons.append(outcome.unsupported or outcome.refused)
        return outcome

    if not try_all(context, report, programs, tried) and reasons and all(reasons):
        report.not_applicable(str(reasons[0]))
    return report


class _Counting(Recorder):
    """Notes every parameter's step counter after each step."""

    def start(self) -> None:
        self.counts: list[list[float | None]] = []
        super().start()

    def stepped(self, operation: int) -> None:
        super().stepped(operation)
        found = [self.loaded.find_count(self.optimizer, t.tensor) for t in self.tracks]
        self.counts.append([None if c is None else float(c) for c in found])


def _counts(context: Context, program: Program) -> str | None:
    """Whether a counter that counts its first steps one by one goes on so."""
    steps = tuple(op for op in program.operations if isinstance(op, Step))
    first = run(context, program.with_operations(steps[:3]), _Counting)
    assert isinstance(first, _Counting)
    if not first.counts or first.counts != [[float(k + 1)] * len(program.parameters) for k in range(len(first.counts))]:
        raise Unsupported("its state holds no step counter")
    whole = run(context, program, _Counting)
    assert isinstance(whole, _Counting)
    due, found = 0, iter(whole.counts)
    for op in program.operations:
        if isinstance(op, SetCount):
            due = op.count
        elif isinstance(op, Step | Repeat):
            due += 1
            for index, count in enumerate(next(found)):
                if count != due:
                    return f"the step counter of parameter {index} is {count:g} after step {due}"
    return None


@check(
    "rule.counter",
    "Step counts stay right across 255 to 258 and 2047 to 2050.",
    judge=_or_by_twin(_counts),
)
def counter(context: Context) -> Report:
    """A state is saved, its step counters are set to 98, 255, 998, 2047 or 9998, and it is loaded back;
    then four steps.

    A counter kept in bfloat16 stands still at 256, in float16 at 2048, in uint8 it wraps. Where the
    state holds no counter that can be set, the steps are really taken: 258 of them, and 1,100 from standard on,
    so that what happens at a round number shows. Where no rule is known, the counter alone is looked at.
    """
    report = Report()
    rule = context.loaded.rule
    values = first_trials(context)
    # with a slow correction step 256 still differs from step 257
    values |= {
        h.name: 0.999
        for h in rule.hyperparameters
        if h.name in values and h.name.startswith("beta") and h.contains(0.999)
    }
    shape = (64,)
    gradients = [Step((Filling(977 * k + 5),)) for k in range(6)]
    place = dict(groups=(values,), parameters=(Parameter(shape, 0, Filling(301)),))
    choices = [o for o in choices_of(context) if rule.constraint({**context.loaded.fixed, **values}, o)]
    judge = _or_by_twin(_counts)
    for number, start in enumerate((255, 2047, 98, 998, 9998)):
        operations = (gradients[0], SetCount(start), *gradients[1:5])
        options = dict(choices[number % len(choices)]) if choices else {}
        program = context.program(**place, options=options, operations=operations)
        if not _count_program(context, report, program, judge):
            return report
    if report.status == "not-applicable":
        reason, report.status, report.reason = report.reason, "passed", ""
        most = 258 if context.budget.name == "quick" else MANY_STEPS
        many = tuple(Step((Filling(31 * k),)) for k in range(most))
        place["parameters"] = (Parameter((4,), 0, Filling(301)),)
        program = context.program(**place, operations=many)
        if _count_program(context, report, program, judge) and report.status == "passed":
            report.notes.append(f"{most} steps were really taken: {reason}")
    return report


# enough for what is done every thousand steps
MANY_STEPS = 1100


def _count_program(
    context: Context, report: Report, program: Program, judge: Callable[[Context, Program], Outcome]
) -> bool:
    outcome = judge(context, program)
    report.record(outcome)
    if outcome.unsupported:
        report.not_applicable(outcome.unsupported)
    return not (outcome.failed and context.refute(report, program, outcome, lambda p: judge(context, p)))


EVEN_SIZES = (*TAIL_SIZES[4:], 1025, 8193)


def _moves_evenly(context: Context, program: Program) -> str | None:
    """Elements of a vector that start equal and have equal gradients move together."""
    given = [program.parameters[0].initial, *(op.gradients[0] for op in program.operations if isinstance(op, Step))]
    if len(program.parameters) > 1 or len(program.parameters[0].shape) != 1:
        raise Unsupported("it is no program for this check")
    if any(f is None or f.values is None or len(f.values) > 1 for f in given):
        raise Unsupported("it is no program for this check")
    whole = run(context, program)
    width = 2 if DTYPES[program.dtype].is_complex else 1
    rounding = Rounding(context, program)
    for number, moment in enumerate(whole.moments):
        after = moment.values[0]
        # each part of a complex number for itself
        rows = after.reshape(-1, width)
        middle = np.median(rows, axis=0)
        # of most elements, for one that is left out says nothing about rounding
        allowed = rounding.allowed(number, 0, np.median)
        outside = np.nonzero((np.abs(rows - middle) > allowed).any(axis=1))[0]
        if len(outside):
            at = int(outside[-1])
            return (
                f"of {len(rows)} elements with the same numbers and the same gradients, element {at} is "
                f"{rows[at, 0]:.9g} after step {number + 1}, and most are {middle[0]:.9g}"
            )
    return None


def _even(context: Context, sizes: Iterable[int]) -> Iterator[Program]:
    for size in sizes:
        yield context.program(
            groups=(first_trials(context),),
            parameters=(Parameter((size,), 0, Filling(values=(1.5,))),),
            operations=tuple(Step((Filling(values=(g,)),)) for g in ((0.75,) if size > 1e4 else (0.75, -0.5))),
        )


@check(
    "rule.tails",
    "Every element of a tensor of any size is updated, also those that fill no whole vector register.",
    judge=_or_by_twin(_moves_evenly),
)
def tails(context: Context) -> Report:
    """Sizes around 1, 8, 16, 32, 64 and 128, and 100,003 (at quick in float32), where vector loops end in a remainder.

    Where no rule is known, all elements of a vector have the same numbers, and must move together.
    """
    report = Report()
    values = first_trials(context)
    large = context.budget.name != "quick" or context.dtype == "float32"
    large = large and not context.loaded.rule.has_matrices
    most = [100_003] if large else []
    if not context.loaded.rule.known:
        return _try_twins(context, _even(context, (*EVEN_SIZES, *most)), _moves_evenly)
    sizes = [*TAIL_SIZES, *most]
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


def _small_beside(context: Context) -> Iterator[Program]:
    """An ordinary parameter, and then an empty one and one without dimensions."""
    for options, values in settings(context):
        shapes = ((5,), (0,), (), (3, 2))
        yield context.program(
            groups=(values,),
            options=dict(options),
            parameters=tuple(Parameter(s, 0, plainly(9 * k)) for k, s in enumerate(shapes)),
            operations=tuple(Step(tuple(plainly(7 * j + 13 * k) for k in range(4))) for j in range(3)),
        )


def _same_without_small(context: Context, program: Program) -> str | None:
    """Empty parameters and those without dimensions raise nothing, and the others move as without them."""
    whole = run(context, program)
    others = [i for i, p in enumerate(program.parameters) if p.shape and 0 not in p.shape]
    if not others or len(others) == len(program.parameters) or not is_separate(context):
        return None
    operations = tuple(
        replace(op, gradients=tuple(op.gradients[i] for i in others)) if isinstance(op, Step) else op
        for op in program.operations
    )
    fewer = replace(program, parameters=tuple(program.parameters[i] for i in others), operations=operations)
    found = same_bits(run(context, fewer), whole, "beside parameters that are empty or have no dimensions", others)
    return or_not_separate(context, found)


@check(
    "rule.layouts",
    "The memory layout of parameter and gradient changes nothing; 0-d and empty tensors are fine.",
    judge=_or_by_twin(_same_without_small),
)
def layouts(context: Context) -> Report:
    """Transposed, strided, channels-last parameters; gradients with other strides than their parameter,
    or expanded from one cell; 0-d and empty tensors, alone and beside an ordinary one. Where no rule is known, 0-d
    and empty ones beside others alone.

    Bugs of this kind: a kernel that walks storage linearly, p.view(-1) of a copy, state[:] on a 0-d tensor.
    """
    if not context.loaded.rule.known:
        return _try_twins(context, _small_beside(context), _same_without_small)
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


def _spoilt(context: Context) -> Iterator[Program]:
    """The second of three parameters has a gradient that is not finite."""
    options, values = next(settings(context), ({}, first_trials(context)))
    for bad in (math.nan, math.inf, -math.inf):
        steps = []
        for j in range(3):
            gradients = [plainly(7 * j + 13 * k) for k in range(3)]
            if j == 1:
                gradients[1] = Filling(values=(0.5, bad))
            steps.append(Step(tuple(gradients)))
        yield context.program(
            groups=(values,),
            options=dict(options),
            parameters=tuple(Parameter((4,), 0, plainly(9 * k)) for k in range(3)),
            operations=tuple(steps),
        )


def _spares_others(context: Context, program: Program) -> str | None:
    """Parameters whose own gradients are finite move as if those of the others were too."""

    def finite(filling: Filling | None) -> bool:
        return filling is None or filling.values is None or bool(np.isfinite(filling.values).all())

    steps = [op for op in program.operations if isinstance(op, Step)]
    spoilt = {i for op in steps for i, g in enumerate(op.gradients) if not finite(g)}
    if not is_separate(context) or not spoilt or len(spoilt) == len(program.parameters):
        raise Unsupported("no parameter stands beside one whose gradient is not finite")
    clean = program.with_operations(
        replace(op, gradients=tuple(g if finite(g) else plainly(3) for g in op.gradients))
        if isinstance(op, Step)
        else op
        for op in program.operations
    )
    plain, other = run(context, clean), run(context, program)
    for number, (a, b) in enumerate(zip(plain.moments, other.moments, strict=True)):
        for index in sorted({*range(len(program.parameters))} - spoilt):
            if not np.array_equal(a.values[index], b.values[index], equal_nan=True):
                text = (
                    f"a gradient of parameter {min(spoilt)} that is not finite reaches parameter {index}: it is "
                    f"{b.values[index]} instead of {a.values[index]} after step {number + 1}"
                )
                return or_not_separate(context, text)
    return None


@check(
    "rule.nonfinite",
    "A nan or an infinity in one element of a gradient stays in that element.",
    judge=_or_by_twin(_spares_others, _is_elementwise),
)
def nonfinite(context: Context) -> Report:
    """One element of the gradient is nan or infinite; all others must end as if it were not there.

    Judged by the same oracle: every other element, at this step and the next, is inside its allowance. Where no
    rule is known, or one with reductions, elements of one tensor have to do with each other: then all other
    parameters must be spared.
    Bugs of this kind: a global norm or mean, a whole tensor skipped because one element is bad.
    """
    if not _is_elementwise(context):
        return _try_twins(context, _spoilt(context), _spares_others)
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
