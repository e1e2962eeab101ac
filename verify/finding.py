"""From a failing program to words: what was claimed, what came out, and which quantity is wrong first."""

from __future__ import annotations

import math

from verify.outcome import Mismatch, Outcome
from verify.program import Program, describe
from verify.subject import LoadedSubject


def show(value: float) -> str:
    """A number with enough digits to tell it from its neighbours, and no more."""
    return f"{value:.9g}"


def message_for(loaded: LoadedSubject, program: Program, outcome: Outcome) -> str:
    """The finding in a few lines: place, exact and got, first wrong quantity, smallest program."""
    if outcome.error is not None:
        lines = [f"the subject raised {outcome.error}"]
    elif outcome.broken is not None:
        lines = [outcome.broken]
    else:
        lines = _mismatch_lines(loaded, outcome.mismatches)
    lines.append(f"smallest    {describe(program)}")
    return "\n".join(lines)


def _mismatch_lines(loaded: LoadedSubject, mismatches: list[Mismatch]) -> list[str]:
    worst = mismatches[0]
    order = [s.name for s in loaded.rule.state] + ["p"]
    wrong = sorted((m.quantity for m in mismatches if m.quantity in order), key=order.index)
    cause = [f"cause       {worst.cause}"] if worst.cause else []
    place = f"after step {worst.count}, parameter {worst.parameter}, element {worst.element}"
    if worst.quantity == "step":
        return [
            f"the step counter is {worst.got:g} after step {worst.count}, parameter {worst.parameter}; "
            f"it must be {worst.exact:g}",
            *cause,
        ]
    if worst.note and math.isnan(worst.got) and math.isnan(worst.exact):
        return [f"after step {worst.count}, parameter {worst.parameter}: {worst.note}"]
    if worst.note:
        moved = f"{place}: the parameter moved from {show(worst.exact)} to {show(worst.got)}; {worst.note}"
        return [moved, *cause]
    error = abs(worst.got - worst.exact)
    factor = "beyond any" if math.isinf(worst.ratio) else f"{worst.ratio:.3g} ×"
    name = "the parameter" if worst.quantity == "p" else worst.quantity
    lines = [
        f"{place}: {name} is not what rule {loaded.rule.name} gives",
        *cause,
        f"exact       {show(worst.exact)}   got {show(worst.got)}   error {error:.2g} = {factor} allowance",
    ]
    if wrong:
        first = "the parameter" if wrong[0] == "p" else wrong[0]
        agrees = [a for a in worst.agrees if a != "p"]
        inside = f" ({', '.join(agrees)} {'agrees' if len(agrees) == 1 else 'agree'})" if agrees else ""
        lines.append(f"first wrong quantity: {first}{inside}")
    return lines
