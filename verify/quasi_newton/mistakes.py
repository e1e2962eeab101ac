"""The known ways to get a quasi-Newton rule wrong: which a run would have caught, and which one a subject makes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from reference.quasi_newton.conventions import Conventions
from reference.quasi_newton.variants import VARIANTS
from verify.driver import quiet
from verify.outcome import Outcome
from verify.power import Power
from verify.program import Program, Reload
from verify.quasi_newton.judge import Broken, Recording, Trace, judge, read
from verify.quasi_newton.player import Player
from verify.quasi_newton.programs import CLAIMS
from verify.subject import LoadedSubject, Subject, load

if TYPE_CHECKING:
    from verify.checks.context import Context
    from verify.diagnosis import Diagnosis

# for one diagnosis
SECONDS = 8.0
# a mistake in these shows in what is done, and not in how often it is asked for
FORMULA = ("move", "search", "stop")


def player_of(loaded: LoadedSubject, conventions: Conventions) -> LoadedSubject:
    """A way to do it, with the arguments that a subject takes."""
    player = load(Subject(partial(Player, conventions=conventions), loaded.rule.name, arguments=_given(loaded)))
    return player


def _given(loaded: LoadedSubject) -> dict:
    """Constructor arguments that the user fixed, by torch's names."""
    own = {h.name for h in loaded.rule.hyperparameters} | {"line_search_fn"}
    return {k: v for k, v in loaded.subject.arguments.items() if k in own}


def concerned(loaded: LoadedSubject) -> tuple[Conventions, ...]:
    """The variants that can concern a subject: without a line search, no condition of it."""
    searches = "strong_wolfe" in loaded.options or loaded.rule.step().options["strong_wolfe"]
    return tuple(v for v in VARIANTS if searches or not v.of_search)


def measure(context: Context) -> Power:
    """Which variants the programs of a run tell apart."""
    power = Power()
    by_claim = [[(p, claim.kinds) for p in playable(claim.offered(context))] for claim in CLAIMS.values()]
    programs = [x for x in chain.from_iterable(zip_longest(*by_claim)) if x is not None]
    for variant in concerned(context.loaded):
        power.known[variant.name] = variant.sentence
        player = player_of(context.loaded, variant)
        if not any(_caught(player, program, kinds) for program, kinds in programs):
            power.missed[variant.name] = "no minimisation of the run shows it"
    return power


def playable(programs: list[Program]) -> list[Program]:
    """Those that a player can do: it cannot be saved."""
    return [p for p in programs if not any(isinstance(op, Reload) for op in p.operations)]


def _caught(player: LoadedSubject, program: Program, kinds: tuple[str, ...]) -> bool:
    with quiet():
        return judge(player, program, kinds)[0].failed


def diagnose(context: Context, program: Program, outcome: Outcome) -> Diagnosis | None:
    """The first variant that fits every minimisation of a subject that does not fit the rule; None where none does."""
    from verify.diagnosis import Diagnosis

    if not isinstance(outcome.broken, Broken) or outcome.broken.violation.kind not in FORMULA:
        return None
    began = time.perf_counter()
    traces = list(_traces(context, program))
    if not traces:
        return None
    found: list[tuple[int, Conventions]] = []
    for variant in concerned(context.loaded):
        if time.perf_counter() - began > SECONDS:
            break
        lost = _lost(traces, variant)
        if lost is not None:
            found.append((lost, variant))
    if not found:
        return None
    fewest = min(lost for lost, _ in found)
    variants = [variant for lost, variant in found if lost == fewest]
    sentences = " or ".join(f"{v.sentence} ({v.name})" for v in variants)
    told = f"matches {context.loaded.rule.name} where {sentences}: {sum(len(t.calls) for t in traces)} calls of step()"
    return Diagnosis(tuple(v.name for v in variants), told)


def _traces(context: Context, program: Program) -> Iterator[Trace]:
    """What the subject does in the program that failed, and in others."""
    by_claim = [CLAIMS[id].offered(context) for id in ("rule.direction", "rule.curvature", "rule.line_search")]
    others = [p for p in chain.from_iterable(zip_longest(*by_claim)) if p is not None]
    for p in (program, *others):
        run = Recording(context.loaded, p, in_subject=context.in_subject)
        if not run.run().failed:
            yield run.trace


def _lost(traces: list[Trace], variant: Conventions) -> int | None:
    """In how many traces a variant's history depends on rounding; None where it does not fit, or explains nothing.

    The first trace is what failed, and must be explained to its end.
    """
    lost = 0
    for k, trace in enumerate(traces):
        reading = read(trace, variant)
        lost += reading.lost
        if any(v.kind in FORMULA for v in reading.violations) or (reading.lost and k == 0):
            return None
    return lost
