"""Check ``rule.reductions``: sums over a whole parameter."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from reference.lowering.iteration import SMALL
from verify.checks import FORMULA_DTYPES, check
from verify.checks.context import Context, Report, try_all
from verify.checks.programs import choices_of, first_trials, plainly, scaled
from verify.program import Filling, Parameter, Program, Step

SHAPES = ((0,), (), (1,), (2,), (1, 1), (1000,), (129, 65))
# where the rows and columns of one tensor, and blocks of an implementation, end somewhere
LARGE = {"quick": (257, 257), "standard": (401, 499), "thorough": (1009, 997)}
# terms that cancel but for a small rest, and equal ones, of which the first make all others vanish in a low precision
CANCELLING = Filling(values=(1.0, -1.0, 3.0, -3.0, 0.5, -0.5, 2.0**-10))
EQUAL = Filling(values=(0.75,))
ZERO = Filling(values=(0.0,))


@check(
    "rule.reductions",
    "Sums, means and norms are those of the whole parameter, at any size, with cancellation, and where they are zero.",
    dtypes=(*FORMULA_DTYPES, "bfloat16"),
    needs=("rule",),
)
def reductions(context: Context) -> Report:
    """Parameters without elements, with one, with few, and with 66,049 (200,099 at standard, 1,005,973 at thorough),
    filled with ordinary numbers, with numbers that cancel, and with equal ones; then a parameter, a gradient, and both,
    that are zero. The allowance covers every order of summation, in float32 for elements in bfloat16.

    Bugs of this kind: a norm over the first block only, a mean that divides by the length of one axis, a sum that is
    kept in bfloat16 and stands still after 256 terms, a ratio of norms without a guard where one is zero.
    """
    report = Report()
    if context.loaded.rule.is_elementwise:
        return report.not_applicable("no element of its rule has to do with others")
    try_all(context, report, _programs(context))
    return report


def _programs(context: Context) -> Iterator[Program]:
    rule, values = context.loaded.rule, first_trials(context)
    choices = [o for o in choices_of(context) if rule.constraint({**context.loaded.fixed, **values}, o)]
    numbers = [
        (plainly(3), scaled(plainly(17), 0.25)),
        (CANCELLING, plainly(29)),
        (plainly(5), CANCELLING),
        (EQUAL, EQUAL),
        (ZERO, plainly(8)),
        (plainly(13), ZERO),
        (ZERO, ZERO),
    ]
    shapes: tuple[tuple[int, ...], ...] = (*SHAPES, LARGE[context.budget.name])
    if rule.has_matrices:
        # what is followed from element to element
        shapes = tuple(s for s in shapes if prod(s) <= SMALL)
    for number, shape in enumerate(shapes):
        few = numbers if shape != LARGE[context.budget.name] else numbers[:4]
        yield context.program(
            groups=(values,),
            options=dict(choices[number % len(choices)]) if choices else {},
            parameters=tuple(Parameter(shape, 0, initial) for initial, _ in few),
            operations=tuple(Step(tuple(g for _, g in few)) for _ in range(2)),
        )
