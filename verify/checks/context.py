"""What a check is given, what it returns, and the search that most checks share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from verify.budgets import BUDGETS, Budget
from verify.cause import find_cause, with_cause
from verify.curve import Curve
from verify.known import Expected
from verify.memory import Memory
from verify.oracle import LockStep, run_program, scalar_dtype
from verify.outcome import Mismatch, Outcome, Seconds
from verify.program import Filling, Program, Step
from verify.reduce import reduce_program
from verify.shaped import shaped
from verify.sparsely import has_sparse, sparsely
from verify.subject import LoadedSubject
from verify.triggers import misfit


@dataclass
class Finding:
    """A claim refuted: the smallest program and what happened in it.

    Args:
        message: what is wrong, in a few lines.
        program: what shows it.
        mismatches, error: the numbers that are outside, or the exception that was raised.
        broken: the promise that is broken, in a sentence.
        low_state: key of a state tensor whose dtype is too low.
        ended: the subject did not return, or took the process with it. With none of these the finding
            is a side effect on torch or on stdout.
    """

    message: str
    program: Program | None = None
    mismatches: list[Mismatch] = field(default_factory=list)
    error: str | None = None
    broken: str | None = None
    low_state: str = ""
    ended: bool = False


@dataclass
class Report:
    """What became of one cell."""

    status: str = "passed"
    reason: str = ""
    worst_ratio: float | None = None
    worst_quantity: str = ""
    not_verified: int = 0
    programs: int = 0
    element_steps: int = 0
    seconds: Seconds = field(default_factory=Seconds)
    notes: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    speed: dict[str, float] = field(default_factory=dict)
    performance: dict[str, Any] = field(default_factory=dict)
    power: dict[str, Any] = field(default_factory=dict)

    def record(self, outcome: Outcome, counts=("p",)) -> None:
        """Add the figures of one program."""
        self.programs += 1
        self.element_steps += outcome.element_steps
        self.not_verified += outcome.not_verified
        self.seconds.add(outcome.seconds)
        if outcome.worst and not outcome.failed:
            # what an outcome was given as the worst so far is part of its own worst
            self.worst_quantity, self.worst_ratio = max(outcome.worst.items(), key=lambda item: item[1])
        if outcome.refused:
            note = f"the constructor refuses some values that the rule allows: {outcome.refused}"
            if note not in self.notes:
                self.notes.append(note)
        if outcome.scalars != "float64":
            note = f"numbers common to all elements were judged in {outcome.scalars}, as the subject keeps them"
            if note not in self.notes:
                self.notes.append(note)
        if outcome.matrices:
            note = f"functions of matrices were judged in {outcome.matrices}, in which the subject computes them"
            if note not in self.notes:
                self.notes.append(note)

    def fail(self, finding: Finding) -> Report:
        self.status = "failed"
        self.reason = finding.message.splitlines()[0]
        self.findings.append(finding)
        return self

    def not_applicable(self, reason: str) -> Report:
        self.status, self.reason = "not-applicable", reason
        return self


@dataclass
class Context:
    """The subject in one cell.

    Args:
        editable: hyperparameters that live in param groups.
        in_subject: tells the watchdog when the subject has control.
        worst, scalars: worst ratios so far, and the precision in which scalars are judged.
        bitwise: for every pair of runs that was compared, whether they were equal bit for bit.
        curve: errors of the parameter over its magnitude.
        expected: failures that are expected here.
        memory: programs that failed here in earlier runs.
        diagnoses: whether a failed comparison is tried against the known mistakes in the rule, which takes seconds.
    """

    loaded: LoadedSubject
    dtype: str
    device: str
    implementation: str
    budget: Budget
    seed: int
    editable: tuple[str, ...] = ()
    in_subject: Callable[[bool], None] = lambda inside: None
    worst: dict[str, float] = field(default_factory=dict)
    scalars: str = "float64"
    bitwise: list[bool] = field(default_factory=list)
    curve: Curve = field(default_factory=Curve)
    expected: Expected = field(default_factory=Expected)
    memory: Memory = field(default_factory=Memory)
    diagnoses: bool = False

    def run(self, program: Program, judge: str = "all", ignore: Sequence[int] = ()) -> Outcome:
        outcome = run_program(
            self.loaded,
            program,
            scalars=self.scalars,
            judge=judge,
            ignore=ignore,
            worst=self.worst,
            in_subject=self.in_subject,
            curve=self.curve.wants_more,
        )
        if outcome.curve is not None:
            self.curve.merge(outcome.curve)
        if not outcome.failed:
            # once a subject has shown that it computes scalars in tensors, it is judged so
            self.worst, self.scalars = dict(outcome.worst), outcome.scalars
        return outcome

    def settle_scalars(self) -> None:
        """Find out in which precision scalars are computed where they are tensors by design."""
        if self.implementation in ("differentiable", "capturable") and self.loaded.rule.known:
            values = {k: v for k, v in self.loaded.rule.defaults.items() if k not in self.loaded.fixed}
            one = self.program(groups=(values,), operations=(Step((Filling(values=(1.0,)),)),))
            run = LockStep(self.loaded, one, judge="p", in_subject=self.in_subject)
            run.run()
            self.scalars = scalar_dtype(run) or "float64"

    def program(self, **parts: Any) -> Program:
        """A program that runs where this cell is; ``parts`` are fields of :class:`Program`."""
        program = shaped(Program(self.dtype, self.device, self.implementation, **parts), self.loaded.rule)
        return sparsely(program) if self.loaded.sparse_alone else program

    @property
    def place(self) -> dict[str, str]:
        return {"dtype": self.dtype, "device": self.device, "implementation": self.implementation}

    @property
    def strategy_arguments(self) -> dict:
        return {
            **self.place,
            "fixed": self.loaded.fixed,
            "options": () if self.loaded.rule.kind else tuple(self.loaded.options),
            "sparse_alone": self.loaded.sparse_alone,
        }

    def refute(
        self, report: Report, program: Program, outcome: Outcome, judge: Judge | None = None, ignore: Sequence[int] = ()
    ) -> bool:
        """Shrink a failing program and record it, unless the failure is an expected one.

        Returns:
            whether the check has to stop here.
        """
        judge = _careful(judge or (lambda p: self.run(p, ignore=ignore)))
        self.expected.wake(judge)
        while (left := self.expected.other(program, outcome, judge)) is not None:
            finding = shrink(self, *left, self.expected.only_new(judge), ignore)
            if not self.expected.takes(finding, *left, judge):
                report.fail(finding)
                if finding.program is not None:
                    self.memory.keep(finding.program)
                return True
        return False

    def begin(self, report: Report, judge: Judge) -> bool:
        """Run what failed before: the programs of expected failures, and those of earlier runs.

        Returns:
            whether the check has to stop here.
        """
        judge = _careful(judge)
        self.expected.wake(judge)
        for program in self.memory.recall():
            if misfit(program, self.loaded):
                self.memory.forget(program)
                continue
            outcome = judge(program)
            report.record(outcome)
            if not outcome.failed:
                self.memory.forget(program)
            elif self.refute(report, program, outcome, judge):
                return True
        return False


Judge = Callable[[Program], Outcome]


def _careful(judge: Judge) -> Judge:
    """A judge for programs that its check did not make: where it cannot judge one, that shows nothing."""

    def careful(program: Program) -> Outcome:
        try:
            return judge(program)
        except (IndexError, KeyError, ValueError, StopIteration, AttributeError):
            return Outcome(unsupported="it is no program for this check")

    return careful


class _Stop(Exception):
    """Ends a search."""


def search(
    context: Context,
    report: Report,
    programs: st.SearchStrategy[Program],
    most: int,
    *,
    judge: Judge | None = None,
    salt: int = 0,
) -> bool:
    """Judge drawn programs until one fails or ``most`` were tried; shrink and record a failure.

    Args:
        judge: runs one program; the lock-step oracle by default.

    Returns:
        whether the check has to stop.
    """
    judge = judge or context.run
    if context.begin(report, judge):
        return True
    stopped = False
    started, inside = time.perf_counter(), 0.0

    def trial(program: Program) -> None:
        nonlocal inside, stopped
        if stopped:
            raise _Stop  # Hypothesis runs what failed once more
        begin = time.perf_counter()
        outcome = judge(program)
        inside += time.perf_counter() - begin
        report.record(outcome)
        if outcome.failed:
            stopped = context.refute(report, program, outcome, judge)
            if stopped:
                raise _Stop

    driven = settings(
        max_examples=most,
        phases=[Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )(given(programs)(trial))
    try:
        seed((context.seed << 8) + salt)(driven)()
    except _Stop:
        pass
    except Unsatisfiable:
        report.status, report.reason = "skipped", "no valid hyperparameters could be drawn"
    # what is not spent in the oracle is spent drawing
    report.seconds.generation += time.perf_counter() - started - inside
    return stopped


def try_all(context: Context, report: Report, programs: Iterable[Program], judge: Judge | None = None) -> bool:
    """As :func:`search`, for programs that are given."""
    judge = judge or context.run
    if context.begin(report, judge):
        return True
    for program in programs:
        outcome = judge(program)
        report.record(outcome)
        if outcome.failed and context.refute(report, program, outcome, judge):
            return True
    return False


def shrink(context: Context, program: Program, outcome: Outcome, judge: Judge, ignore: Sequence[int] = ()) -> Finding:
    """A finding with the smallest program that shows the same failure."""
    from verify.diagnosis import diagnose
    from verify.finding import message_for

    cause = find_cause(context.loaded, program, outcome, ignore=ignore, in_subject=context.in_subject)
    small, found = reduce_program(program, outcome, judge, context.loaded)
    if found.mismatches:
        found = _with_all_quantities(context, small, found, ignore)
        found = with_cause(context.loaded, cause, small, found, ignore=ignore, in_subject=context.in_subject)
    diagnosis = diagnose(context, program, outcome) if context.diagnoses else None
    if diagnosis and found.mismatches:
        # what fits every step of several programs takes the place of what fits one
        found = replace(found, mismatches=[replace(m, cause="") for m in found.mismatches])
    message = message_for(context.loaded, small, found)
    if diagnosis:
        first, _, rest = message.partition("\n")
        message = f"{first}\ndiagnosis   {diagnosis.text}\n{rest}"
    return Finding(message, small, list(found.mismatches), found.error, found.broken)


def _with_all_quantities(context: Context, program: Program, found: Outcome, ignore: Sequence[int]) -> Outcome:
    """Judge every quantity once more, to say which goes wrong first."""
    whole = context.run(program, "all", ignore)
    if whole.mismatches and whole.mismatches[0].operation == found.mismatches[0].operation:
        main = [m for m in whole.mismatches if m.quantity == found.mismatches[0].quantity]
        if main:
            first = replace(found.mismatches[0], agrees=main[0].agrees)
            others = [m for m in whole.mismatches if m.quantity != first.quantity]
            return replace(found, mismatches=[first, *others])
    return found


def context_for(loaded: LoadedSubject, program: Program) -> Context:
    """The cell in which a program runs, for judging it again outside a certification."""
    context = Context(
        loaded, program.dtype, program.device, program.implementation, BUDGETS["quick"], 0, loaded.editable()
    )
    if has_sparse(program.operations):
        loaded.find_sparse_alone()
    context.settle_scalars()
    return context
