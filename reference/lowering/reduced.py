"""Reductions in array code: the sum, and what rounding may make of it in any order (see reference.rounding)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from reference.reductions import OF_SHAPE, Reduction, count, reduced
from reference.rounding import ACCUMULATOR, FACTOR

if TYPE_CHECKING:
    from reference.lowering.array import ArrayCode, Node

# names that the generated code calls
RUNTIME: dict[str, Any] = {
    "reduced": reduced,
    "count": count,
    "of_shape": OF_SHAPE,
    "accumulator": FACTOR * ACCUMULATOR.unit,
}


def lower_reduction(code: ArrayCode, e: Reduction) -> Node:
    """A sum, a mean or a largest element, with the errors of what it is made of and its own."""
    from reference.lowering.array import Node

    a = code.lower(e.args[0])
    if a.scalar:
        everywhere = code.let(f"xp.zeros_like(v['p']) + {a.value}")
        a = Node(everywhere, code.entering(a), False, a.nonnegative)

    def over(x: str) -> str:
        return code.let(f"reduced(xp, {x}, shape, {e.axis!r}, {e.largest})")

    value = over(a.value)
    if e.largest:
        return Node(value, _error_of_largest(code, a, value, over) if a.error else None, False, a.nonnegative)
    return _sum(code, e, a, value, over)


def _error_of_largest(code: ArrayCode, a: Node, value: str, over: Callable[[str], str]) -> str:
    """How far the largest element may be from ``value``, where each is as far as its error says."""
    most, least = (over(code.let(f"{a.value} {sign} {a.error}")) for sign in "+-")
    return code.let(f"xp.maximum({most} - {value}, {value} - {least})", "e")


def _sum(code: ArrayCode, e: Reduction, a: Node, value: str, over: Callable[[str], str]) -> Node:
    """The errors of the terms, those of adding them up, and one of the result."""
    from reference.lowering.array import Node

    size = value if a.nonnegative else over(code.absolute(a))
    passed = f" + {over(a.error)}" if a.error else ""
    terms = f"count(shape, {e.axis!r})"
    rounding = code.let(f"max({terms} - 1.0, 0.0) * min(u, accumulator)", "s")
    error = code.let(f"{rounding} * {size} + u * {size} + tiny{passed}", "e")
    error = code.guard(size, error)
    if e.averages:
        number = code.let(f"float({terms})", "s")
        value = code.let(f"{value} / {number}")
        error = code.let(f"u * xp.abs({value}) + tiny + {error} / {number}", "e")
    return Node(value, error, False, a.nonnegative)


def certainly_zero(e: Reduction, inside: str) -> str:
    """Code of "every element that is taken in is zero without any error", given that of one element."""
    return f"(reduced(xp, ~({inside}), shape, {e.axis!r}, {e.largest}) == 0)"
