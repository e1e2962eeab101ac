"""Why a step is outside its allowance: what the subject did instead, as a sentence.

The failing program is run once more with everything noted that a hypothesis may need (verify.hypotheses), and past
the first failure, since each step is judged alone. A hypothesis is accepted when it puts every element of the
parameter and of its visible state inside the allowance where the rule's own step leaves some outside, by so much
that chance is out of the question. Of several that do so, the one that explains most of the failing steps is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from verify.driver import quiet
from verify.oracle import scalar_dtype
from verify.outcome import Outcome
from verify.program import Program
from verify.scene import Hypothesis
from verify.subject import LoadedSubject
from verify.witness import ENOUGH, KNOWN, MOST_BITS_PER_ELEMENT, Moment, Witness


@dataclass(frozen=True)
class Cause:
    """What the subject did instead.

    Args:
        kinds: the sort of mistake, the same for all programs that show it; several that cannot be told apart.
        text: one sentence, with the numbers of one program.
    """

    kinds: tuple[str, ...]
    text: str


def find_cause(
    loaded: LoadedSubject,
    program: Program,
    outcome: Outcome,
    *,
    ignore: Sequence[int] = (),
    in_subject: Callable[[bool], Any] | None = None,
    kinds: tuple[str, ...] = (),
) -> Cause | None:
    """What the subject did instead of the step that failed; None when nothing fits for certain.

    Args:
        loaded: the subject.
        program, outcome: what failed.
        ignore: elements of the first parameter that are not judged.
        in_subject: called with True before and False after control is handed to the subject.
        kinds: the only kinds of cause to look for; less evidence is then asked for.
    """
    if not outcome.mismatches or math.isnan(outcome.mismatches[0].exact):
        return None
    scalars = outcome.scalars
    for _ in range(2):
        choices: dict[str, Any] = {"scalars": scalars, "ignore": ignore, "in_subject": in_subject}
        witness = Witness(loaded, program, outcome.mismatches[0], **choices)
        witness.run()
        with quiet():
            found = _chosen(witness, kinds)
            if found and not kinds:
                found = _sure(found, witness, choices)
        if found:
            return _told(found)
        lower = scalar_dtype(witness) if witness.optimizer is not None else None
        if lower in (None, scalars):
            return None
        # scalars that live in tensors may have been rounded there
        scalars = lower
    return None


def _told(found: list[Hypothesis]) -> Cause:
    first = found[0]
    reasons = [h.reason for h in found if h.reason]
    text = first.text.replace(first.reason, " or ".join(reasons)) if len(reasons) > 1 else first.text
    return Cause(tuple(h.kind for h in found), text)


def _sure(found: list[Hypothesis], witness: Witness, choices: Mapping[str, Any]) -> list[Hypothesis]:
    """The constructor usually gets what group 0 has; to tell them apart it gets other numbers, in one more run."""
    if found[0].family != "group" or found[0].source != 0:
        return found
    apart = Witness(witness.loaded, witness.program, witness.mismatch, apart=True, **choices)
    apart.run()
    return _chosen(apart, (found[0].kind.replace("group", "constructor"),), exactly=True) or found


def with_cause(
    loaded: LoadedSubject,
    cause: Cause | None,
    program: Program,
    outcome: Outcome,
    *,
    ignore: Sequence[int] = (),
    in_subject: Callable[[bool], Any] | None = None,
) -> Outcome:
    """The outcome of a program that was made smaller, with the cause found in the whole one, in its own numbers."""
    if cause is None or not outcome.mismatches:
        return outcome
    again = find_cause(loaded, program, outcome, ignore=ignore, in_subject=in_subject, kinds=cause.kinds)
    text = f"{cause.text} (in the program before it was made smaller)"
    if again:
        text = (
            again.text
            if set(again.kinds) <= set(cause.kinds)
            else f"{again.text} (before it was made smaller: {cause.text})"
        )
    return replace(outcome, mismatches=[replace(m, cause=text) for m in outcome.mismatches])


def _chosen(witness: Witness, kinds: tuple[str, ...], exactly: bool = False) -> list[Hypothesis]:
    """What explains the failing step and most of the other ones; several if nothing tells them apart."""
    moments = witness.moments
    anchor = next((m for m in moments if m.is_at(witness.mismatch)), None)
    if anchor is None:
        return []
    fitting = _fitting(anchor, witness, kinds)
    if kinds:
        fitting = [h for h in fitting if h.kind in kinds] or ([] if exactly else fitting)
    else:
        fitting = [h for h in fitting if anchor.is_determined(h)]
        fitting = [h for h in fitting if not h.holds_always or all(m.agrees(h) for m in moments)]
        fitting = [h for h in fitting if not h.fact] or fitting
    if len(fitting) < 2:
        return fitting
    explained = [sum(m.agrees(h) for m in moments) for h in fitting]
    best = [h for h, count in zip(fitting, explained, strict=True) if count == max(explained)]
    return [h for h in best if h is best[0] or (h.reason and best[0].reason and h.family == best[0].family)]


def _fitting(anchor: Moment, witness: Witness, kinds: tuple[str, ...]) -> list[Hypothesis]:
    """All hypotheses that explain one moment, from most to least likely."""
    families = {k.split("/")[0] for k in kinds}

    def among(hypotheses: Iterable[Hypothesis], least: float) -> list[Hypothesis]:
        wanted = (h for h in hypotheses if not kinds or h.family in families)
        return [h for h in wanted if anchor.evidence(h) >= (KNOWN if kinds else least)]

    found = among(anchor.hypotheses, ENOUGH)
    if not found:
        found = among(anchor.unmoved(), ENOUGH)
    # where the rule is right for another parameter, a number is wrong here rather than the equations
    if not found and (kinds or witness.right - {anchor.scene.parameter}):
        # one element is used up by the solution
        found = among(anchor.solved(), ENOUGH + MOST_BITS_PER_ELEMENT)
    return found
