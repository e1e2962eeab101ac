"""All that an arithmetic of some precision can make of an operation, as a ball.

The same formulas run in exact numbers (fractions, symbols) and in balls: an :class:`Arithmetic` rounds nothing,
an :class:`Enclosure` widens every result by what rounding to its precision may have done to it (reference.rounding:
the unit roundoff and the smallest number, each times FACTOR), so that what comes out holds the result of every
implementation of the formula, whatever the order in which it adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flint import arb

from reference.rounding import FACTOR, Precision

Number = Any
Vector = list


class Arithmetic:
    """Exact arithmetic, on whatever numbers it is given."""

    def rounded(self, x: Number) -> Number:
        return x

    def dot(self, a: Sequence[Number], b: Sequence[Number]) -> Number:
        return sum((x * y for x, y in zip(a, b, strict=True)), 0 * a[0])

    def total(self, a: Sequence[Number]) -> Number:
        return sum(a, 0 * a[0])

    def displacement(self, new: Number, old: Number) -> Number:
        """How far a step went."""
        return new - old


class Enclosure(Arithmetic):
    """Balls that hold what rounding to a precision may give."""

    def __init__(self, precision: Precision):
        self.unit, self.smallest = FACTOR * precision.unit, FACTOR * precision.smallest
        self.largest = precision.largest

    def rounded(self, x: arb) -> arb:
        size = abs(x)
        if not size <= self.largest:
            return arb("nan")  # it may overflow, and says nothing
        return x + arb(0, self.unit * size.upper() + self.smallest)

    def dot(self, a: Sequence[arb], b: Sequence[arb]) -> arb:
        """A sum of n products takes n roundings of each, in any order (Higham 2002, Section 3.1)."""
        return self._sum([x * y for x, y in zip(a, b, strict=True)], len(a))

    def total(self, a: Sequence[arb]) -> arb:
        return self._sum(list(a), len(a) - 1)

    def displacement(self, new: arb, old: arb) -> arb:
        """A step as it was taken, or as it was meant: adding it to the old point has rounded the new one."""
        return self.rounded(new - old) + arb(0, 2 * self.unit * abs(new).upper() + self.smallest)

    def _sum(self, terms: list[arb], roundings: int) -> arb:
        size = sum((abs(x).upper() for x in terms), arb(0))
        if not size <= self.largest:
            return arb("nan")
        return sum(terms, arb(0)) + arb(0, roundings * (self.unit * size + self.smallest))


EXACT = Arithmetic()


def largest_of(values: Sequence[arb]) -> arb:
    """The largest of some balls; nan where one of them is nan."""
    found = values[0]
    for v in values[1:]:
        found = found.max(v)
    return found


def at_most(a: Number, b: Number) -> bool | None:
    """Whether a <= b; None where the balls leave it open."""
    if a <= b:
        return True
    return False if a > b else None


def below(a: Number, b: Number) -> bool | None:
    """Whether a < b; None where the balls leave it open."""
    if a < b:
        return True
    return False if a >= b else None
