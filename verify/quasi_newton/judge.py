"""Run a program of minimisations, and hold its trace against the conventions of a quasi-Newton rule."""

from __future__ import annotations

import time
from dataclasses import dataclass

from reference.quasi_newton.conventions import CONVENTIONS, Conventions, Settings
from reference.quasi_newton.reading import Reading, Violation
from reference.quasi_newton.trace import Call
from reference.rounding import PRECISIONS
from verify.driver import Driver
from verify.outcome import Outcome, Sentence
from verify.program import Program
from verify.subject import LoadedSubject


class Broken(Sentence):
    """A violation as a sentence, with the expression that a script tests."""

    violation: Violation


@dataclass(frozen=True)
class Trace:
    """What was seen in one program: each call of step() with the settings that it was made with."""

    dtype: str
    calls: tuple[tuple[Settings, Call], ...]


class Recording(Driver):
    """Drives a subject and keeps the trace of every minimisation."""

    def run(self) -> Outcome:
        self.seen: list[tuple[Settings, Call]] = []
        return super().run()

    def minimised(self, call: Call) -> None:
        self.seen.append((settings_of(self.values[0], self.options[0].get("strong_wolfe"), self.loaded), call))

    @property
    def trace(self) -> Trace:
        return Trace(self.program.dtype, tuple(self.seen))


def settings_of(values, strong_wolfe: bool | None, loaded: LoadedSubject) -> Settings:
    """What an optimizer was built with, in the words of the rule."""
    chosen = loaded.rule.step().options["strong_wolfe"] if strong_wolfe is None else strong_wolfe
    whole = {"max_iter": int(values["max_iter"]), "history_size": int(values["history_size"])}
    return Settings(**{**values, **whole}, strong_wolfe=chosen)


def read(trace: Trace, conventions: Conventions = CONVENTIONS) -> Reading:
    """Hold a trace against a way to do it."""
    reading = Reading(Settings(), PRECISIONS[trace.dtype], conventions)
    for settings, call in trace.calls:
        reading.settings = settings
        reading.read(call)
    return reading


def judge(loaded: LoadedSubject, program: Program, kinds: tuple[str, ...], in_subject=None) -> tuple[Outcome, Trace]:
    """What became of a program, looking for violations of some kinds."""
    run = Recording(loaded, program, in_subject=in_subject)
    outcome = run.run()
    started = time.perf_counter()
    reading = read(run.trace)
    outcome.seconds.reference += time.perf_counter() - started
    outcome.element_steps, outcome.not_verified = reading.judged, reading.not_verified
    if not outcome.failed and not outcome.unsupported:
        outcome.worst = {"p": reading.worst}
        found = next((v for v in reading.violations if v.kind in kinds), None)
        if found is not None:
            outcome.broken = Broken(found.sentence)
            outcome.broken.violation = found
    return outcome, run.trace
