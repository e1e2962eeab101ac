"""Stand-alone scripts for findings about minimisations: the program, and the one expression that must be true."""

from __future__ import annotations

import inspect
from typing import Any

from reference.quasi_newton import trace
from reference.quasi_newton.reading import Violation
from verify.program import Minimise, Program
from verify.quasi_newton import conditions, minimise, objectives


def tools(program: Program, *, wolfe: bool = False) -> list[str]:
    """Source of what a program with minimisations needs, besides torch."""
    used = dict.fromkeys(op.objective for op in program.operations if isinstance(op, Minimise))
    if not used:
        return []
    things: list[Any] = [trace.Evaluation, trace.Call, minimise.minimise, minimise.real, minimise.flat]
    things += [objectives.OBJECTIVES[name] for name in used]
    if wolfe:
        things += [
            conditions.ending,
            conditions.along,
            conditions.slope,
            conditions.sufficient_decrease,
            conditions.small_slope,
        ]
    # annotations are strings in a script
    lines = ["", "from dataclasses import dataclass, field", "", ""]
    for thing in things:
        lines += [*inspect.getsource(thing).rstrip().splitlines(), "", ""]
    return [*lines, "calls = []"]


def lines_of(op: Minimise, parameters: int) -> list[str]:
    names = ", ".join(f"p{i}" for i in range(parameters))
    unused = f", {op.unused}" if op.unused >= 0 else ""
    return [f"calls.append(minimise(optimizer, [{names}], {op.objective}, {op.coefficients!r}{unused}))"]


def verdict(violation: Violation) -> list[str]:
    """Print and test what must be true of the trace."""
    return [
        f"right = {violation.test}",
        f'print("right" if right else "wrong", {violation.test!r}, sep=": ")',
        "sys.exit(0 if right else 1)",
    ]
