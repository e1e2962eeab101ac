"""Programs with the shapes that a rule is defined for.

Most rules take parameters of any shape, and checks draw what is hostile to implementations. A rule with ``dimensions``
gets the same numbers of elements in as many axes; where it has functions of matrices, slices of the pool become
matrices with chosen singular values (see :func:`verify.lanes.fill`), most of them: in a matrix of hostile numbers the
largest is all that there is to see.
"""

from __future__ import annotations

from dataclasses import replace
from math import isqrt, prod

from reference.rule import UpdateRule
from verify.program import Filling, Parameter, Program, Step

# of so many slices of the pool one stays as it is
ONE_IN = 4


# elements of a matrix, whose sides differ: in a larger one each has a smaller share of what the allowance is a bound of
MOST_OF_A_MATRIX = 60


def lanes_for(rule: UpdateRule, lanes: int) -> int:
    """How many elements a parameter has that is to have as many as this."""
    return min(lanes, MOST_OF_A_MATRIX) if rule.has_matrices else lanes


def shaped(program: Program, rule: UpdateRule) -> Program:
    """The program with parameters that the rule is defined for."""
    if rule.dimensions is None:
        return program
    parameters = tuple(_parameter(p, index, rule) for index, p in enumerate(program.parameters))
    operations = (
        replace(op, gradients=tuple(_filling(g, rule) if g else None for g in op.gradients))
        if isinstance(op, Step)
        else op
        for op in program.operations
    )
    return replace(program, parameters=parameters).with_operations(operations)


def _parameter(p: Parameter, index: int, rule: UpdateRule) -> Parameter:
    assert rule.dimensions is not None
    shape = fitting(p.shape, rule.dimensions, index % 2 == 1)
    layout = "contiguous" if p.layout == "channels_last" and len(shape) != 4 else p.layout
    return replace(p, shape=shape, layout=layout)


def fitting(shape: tuple[int, ...], dimensions: int, tall: bool = False) -> tuple[int, ...]:
    """As many elements in so many axes: the last ones as one, or one as two that are nearly equal."""
    if len(shape) > dimensions:
        return (*shape[: dimensions - 1], prod(shape[dimensions - 1 :]))
    shape = shape or (1,)
    while len(shape) < dimensions:
        last = shape[-1]
        short = next((k for k in range(isqrt(last), 0, -1) if last % k == 0), 1)
        sides = (last // short, short) if tall else (short, last // short)
        shape = (*shape[:-1], *sides)
    return shape


def _filling(g: Filling, rule: UpdateRule) -> Filling:
    if not rule.has_matrices or g.values is not None or g.expanded or g.start % ONE_IN == 0:
        return g
    return replace(g, spectrum=True)
