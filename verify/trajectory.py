"""What a subject computes, step by step, without a reference: two runs can be compared bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from verify.driver import Driver
from verify.lanes import as_float64
from verify.outcome import Sentence
from verify.program import Program
from verify.subject import LoadedSubject


class Refused(Exception):
    """The constructor refuses these values, in words."""


@dataclass(frozen=True)
class Moment:
    """What is there after one step.

    Args:
        operation: index of the operation that stepped.
        values: every parameter, flat in float64.
        state: what the subject remembers of every parameter: tensors flat in float64, numbers as they are.
    """

    operation: int
    values: tuple[np.ndarray, ...]
    state: tuple[dict[Any, Any], ...]


class Recorder(Driver):
    """Drives a subject and records every step.

    Attributes:
        moments: one for every step.
        replayable: whether doing the program's operations again ends in the same moments.
    """

    moments: list[Moment]
    replayable = True

    def stepped(self, operation: int) -> None:
        self.moments.append(
            Moment(
                operation,
                tuple(as_float64(t.tensor).copy() for t in self.tracks),
                tuple(plain_state(self.loaded.own_state(self.optimizer, t.tensor)) for t in self.tracks),
            )
        )

    def run(self):
        self.moments = []
        return super().run()


def plain_state(own: dict[Any, Any]) -> dict[Any, Any]:
    """State of a parameter as numbers and arrays; what is neither is left out."""
    found: dict[Any, Any] = {}
    for key, value in own.items():
        if isinstance(value, torch.Tensor) and value.layout == torch.strided and not value.is_meta:
            found[key] = as_float64(value).copy()
        elif isinstance(value, int | float):
            found[key] = value
    return found


def record(
    loaded: LoadedSubject, program: Program, in_subject: Callable[[bool], Any] | None = None, make=Recorder
) -> Recorder:
    """Run a program and record it.

    Raises:
        SubjectRaised: the subject raised; Refused: its constructor refused; Unsupported.
    """
    from verify.driver import SubjectRaised, Unsupported

    run = make(loaded, program, in_subject=in_subject)
    outcome = run.run()
    if outcome.refused:
        raise Refused(outcome.refused)
    if outcome.unsupported:
        raise Unsupported(outcome.unsupported)
    if outcome.error is not None:
        raise SubjectRaised(Sentence(outcome.error, program=program) if run.replayable else outcome.error)
    return run


def first_difference(
    one: list[Moment],
    other: list[Moment],
    order: list[int] | None = None,
    *,
    state: bool | Callable[[Any], bool] = False,
):
    """Where two trajectories part: ``(step, parameter, key or "", element, value, other value)``, or None.

    Args:
        order: which parameter of ``other`` belongs to each of ``one``.
        state: whether state that both keep under the same key is compared too; or for which keys.
    """
    for step, (a, b) in enumerate(zip(one, other, strict=True)):
        for index, values in enumerate(a.values):
            partner = order[index] if order else index
            found = unequal(values, b.values[partner])
            if found is not None:
                return (step, index, "", found, values[found], b.values[partner][found])
            if not state:
                continue
            mine, theirs = a.state[index], b.state[partner]
            for key in mine.keys() & theirs.keys():
                if callable(state) and not state(key):
                    continue
                x, y = np.ravel(mine[key]), np.ravel(theirs[key])
                found = unequal(x, y)
                if found is not None:
                    return (step, index, key, found, x[found], y[found] if found < len(y) else float("nan"))
    return None


def unequal(a: np.ndarray, b: np.ndarray) -> int | None:
    """The first element in which two arrays differ (nan equals nan)."""
    if a.shape != b.shape:
        return 0
    differs = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    return int(differs.argmax()) if differs.any() else None
