"""The strong Wolfe conditions in floating point, for scripts: clearly broken ones are told, not the last digit."""

from __future__ import annotations


def ending(call):
    """The evaluation at the point where a call ended."""
    return next(e for e in reversed(call.evaluations) if e.point == call.end)


def along(begin, end) -> list[float]:
    return [z - x for z, x in zip(end.point, begin.point, strict=True)]


def slope(at, begin, end) -> float:
    return sum(g * s for g, s in zip(at.gradient, along(begin, end), strict=True))


def sufficient_decrease(begin, end) -> bool:
    return end.loss <= begin.loss + 1e-4 * slope(begin, begin, end)


def small_slope(begin, end) -> bool:
    return abs(slope(end, begin, end)) <= 0.9 * abs(slope(begin, begin, end))
