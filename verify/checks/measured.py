"""What rounding does to an optimizer, measured where no rule says it.

The same numbers are run in float32 and in float64; how far apart the two come is what rounding does to this
optimizer on them. FACTOR is for the order of operations, as everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from reference.rounding import FACTOR, PRECISIONS
from verify.checks.context import Context
from verify.checks.judged import run
from verify.lanes import DTYPES, as_float64, fill
from verify.program import Filling, Program, Step
from verify.trajectory import Recorder, first_difference

SINGLE = PRECISIONS["float32"].unit


@dataclass(frozen=True)
class Apart:
    """Where two runs come further apart than rounding makes them; ``rounding`` is what float32 makes there."""

    step: int
    element: int
    rounding: float


class Rounding:
    """How far rounding moves each parameter of a program; give it one that :func:`explicit` has made.

    Raises what :func:`verify.trajectory.record` does.
    """

    def __init__(self, context: Context, program: Program):
        self.low, self.high = (run(context, replace(program, dtype=d)) for d in ("float32", "float64"))
        # scalars may be float32 tensors, whatever the dtype of the parameters
        self.scale = max(PRECISIONS[program.dtype].unit, SINGLE) / SINGLE

    def single(self, step: int, parameter: int, typical=np.nanmax) -> float:
        """In float32, and at least a unit of the numbers themselves; ``typical`` makes one number of many."""
        low, high = (run.moments[step].values[parameter] for run in (self.low, self.high))
        if not high.size:
            return 0.0
        size = np.nanmax(np.abs([high, self.high.tracks[parameter].before]))
        return max(float(typical(np.abs(low - high))), SINGLE * float(size))

    def allowed(self, step: int, parameter: int, typical=np.nanmax) -> float:
        """How far a right implementation may be from another one, in the dtype of the program."""
        return FACTOR * self.scale * self.single(step, parameter, typical)


def compare_measured(context: Context, program: Program, other: Program, what: str) -> str | None:
    """The same bits, or as near as the subject's float32 and float64 runs are to each other."""
    program, other = explicit(program), explicit(other)
    one, two = run(context, program), run(context, other)
    same = first_difference(one.moments, two.moments) is None
    context.bitwise.append(same)
    if same:
        return None
    found = apart(context, program, one, two)
    return told(found, one, two, what) if found else None


def apart(context: Context, program: Program, one: Recorder, two: Recorder) -> dict[int, Apart]:
    """The first place, for each parameter that two runs take further apart than rounding does."""
    rounding = Rounding(context, program)
    found: dict[int, Apart] = {}
    for step, (a, b) in enumerate(zip(one.moments, two.moments, strict=True)):
        for index, (x, y) in enumerate(zip(a.values, b.values, strict=True)):
            distance = np.abs(x - y)
            if index not in found and np.nanmax(distance, initial=0.0) > rounding.allowed(step, index):
                found[index] = Apart(step, int(np.nanargmax(distance)), rounding.single(step, index))
    return found


def told(found: dict[int, Apart], one: Recorder, two: Recorder, what: str) -> str:
    """The earliest of these places, in words."""
    index, first = min(found.items(), key=lambda item: item[1].step)
    x, y = (run.moments[first.step].values[index][first.element] for run in (one, two))
    return (
        f"{what}, parameter {index} is {y:.9g} instead of {x:.9g} after step {first.step + 1} "
        f"(element {first.element}): {abs(x - y):.2g} apart, where rounding in float32 makes a difference "
        f"of {first.rounding:.2g}"
    )


def explicit(program: Program) -> Program:
    """The same numbers in every dtype: ordinary ones that bfloat16 can hold, in place of slices of the pool."""

    def plain(filling: Filling | None) -> Filling | None:
        if filling is None or filling.values is not None:
            return filling
        values = as_float64(fill(filling, (64,), DTYPES["bfloat16"]))
        return replace(filling, values=tuple(float(x) for x in np.where(np.abs(values) < 16, values, 1.0)))

    operations = tuple(
        replace(op, gradients=tuple(map(plain, op.gradients))) if isinstance(op, Step) else op
        for op in program.operations
    )
    parameters = tuple(replace(p, initial=plain(p.initial) or p.initial) for p in program.parameters)
    return replace(program, parameters=parameters, operations=operations)
