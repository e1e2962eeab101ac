"""The pairs that are remembered, in one arithmetic."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flint import arb

from reference.quasi_newton.conventions import Conventions
from reference.quasi_newton.enclosure import EXACT, Arithmetic, Enclosure, Number, Vector
from reference.quasi_newton.inverse_hessian import Pair


@dataclass(frozen=True)
class History:
    """What an optimizer knows when an iteration begins.

    Args:
        points, gradients: those at which the last iterations began, three at most.
        pairs, gamma: from which the direction is computed.
    """

    conventions: Conventions
    a: Arithmetic
    points: tuple[Vector, ...] = ()
    gradients: tuple[Vector, ...] = ()
    pairs: tuple[Pair, ...] = ()
    gamma: Number = arb(1)  # noqa: RUF009 - arb is immutable

    def beginning_at(self, point: Vector, gradient: Vector) -> History:
        return replace(self, points=(*self.points[-2:], point), gradients=(*self.gradients[-2:], gradient))

    def newest(self, lr: Number) -> Pair | None:
        """The pair of the last step, remembered or not; None before there was one."""
        return self.conventions.pair(self.points, self.gradients, lr, self.a) if len(self.points) > 1 else None

    def remembering(self, pair: Pair, size: int) -> History:
        pairs = tuple(self.conventions.remembered((*self.pairs, pair), size))
        gamma = self.conventions.scaling((*self.pairs[-1:], pair), self.a)
        return replace(self, pairs=pairs, gamma=gamma)

    def directions(self, g: Vector) -> list[Vector]:
        """-H g, in every form that an implementation may compute; the first is the one for exact numbers."""
        return [form(g, self.pairs, self.gamma, self.a) for form in self.conventions.directions]


@dataclass(frozen=True)
class Histories:
    """The same history in exact numbers, and in balls that hold what rounding may make of it."""

    exact: History
    rounded: History

    @classmethod
    def empty(cls, conventions: Conventions, a: Enclosure) -> Histories:
        return cls(History(conventions, EXACT), History(conventions, a))

    def after(self, point: Vector, gradient: Vector, lr: float, size: int) -> Histories:
        """With what an iteration that begins here learns from the step before it.

        Raises:
            Undecided: whether the pair is remembered depends on rounding.
        """
        exact, rounded = (h.beginning_at(point, gradient) for h in (self.exact, self.rounded))
        pair, around = exact.newest(arb(lr)), rounded.newest(arb(lr))
        if pair is None or around is None:
            return Histories(exact, rounded)
        if not exact.conventions.takes(around, rounded.a):
            return Histories(exact, rounded)
        return Histories(exact.remembering(pair, size), rounded.remembering(around, size))
