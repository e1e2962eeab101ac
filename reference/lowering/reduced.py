"""Reductions in array code: the sum, and what rounding may make of it in any order (see reference.rounding)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reference.reductions import Reduction, count, summed
from reference.rounding import ACCUMULATOR, FACTOR
from reference.rule import RuleError

if TYPE_CHECKING:
    from reference.lowering.array import ArrayCode, Node

# names that the generated code calls
RUNTIME: dict[str, Any] = {"summed": summed, "count": count, "accumulator": FACTOR * ACCUMULATOR.unit}


def lower_reduction(code: ArrayCode, e: Reduction) -> Node:
    """A sum or a mean: the errors of the terms, those of adding them up, and one of the result."""
    from reference.lowering.array import Node

    a = code.lower(e.args[0])
    if a.scalar:
        raise RuleError(f"rule {code.step.rule.name!r}: {e} is a reduction of what is one number for all elements")

    def over(x: str) -> str:
        return code.let(f"summed(xp, {x}, shape, {e.axis})")

    value = over(a.value)
    size = value if a.nonnegative else over(code.absolute(a))
    passed = f" + {over(a.error)}" if a.error else ""
    terms = f"count(shape, {e.axis})"
    rounding = code.let(f"max({terms} - 1.0, 0.0) * min(u, accumulator)", "s")
    error = code.let(f"{rounding} * {size} + u * {size} + tiny{passed}", "e")
    error = code.guard(size, error)
    if e.averages:
        number = code.let(f"float({terms})", "s")
        value = code.let(f"{value} / {number}")
        error = code.let(f"u * xp.abs({value}) + tiny + {error} / {number}", "e")
    return Node(value, error, False, a.nonnegative)


def certainly_zero(e: Reduction, inside: str) -> str:
    """Code of "every element that is summed is zero without any error", given that of one element."""
    return f"(summed(xp, ~({inside}), shape, {e.axis}) == 0)"
