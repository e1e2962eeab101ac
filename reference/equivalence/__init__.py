"""Whether two update rules give the same parameters: a proof, or a program that shows a difference.

Both rules get the same start and the same gradients, and hyperparameters of the same name are the same.
Every hyperparameter may be edited before every step, as torch's parameter groups allow, unless a condition
says that it is constant. Two things are supposed unless a condition speaks of them, and every verdict says so:
a hyperparameter that only one rule has takes the value of an optimizer without it (``Hyperparameter.absent``),
and one that a state variable needs, such as momentum, is zero in all steps or in none.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy

from reference.equivalence.claim import Claim
from reference.equivalence.conditions import GRAMMAR, read
from reference.equivalence.limit import CutOff, Tell, limited
from reference.equivalence.partners import PARTNERS, find_rule
from reference.equivalence.prove import Equation, Proof, prove
from reference.equivalence.refute import PROGRAMS, Counterexample, CounterStep, refute
from reference.equivalence.theorems import THEOREMS, Theorem, theorems_about
from reference.rule import RuleError, UpdateRule

# when no proof was found, a difference is looked for once more
MORE_PROGRAMS = 4 * PROGRAMS
PROVED, REFUTED, NOT_DECIDED = "proved", "refuted", "not decided"

__all__ = [
    "GRAMMAR",
    "PARTNERS",
    "THEOREMS",
    "CounterStep",
    "Counterexample",
    "Equation",
    "Theorem",
    "Verdict",
    "equal",
    "find_rule",
    "lines",
    "theorems_about",
]


@dataclass(frozen=True)
class Verdict:
    """What is known of the equality of two rules.

    Args:
        status: ``"proved"``, ``"refuted"`` or ``"not decided"``.
        sentence: the statement with its conditions and what became of it.
        conditions: all of them: those that were given, and those that are supposed.
        change: the change of variables: a variable of one rule in terms of the other's, after n steps.
        equations: what the proof checked, one by one.
        counterexample: a program after which the rules differ.
        reason: why nothing was decided.
        seconds: how long it took.
    """

    status: str
    sentence: str
    names: tuple[str, str]
    conditions: tuple[str, ...] = ()
    change: Mapping[str, sympy.Expr] = field(default_factory=dict)
    equations: tuple[Equation, ...] = ()
    counterexample: Counterexample | None = None
    reason: str = ""
    seconds: float = 0.0


def equal(a: UpdateRule, b: UpdateRule, given: Sequence[str] = (), seconds: float = 20.0) -> Verdict:
    """Whether two rules give the same parameters for all inputs, under conditions.

    First a difference is looked for in ball arithmetic; then sympy proves that there is none. All of that is
    cut off after a time, and then nothing is decided.

    Args:
        given: conditions, see :data:`GRAMMAR`.
        seconds: how long it may take.

    Raises:
        RuleError: a condition that cannot be read or that contradicts another; the message says why.
    """
    begin = time.monotonic()
    claim = read(a, b, given)

    def left() -> float:
        return max(0.0, seconds - (time.monotonic() - begin))

    result: Counterexample | Proof | None = _searched(claim, 0, PROGRAMS, seconds / 2)
    if result is None:
        try:
            result = limited(lambda tell: prove(claim, tell), left())
        except CutOff as error:
            result = Proof(gap=str(error))
    if isinstance(result, Proof) and result.gap:
        result = _searched(claim, 1, MORE_PROGRAMS, left()) or result
    return _verdict(claim, result, time.monotonic() - begin)


def _searched(claim: Claim, seed: int, programs: int, seconds: float) -> Counterexample | None:
    """A counterexample, where one is found in time in rules that ball arithmetic knows."""

    def work(tell: Tell) -> Counterexample | None:
        tell("looking for a counterexample")
        try:
            return refute(claim, seed, programs)
        except RuleError:
            return None

    try:
        return limited(work, seconds)
    except CutOff:
        return None


def _verdict(claim: Claim, result: Counterexample | Proof, seconds: float) -> Verdict:
    names = (claim.labels[0], claim.labels[1])
    if claim.steps[0].rule.name == claim.steps[1].rule.name:
        names = (f"{claim.steps[0].rule.name} (a)", f"{claim.steps[1].rule.name} (b)")
    conditions = (*claim.given, *claim.supposed)
    under = f", given {', '.join(claim.given)}" if claim.given else ""
    under += f", supposing {' and '.join(claim.supposed)}" if claim.supposed else ""
    what = f"the same parameter in step {claim.only_step}" if claim.only_step else "the same parameters"
    both = f"{names[0]} and {names[1]}"
    known: dict[str, Any] = {"names": names, "conditions": conditions, "seconds": seconds}
    if isinstance(result, Counterexample):
        return Verdict(REFUTED, f"{both} do not give {what}{under}", counterexample=result, **known)
    if result.gap:
        return Verdict(NOT_DECIDED, f"whether {both} give {what} is not decided{under}", reason=result.gap, **known)
    if claim.parameter is not None:
        what += " up to a change of the parameter"
    sentence = f"{both} give {what} wherever both are defined{under}"
    return Verdict(PROVED, sentence, change=result.change, equations=tuple(result.equations), **known)


def lines(verdict: Verdict) -> list[str]:
    """A verdict as text for a terminal."""
    shown = [f"{verdict.status.upper()}  {verdict.sentence}  ({verdict.seconds:.1f} s)"]
    if verdict.status == NOT_DECIDED:
        shown += [f"  {verdict.reason}"]
    if verdict.status == PROVED:
        if verdict.change:
            shown += ["  change of variables, after n steps", *(f"    {k} = {e}" for k, e in verdict.change.items())]
        shown += ["  checked"]
        case = None
        for e in verdict.equations:
            if e.case and e.case != case:
                shown.append(f"    case {e.case}")
            case = e.case
            shown += [f"    {e.text}", f"      {e.left}", f"      = {e.right}"]
    if verdict.counterexample is not None:
        shown += _counterexample_lines(verdict.counterexample, verdict.names)
    return shown


def _counterexample_lines(c: Counterexample, names: tuple[str, str]) -> list[str]:
    shown = []
    for name, options in zip(names, c.options, strict=True):
        chosen = [key for key, value in options.items() if value]
        shown += [f"  {name} with {', '.join(chosen)}"] if chosen else []
    same_start = c.starts[0] == c.starts[1]
    shown.append(f"  start p = {c.starts[0]:g}" + ("" if same_start else f" and {c.starts[1]:g}"))
    before: tuple[Mapping[str, float], ...] = ({}, {})
    for t, step in enumerate(c.steps, start=1):
        edits = _edits(before, step.hyperparameters)
        before = step.hyperparameters
        g = f"g = {step.gradients[0]:g}" + (
            "" if step.gradients[0] == step.gradients[1] else f" and {step.gradients[1]:g}"
        )
        shown.append(f"  step {t}: {g}{', ' + edits if edits else ''}")
        shown += [f"    {name}: p = {_number(p)}" for name, p in zip(names, step.parameters, strict=True)]
    what = "one of them is undefined" if math.isnan(c.difference) else f"they differ by {c.difference:.6g}"
    again = "; before each step the second was set to the parameter of the first" if c.reseated else ""
    shown.append(f"  after step {c.first_difference} {what}{again}")
    return shown


def _edits(before: Sequence[Mapping[str, float]], now: Sequence[Mapping[str, float]]) -> str:
    """Hyperparameters that are new or changed, once where both rules agree on them."""
    parts = []
    for name in dict.fromkeys((*now[0], *now[1])):
        values = [side[name] for side in now if name in side]
        if all(side.get(name) == old.get(name) for side, old in zip(now, before, strict=True)):
            continue
        parts.append(f"{name} = " + " and ".join(f"{v:g}" for v in dict.fromkeys(values)))
    return ", ".join(parts)


def _number(x: float) -> str:
    return "undefined" if math.isnan(x) else f"{x:.10g}"
