"""What is known of the failures of one cell, so that an expected one hides as little as possible.

An expected failure is known by its kind (what goes wrong) and its triggers: the features of its program without
which it does not appear. A failing program that has all of them is tried again with each trigger taken away;
what still fails then is another failure. What only shows together with a trigger cannot be told apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from verify.expectations import Expectation, kind
from verify.outcome import Outcome
from verify.program import Program
from verify.subject import LoadedSubject
from verify.triggers import Feature, features, is_situation, named, without

if TYPE_CHECKING:
    from verify.checks.context import Finding

Judge = Callable[[Program], Outcome]
# programs that one failure is tried as, each lacking a trigger
MOST_PLAINER = 12
# stands for all quantities of the rule
ANY_QUANTITY = "any quantity"
# situations that every program is in, more or less
ORDINARY = {("shape", "several"), ("steps", "several"), ("gradient", "zero"), ("parameters", "several")}
# features that are undone by adding something
ABSENCES = ("zero", "missing", "0-d", "empty")


def _kinds_told(message: str) -> frozenset[str]:
    """The kind of a failure, from what was found."""
    raised = kind(message).removeprefix("the subject ")
    return frozenset({raised if raised.startswith("raised ") else _promise(message)})


def _told(expectation: Expectation) -> frozenset[Feature]:
    """The triggers that are written down."""
    return frozenset(named(text) for text in expectation.triggers)


def kinds(outcome: Outcome) -> frozenset[str]:
    """What went wrong: the quantities that are outside, the exception's type, or the broken promise."""
    if outcome.error is not None:
        return frozenset({f"raised {outcome.error.split(':')[0]}"})
    if outcome.broken is not None:
        return frozenset({_promise(outcome.broken)})
    return frozenset(f"{m.quantity} {kind(m.note)}" for m in outcome.mismatches)


def _promise(message: str) -> str:
    """The first words of a broken promise."""
    return " ".join(kind(message).split(",")[0].split("#")[0].split())


@dataclass
class Known:
    """One expectation in one cell.

    Args:
        index: its place in the list of the run.
        program: what shows the failure here; None until it is known.
        kinds, triggers: by which the failure is known again.
        finding: the failure, once it was seen.
        passed: whether its program was run and did not fail.
    """

    index: int
    expectation: Expectation
    program: Program | None = None
    kinds: frozenset[str] = frozenset()
    triggers: frozenset[Feature] = frozenset()
    finding: Finding | None = None
    passed: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the first failure that comes is meant."""
        return self.finding is None and self.program is None and not self.expectation.message

    def is_of(self, outcome: Outcome) -> bool:
        """Whether an outcome is of the kind of this failure."""
        return bool(self.kinds & kinds(outcome)) or (ANY_QUANTITY in self.kinds and bool(outcome.mismatches))


@dataclass
class Expected:
    """The expectations of one cell.

    Args:
        entries: those that speak of the cell.
        loaded: the subject.
        as_expected: programs that fail as expected, and pass without the triggers.
        unseparated: programs that fail as expected, and could not be tried without the triggers.
    """

    entries: list[Known] = field(default_factory=list)
    loaded: LoadedSubject | None = None
    as_expected: int = 0
    unseparated: int = 0
    _awake: bool = False

    @classmethod
    def in_cell(cls, given: Sequence[tuple[int, Expectation]], loaded: LoadedSubject, place: dict[str, str]):
        """What is expected in a cell; ``place`` is its dtype, device and implementation."""
        from verify.program_json import from_json

        entries = []
        for index, e in given:
            program = None if e.program is None else replace(from_json(e.program), **place)  # type: ignore[arg-type]
            entries.append(Known(index, e, program))
        return cls(entries, loaded)

    def wake(self, judge: Judge) -> None:
        """Run the programs of all entries, to see which still fail."""
        if self._awake:
            return
        self._awake = True
        for entry in self.entries:
            if entry.program is not None:
                outcome = judge(entry.program)
                if outcome.failed:
                    self._learn(entry, entry.program, outcome, judge)
                else:
                    entry.passed = True
                    if entry.expectation.flaky and entry.expectation.triggers:
                        entry.kinds = _kinds_told(entry.expectation.message)
                        entry.triggers = _told(entry.expectation)

    def _learn(self, entry: Known, program: Program, outcome: Outcome, judge: Judge) -> None:
        """Keep what a failure is known by; what is written down of its triggers is not found out anew."""
        assert self.loaded is not None
        entry.program, entry.kinds = program, kinds(outcome)
        entry.finding = self._finding(program, outcome)
        entry.triggers = _told(entry.expectation) or self._needed(program, entry.kinds, judge)
        if outcome.mismatches and any(is_situation(f, self.loaded) for f in entry.triggers - ORDINARY):
            # what depends on a situation may show in any quantity
            entry.kinds |= {ANY_QUANTITY}

    def _finding(self, program: Program, outcome: Outcome) -> Finding:
        from verify.checks.context import Finding
        from verify.finding import message_for

        assert self.loaded is not None
        message = message_for(self.loaded, program, outcome)
        return Finding(message, program, list(outcome.mismatches), outcome.error, outcome.broken)

    def _needed(self, program: Program, wrong: frozenset[str], judge: Judge) -> frozenset[Feature]:
        """Features without which a program does not go wrong."""
        assert self.loaded is not None
        needed = set()
        # what takes nothing away comes last, and only to see: otherwise another failure might come in
        for feature in sorted(features(program, self.loaded), key=lambda f: (f[1] in ABSENCES, f)):
            for plainer in without(program, feature, self.loaded):
                if wrong & kinds(judge(plainer)):
                    program = program if feature[1] in ABSENCES else plainer
                    break
            else:
                needed.add(feature)
        return frozenset(needed) & features(program, self.loaded)

    def other(self, program: Program, outcome: Outcome, judge: Judge) -> tuple[Program, Outcome] | None:
        """What is not expected in a failure: the program, or one without the triggers of what is expected.

        Returns:
            a failing program with its outcome, or None where all is expected.
        """
        met = self._met_by(program, outcome)
        if not met:
            return program, outcome
        seen = False
        for plainer in islice(self._plainer(program, met), MOST_PLAINER):
            found = judge(plainer)
            seen = seen or not (found.failed or found.unsupported or found.refused)
            if found.failed and not self._met_by(plainer, found):
                return plainer, found
        for entry in met:
            if entry.finding is None:
                entry.finding = self._finding(program, outcome)
        self.as_expected += seen
        self.unseparated += not seen
        return None

    def _met_by(self, program: Program, outcome: Outcome) -> list[Known]:
        """Entries whose failure this is."""
        alive = [e for e in self.entries if e.kinds]
        if not alive:
            return []
        assert self.loaded is not None
        own = features(program, self.loaded)
        return [e for e in alive if e.is_of(outcome) and e.triggers <= own]

    def _plainer(self, program: Program, met: list[Known]) -> Iterator[Program]:
        """Programs in which a trigger of every entry is missing."""
        assert self.loaded is not None
        own = features(program, self.loaded)
        entry = next((e for e in met if e.triggers <= own), None)
        if entry is None:
            yield program
            return
        for trigger in sorted(entry.triggers):
            for plainer in without(program, trigger, self.loaded):
                yield from self._plainer(plainer, [e for e in met if e is not entry])

    def only_new(self, judge: Judge) -> Judge:
        """A judge to whom expected failures are none, so that a new one does not shrink to an old one."""

        def only_new(program: Program) -> Outcome:
            outcome = judge(program)
            return Outcome() if outcome.failed and self._met_by(program, outcome) else outcome

        return only_new if self.entries else judge

    def takes(self, finding: Finding, whole: Program, outcome: Outcome, judge: Judge) -> bool:
        """Whether an entry that has no program yet stands for a new finding, which shrank from a whole program."""
        entry = next((e for e in self.entries if e.is_open), None)
        small = finding.program and judge(finding.program)
        if entry is None or not small or not small.failed:
            return False
        assert finding.program is not None
        assert self.loaded is not None
        self._learn(entry, finding.program, small, judge)
        entry.finding, entry.kinds = finding, entry.kinds | kinds(outcome)
        entry.triggers &= features(whole, self.loaded)
        return True

    def settle(self, findings: list[Finding]) -> list[Finding]:
        """Findings that are not expected, of those that a check made without a judge."""
        left = []
        for finding in findings:
            entry = next((e for e in self.entries if self._stands_for(e, finding)), None)
            if entry is None:
                left.append(finding)
            else:
                entry.finding, entry.passed = finding, False
        return left

    def _stands_for(self, entry: Known, finding: Finding) -> bool:
        if entry.is_open:
            return True
        told = entry.expectation.message
        return entry.program == finding.program and bool(told) and kind(told) == kind(finding.message)
