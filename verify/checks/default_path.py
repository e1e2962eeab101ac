"""Check ``parity.default``: what users run, who choose no implementation."""

from __future__ import annotations

from dataclasses import replace

from verify.checks.context import Context
from verify.checks.judged import judged
from verify.checks.parity import _compare, _programs
from verify.driver import Unsupported
from verify.pairs import Relation
from verify.program import Program


@judged(
    "parity.default",
    "Built without choosing an implementation, it does what the for-loop does.",
    _programs,
    implementations=("for-loop",),
)
def default(context: Context, program: Program) -> str | None:
    """Constructors with foreach=None or fused=None choose by themselves, and that is what everybody runs.

    Bugs of this kind: a default path of its own, which no test asks for.
    """
    if not context.loaded.chooses_by_default:
        raise Unsupported("its constructor leaves no choice of an implementation to itself")
    by_default = replace(program, implementation="default")
    return _compare(context, program, by_default, Relation("built without choosing an implementation"))
