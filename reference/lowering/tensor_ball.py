"""Ball arithmetic of a whole tensor, for rules with reductions or functions of matrices.

Each element is evaluated as it is asked for, each sum and each function of a matrix once.

:class:`ExactTensor` is to such a rule what :func:`reference.lowering.ball.exact_step` is to an elementwise one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import flint
import sympy

from reference.lowering.ball import FIRST_PRECISION, LAST_PRECISION, RUNTIME, Balls, largest
from reference.matrices import COLUMNS, ROWS, MatrixFunction, OddPolynomial
from reference.reductions import CHANNELS, OF_SHAPE, Axis, OfShape, Reduction, count
from reference.rule import RuleError, Step

Lookup = Callable[[str, int], Any]
# of elements, that one step remembers: sums it remembers all
MOST_KNOWN = 1 << 18


class _TensorBalls(Balls):
    """Writes an expression of element ``i``; symbols, reductions and functions of matrices are looked up."""

    def __init__(self, step: Step):
        super().__init__(step)
        self.wholes: list[Reduction | MatrixFunction] = []

    def write(self, e: sympy.Basic) -> str:
        if isinstance(e, sympy.Symbol):
            return f"x.value({e.name!r}, i)"
        if isinstance(e, OfShape):
            return f"arb(x.of_shape({e.words!r}))"
        if isinstance(e, Reduction | MatrixFunction):
            if isinstance(e, MatrixFunction) and not isinstance(e, OddPolynomial):
                raise RuleError(f"rule {self.step.rule.name!r}: {type(e).__name__} has no ball arithmetic")
            if e not in self.wholes:
                self.wholes.append(e)
            return f"x.{'sum' if isinstance(e, Reduction) else 'matrix'}({self.wholes.index(e)}, i)"
        return super().write(e)


@lru_cache(maxsize=512)
def _lower(step: Step) -> tuple[dict[str, Callable], list[tuple[Any, tuple[Callable, ...]]]]:
    """A function ``(x, i)`` for every assignment, by its symbol, and for every argument of what is of a whole tensor."""
    writer = _TensorBalls(step)

    def function(e: sympy.Basic) -> Callable:
        code = compile(f"lambda x, i: {writer.write(e)}", f"<{step.rule.name} in balls>", "eval")
        return eval(code, dict(RUNTIME))

    assigned = {a.symbol.name: function(a.expression) for a in step.assignments}
    inside: list[tuple[Any, tuple[Callable, ...]]] = []
    while len(inside) < len(writer.wholes):  # one may stand inside another one
        e = writer.wholes[len(inside)]
        inside.append((e, tuple(map(function, e.args))))
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
        self.matrices: dict[int, list] = {}

    def new(self, name: str, i: int):
        """The new value of an output at an element."""
        return self.value(self.step.new_symbol(name).name, i)

    def value(self, name: str, i: int):
        if name in (ROWS.name, COLUMNS.name):
            return flint.arb(self.shape[-2 if name == ROWS.name else -1])
        key = name, i
        found = self.known.get(key)
        if found is None:
            made = self.assigned.get(name)
            found = self.before(name, i) if made is None else made(self, i)
            if len(self.known) >= MOST_KNOWN:
                self.known.clear()
            self.known[key] = found
        return found

    def of_shape(self, words: str) -> int:
        return OF_SHAPE[words](self.shape)

    def sum(self, number: int, i: int):
        """The value of a reduction as element ``i`` sees it."""
        e, (inside,) = self.inside[number]
        start, stride, terms = self._run(e.axis, i)
        key = number, start
        if key not in self.sums:
            taken = [inside(self, start + k * stride) for k in range(terms)]
            total = largest(*taken) if e.largest else sum(taken, flint.arb(0))
            self.sums[key] = total / terms if e.averages else total
        return self.sums[key]

    def matrix(self, number: int, i: int):
        """The value of a function of the matrix at element ``i``."""
        if number not in self.matrices:
            _, (inside, *numbers) = self.inside[number]
            rows, columns = self.shape
            x = flint.arb_mat(rows, columns, [inside(self, k) for k in range(rows * columns)])
            a, b, c, steps = (n(self, 0) for n in numbers)
            self.matrices[number] = odd_polynomial(x, a, b, c, int(float(steps))).entries()
        return self.matrices[number][i]

    def _run(self, axis: Axis, i: int) -> tuple[int, int, int]:
        """First element, distance and number of those that are taken together with element ``i``."""
        terms = count(self.shape, axis)
        if not isinstance(axis, int):
            return i - i % terms if axis == CHANNELS else 0, 1, terms
        stride = math.prod(self.shape[axis:][1:])
        return i - i // stride % terms * stride, stride, terms


def odd_polynomial(x: flint.arb_mat, a, b, c, steps: int) -> flint.arb_mat:
    """The enclosure of a polynomial of singular values, as a polynomial of the matrix (reference.matrices)."""
    if x.nrows() > x.ncols():
        return odd_polynomial(x.transpose(), a, b, c, steps).transpose()
    for _ in range(steps):
        gram = x * x.transpose()
        x = x * a + (gram * b + gram * gram * c) * x
    return x


class ExactTensor:
    """Enclosures of new values, after one step or several.

    Args:
        step: the assignments of every step.
        history: every symbol before each step by name: one number, one for each element, or None for what the step
            before has left.
        shape: of the tensor.
    """

    def __init__(self, step: Step, history: Sequence[Mapping[str, Any]], shape: tuple[int, ...]):
        self.step, self.history, self.shape = step, history, shape
        self._last: dict[int, TensorStep] = {}

    def new(self, name: str, element: int, resolution: float):
        """One new value.

        Args:
            resolution: the allowance that the enclosure must be finer than, where the last precision can do that.
        """
        precision = FIRST_PRECISION
        while True:
            with flint.ctx.workprec(precision):
                if precision not in self._last:
                    self._last[precision] = _last(self.step, self.history, self.shape)
                ball = self._last[precision].new(name, element)
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
