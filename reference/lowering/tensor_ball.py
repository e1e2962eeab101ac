"""Ball arithmetic of a whole tensor, for rules with reductions: each element as it is asked for, each sum once.

:func:`exact_tensor` is to such a rule what :func:`reference.lowering.ball.exact_step` is to an elementwise one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import flint
import sympy

from reference.lowering.ball import FIRST_PRECISION, LAST_PRECISION, RUNTIME, Balls, largest
from reference.reductions import CHANNELS, OF_SHAPE, Axis, OfShape, Reduction, count
from reference.rule import Step

Lookup = Callable[[str, int], Any]


class _TensorBalls(Balls):
    """Writes an expression of element ``i``; symbols and reductions are looked up."""

    def __init__(self, step: Step):
        super().__init__(step)
        self.reductions: list[Reduction] = []

    def write(self, e: sympy.Basic) -> str:
        if isinstance(e, sympy.Symbol):
            return f"x.value({e.name!r}, i)"
        if isinstance(e, OfShape):
            return f"arb(x.of_shape({e.words!r}))"
        if isinstance(e, Reduction):
            if e not in self.reductions:
                self.reductions.append(e)
            return f"x.sum({self.reductions.index(e)}, i)"
        return super().write(e)


@lru_cache(maxsize=512)
def _lower(step: Step) -> tuple[dict[str, Callable], list[tuple[Reduction, Callable]]]:
    """A function ``(x, i)`` for every assignment, by its symbol, and for what stands in every reduction."""
    writer = _TensorBalls(step)

    def function(e: sympy.Basic) -> Callable:
        code = compile(f"lambda x, i: {writer.write(e)}", f"<{step.rule.name} in balls>", "eval")
        return eval(code, dict(RUNTIME))

    assigned = {a.symbol.name: function(a.expression) for a in step.assignments}
    inside: list[tuple[Reduction, Callable]] = []
    while len(inside) < len(writer.reductions):  # a reduction may stand inside another one
        e = writer.reductions[len(inside)]
        inside.append((e, function(e.args[0])))
    return assigned, inside


class TensorStep:
    """The exact new values of one step.

    Args:
        step: the assignments.
        before: a value for a symbol before the step at an element, as ``before(name, i)``.
        shape: of the tensor.
    """

    def __init__(self, step: Step, before: Lookup, shape: tuple[int, ...]):
        self.step, self.before, self.shape = step, before, shape
        self.assigned, self.inside = _lower(step)
        self.known: dict[tuple[str, int], Any] = {}
        self.sums: dict[tuple[int, int], Any] = {}

    def new(self, name: str, i: int):
        """The new value of an output at an element."""
        return self.value(self.step.new_symbol(name).name, i)

    def value(self, name: str, i: int):
        key = name, i
        if key not in self.known:
            made = self.assigned.get(name)
            self.known[key] = self.before(name, i) if made is None else made(self, i)
        return self.known[key]

    def of_shape(self, words: str) -> int:
        return OF_SHAPE[words](self.shape)

    def sum(self, number: int, i: int):
        """The value of a reduction as element ``i`` sees it."""
        e, inside = self.inside[number]
        start, stride, terms = self._run(e.axis, i)
        key = number, start
        if key not in self.sums:
            taken = [inside(self, start + k * stride) for k in range(terms)]
            total = largest(*taken) if e.largest else sum(taken, flint.arb(0))
            self.sums[key] = total / terms if e.averages else total
        return self.sums[key]

    def _run(self, axis: Axis, i: int) -> tuple[int, int, int]:
        """First element, distance and number of those that are taken together with element ``i``."""
        terms = count(self.shape, axis)
        if not isinstance(axis, int):
            return i - i % terms if axis == CHANNELS else 0, 1, terms
        stride = math.prod(self.shape[axis:][1:])
        return i - i // stride % terms * stride, stride, terms


def exact_tensor(
    step: Step, history: Sequence[Mapping[str, Any]], shape: tuple[int, ...], name: str, element: int, resolution: float
):
    """Enclosure of one new value, after one step or several.

    Args:
        history: every symbol before each step by name: one number, one for each element, or None for what the step
            before has left.
        resolution: the allowance that the enclosure must be finer than, where the last precision can do that.
    """
    precision = FIRST_PRECISION
    while True:
        with flint.ctx.workprec(precision):
            ball = _last(step, history, shape).new(name, element)
        if float(ball.rad()) <= resolution * 2.0**-10 or precision >= LAST_PRECISION:
            return ball
        precision *= 4


def _last(step: Step, history: Sequence[Mapping[str, Any]], shape: tuple[int, ...]) -> TensorStep:
    last: TensorStep | None = None
    for values in history:
        last = TensorStep(step, _lookup(values, last), shape)
    assert last is not None
    return last


def _lookup(values: Mapping[str, Any], earlier: TensorStep | None) -> Lookup:
    def before(name: str, i: int):
        value = values[name]
        if value is None:
            assert earlier is not None
            return earlier.new(name, i)
        return flint.arb(value[i] if hasattr(value, "__len__") else value)

    return before
