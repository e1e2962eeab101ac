"""What became of one program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from verify.curve import Curve
from verify.program import Program


@dataclass(frozen=True)
class Mismatch:
    """A quantity of one element that is certainly outside its allowance.

    Args:
        quantity: ``"p"``, a state variable's name, or ``"step"``.
        operation: index of the operation after which it was seen.
        count: number of the step for this parameter (1 at the first).
        parameter, element: which parameter, and which of its elements (of its real parts).
        got, exact, allowance, ratio: the numbers; ``exact`` is the midpoint of the enclosure.
        agrees: quantities of the same element that were inside.
        values: every symbol of the equations, before the step.
        cause: what the subject did instead, where that could be found out.
    """

    quantity: str
    operation: int
    count: int
    parameter: int
    element: int
    got: float
    exact: float
    allowance: float
    ratio: float
    agrees: tuple[str, ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)
    note: str = ""
    cause: str = ""


@dataclass(frozen=True)
class Twin:
    """Two programs whose runs must agree in one element, and do not.

    Args:
        program, other: what is run.
        parameter, element: where in the first; ``other_parameter``, ``other_element`` where in the other.
        key: of the state; empty for the parameter itself.
        allowed: how far they may be apart.
        factor, offset: the other's element is due to be this multiple of the first's, plus the offset.
    """

    program: Program
    other: Program
    parameter: int
    element: int
    other_parameter: int
    other_element: int
    key: Any = ""
    allowed: float = 0.0
    factor: float = 1.0
    offset: float = 0.0


class Sentence(str):
    """What is wrong, in a sentence, with what shows it: two runs that should agree, or the program that raises."""

    twin: Twin | None
    program: Program | None

    def __new__(cls, text: str, twin: Twin | None = None, program: Program | None = None):
        sentence = super().__new__(cls, text)
        sentence.twin, sentence.program = twin, program
        return sentence


@dataclass
class Seconds:
    """Where the time of a run went, in seconds."""

    subject: float = 0.0
    reference: float = 0.0
    generation: float = 0.0

    def add(self, other: Seconds) -> None:
        self.subject += other.subject
        self.reference += other.reference
        self.generation += other.generation


@dataclass
class Outcome:
    """What became of one program.

    Args:
        mismatches: quantities that are outside, all of one element.
        error: what the subject raised where it had no reason to, in operation ``error_operation``.
        broken: a promise of every optimizer that it broke, in one sentence.
        unsupported: why the program cannot be run on this subject.
        refused: the constructor's words for why it takes no such values.
        worst: largest exact ratio of every quantity.
        not_verified: elements whose allowance was infinite or useless.
        scalars: precision in which numbers common to all elements were judged.
        matrices: precision in which functions of matrices were judged, where it is not that of the parameters.
        curve: errors of the parameter over its magnitude, where they were asked for.
    """

    mismatches: list[Mismatch] = field(default_factory=list)
    error: str | None = None
    error_operation: int = -1
    broken: str | None = None
    unsupported: str | None = None
    refused: str | None = None
    worst: dict[str, float] = field(default_factory=dict)
    element_steps: int = 0
    not_verified: int = 0
    scalars: str = "float64"
    matrices: str = ""
    curve: Curve | None = None
    seconds: Seconds = field(default_factory=Seconds)

    @property
    def failed(self) -> bool:
        return bool(self.mismatches) or self.error is not None or self.broken is not None
