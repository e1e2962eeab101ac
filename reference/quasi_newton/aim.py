"""Where a step leads: the exact end of it, and a ball for every element that holds what rounding may make of it."""

from __future__ import annotations

from flint import arb

from reference.quasi_newton.enclosure import Enclosure, Number, Vector, largest_of

Point = tuple[float, ...]


class Aim:
    """A step of some length along a direction.

    Args:
        here: where it begins.
        exact, around: the direction, and balls that hold what an implementation may get for it.
        t, t_around: the same for the length.
    """

    def __init__(self, a: Enclosure, here: Point, exact: Vector, around: Vector, t: Number, t_around: Number):
        self.here, self.around = here, around
        x = numbers(here)
        self.ends = [x_i + t * d_i for x_i, d_i in zip(x, exact, strict=True)]
        balls = [a.rounded(x_i + a.rounded(t_around * d_i)) for x_i, d_i in zip(x, around, strict=True)]
        self.allowances = [distance(ball, end) for ball, end in zip(balls, self.ends, strict=True)]
        self.longest = largest_of([abs(t * d_i) for d_i in exact])

    def ratios(self, point: Point) -> list[float | None]:
        """Error over allowance of every element; None where the allowance is as large as the step and says nothing."""
        return [self._ratio(i, got) for i, got in enumerate(point)]

    def _ratio(self, i: int, got: float) -> float | None:
        allowance = self.allowances[i]
        if not allowance <= self.longest:
            return None
        error = abs(arb(got) - self.ends[i]).upper()
        if not allowance > 0:
            return 0.0 if error <= allowance else float("inf")
        ratio = float(error / allowance)
        return ratio if ratio == ratio else float("inf")

    def fits(self, point: Point) -> bool:
        """Whether the step may lead to a point, for all that can be said."""
        return all(ratio is None or ratio <= 1 for ratio in self.ratios(point))

    def tells(self) -> bool:
        """Whether every element has an allowance that says something."""
        return all(bool(allowance <= self.longest) for allowance in self.allowances)


def numbers(values: Point) -> Vector:
    return [arb(v) for v in values]


def distance(ball: arb, exact: arb) -> arb:
    """How far an element of a ball may be from a number."""
    return abs(ball - exact).upper()


def same(a: Point, b: Point) -> bool:
    """Whether two points are equal, nan being equal to nan."""
    return len(a) == len(b) and all(x == y or (x != x and y != y) for x, y in zip(a, b, strict=True))
