"""How much work a run does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """How much work one cell does.

    Args:
        programs: programs of many elements, and of many parameters.
        lanes: elements of the bulk parameter.
        steps: longest bulk program.
        cell_seconds: limit on one cell; call_seconds: limit on one call into the subject.
    """

    name: str
    programs: int
    lanes: int
    steps: int
    cell_seconds: float
    call_seconds: float


BUDGETS = {
    "quick": Budget("quick", 4, 1024, 12, 30.0, 5.0),
    "standard": Budget("standard", 16, 4096, 72, 60.0, 10.0),
    "thorough": Budget("thorough", 60, 4096, 72, 300.0, 30.0),
}
