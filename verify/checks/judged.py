"""Checks that judge one program at a time, against another run of the same subject or against a promise.

They need no reference, so they can be tried on an optimizer of unknown rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from hypothesis import strategies as st

from verify.checks import check
from verify.checks.context import Context, Report, search, try_all
from verify.driver import SubjectRaised, Unsupported, quiet
from verify.outcome import Outcome, Sentence, Twin
from verify.program import Program
from verify.trajectory import Recorder, Refused, first_difference, record

Judge = Callable[[Context, Program], str | None]


def judged(
    id: str,
    claim: str,
    programs: Callable[[Context], Iterable[Program]],
    draws: Callable[[Context], st.SearchStrategy[Program]] | None = None,
    salt: int = 0,
    shrinks: bool = True,
    **facts,
) -> Callable[[Judge], Judge]:
    """Register a check whose function says what is wrong in one program, or None.

    Args:
        programs: the programs that every run tries.
        draws: strategy for further ones.
        shrinks: whether a smaller program fails as surely; what fails by chance is not made smaller.
        facts: see :class:`verify.checks.Check`.
    """

    def register(judge: Judge) -> Judge:
        def one(context: Context, program: Program) -> Outcome:
            if len(program.groups) > 1 and has_one_group(context):
                return Outcome(unsupported=f"rule {context.loaded.rule.name} has one param group")
            return outcome_of(judge, context, program)

        @wraps(judge)
        def run(context: Context) -> Report:
            report, reasons = Report(), []
            given = list(programs(context))

            def tried(program: Program) -> Outcome:
                if not shrinks and program not in given:
                    return Outcome()
                outcome = one(context, program)
                reasons.append(outcome.unsupported or outcome.refused)
                return outcome

            stopped = try_all(context, report, given, tried)
            if not stopped and draws is not None:
                search(context, report, draws(context), context.budget.programs, judge=tried, salt=salt)
            if reasons and all(reasons) and report.status == "passed":
                report.not_applicable(str(reasons[0]))
            return report

        check(id, claim, judge=one, **facts)(run)
        return judge

    return register


def outcome_of(judge: Judge, context: Context, program: Program) -> Outcome:
    """What a judge says of a program, with whatever the subject raised in it."""
    outcome = Outcome()
    with quiet():
        try:
            outcome.broken = judge(context, program)
        except SubjectRaised as error:
            said = error.args[0]
            outcome.error = said if isinstance(said, Sentence) else Sentence(said)
        except Unsupported as reason:
            outcome.unsupported = str(reason)
        except Refused as words:
            outcome.refused = str(words)
    return outcome


def run(context: Context, program: Program, make=Recorder) -> Recorder:
    """Run and record a program on the subject of a cell (see :func:`verify.trajectory.record`)."""
    return record(context.loaded, program, context.in_subject, make)


def same_bits(
    one: Recorder,
    other: Recorder,
    what: str,
    order: list[int] | None = None,
    *,
    state: bool | Callable[[Any], bool] = False,
) -> str | None:
    """None, or a sentence that says where two runs part.

    Args:
        what: how the other run differs, e.g. "with an empty group beside it".
        state: see :func:`verify.trajectory.first_difference`.
    """
    found = first_difference(one.moments, other.moments, order, state=state)
    if found is None:
        return None
    step, parameter, key, element, value, otherwise = found
    name = f"parameter {parameter}" + (f", state {key!r}" if key else "")
    text = (
        f"{what}, {name} is {otherwise:.9g} instead of {value:.9g} after step {step + 1} (element {element}); "
        "it must be the same, bit for bit"
    )
    if not (one.replayable and other.replayable):
        return text
    programs = [r.program.with_operations(r.program.operations[: r.moments[step].operation + 1]) for r in (one, other)]
    partner = order[parameter] if order else parameter
    return Sentence(text, Twin(programs[0], programs[1], parameter, element, partner, element, key))


def is_separate(context: Context) -> bool:
    """Whether a parameter must move as if it were alone; the user may say that it is not meant to."""
    return "separate" not in context.loaded.lacks


def has_one_group(context: Context) -> bool:
    """Whether the rule is of one param group, and cannot be tried on several."""
    return "add_param_group" in context.loaded.rule.lacks


def or_not_separate(context: Context, found: str | None) -> str | None:
    """What was found, with what to declare where no rule says that parameters do not depend on each other."""
    if found is None or context.loaded.rule.known:
        return found
    text = f"{found}; where parameters are meant to depend on each other, declare it with --lacks separate"
    return Sentence(text, getattr(found, "twin", None), getattr(found, "program", None))
