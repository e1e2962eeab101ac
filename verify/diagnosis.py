"""Which mistake in the formula it is: the variant of the rule that the subject really follows.

The subject is run again, on the program that failed and on a few others, with each variant (reference.variants) in
the place of the rule. A variant is the diagnosis when every step of every program is inside the variant's own
allowance; pairs of variants follow when no single one fits.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from reference.rounding import PRECISIONS
from verify.driver import quiet
from verify.oracle import LockStep, run_program
from verify.outcome import Outcome
from verify.program import Filling, Parameter, Program, Step, element_count
from verify.shaped import fitting, lanes_for
from verify.sparsely import has_sparse, sparsely
from verify.subject import LoadedSubject

if TYPE_CHECKING:
    from reference.variants import Variant
    from verify.checks.context import Context
    from verify.identify import Match

# seconds in one process, with those in which the variants are made, and the share of single ones
SECONDS = 8.0
SINGLES = 0.6
MOMENT = 0.5
# of each program
STEPS_RECORDED = 2
MOST_LANES = 256
# of as many elements, for rules that take a matrix in another way than a vector
MATRIX = (8, 32)
SQUARE = (16, 16)
MOST_STEPS = 8
MOST_NAMED = 3
MOST_PROGRAMS = 8
# long enough for what begins late, such as RAdam's rectification
GENERIC_STEPS = 8
GENERIC = (0.37, 0.61, 0.83, 0.23, 0.47, 0.71, 0.29)


@dataclass(frozen=True)
class Diagnosis:
    """What the subject computes instead of the rule.

    Args:
        variants: names of the variants that fit, the most likely first; a pair is two joined by ``+``.
        text: one line for people.
    """

    variants: tuple[str, ...]
    text: str


def diagnose(context: Context, program: Program, outcome: Outcome) -> Diagnosis | None:
    """The variant or pair of variants that fits every step; None where none does.

    Args:
        context: the cell in which the rule was refuted.
        program, outcome: what failed, as it was before it was made smaller.
    """
    from reference.variants import each_variant, lazy_variants, pairs
    from verify.checks.programs import sweep

    if context.loaded.rule.kind == "quasi_newton":
        from verify.quasi_newton import mistakes

        return mistakes.diagnose(context, program, outcome)
    if not outcome.mismatches or not context.loaded.rule.known:
        return None
    first = outcome.mismatches[0]
    if first.note:
        return None
    group = program.parameters[first.parameter].group
    generic = list(generic_programs(context, program.options_of(group), program.groups[group]))
    if has_sparse(program.operations):
        generic = [p for p in map(sparsely, generic) if not context.run(p).error]
    if not any(context.run(p).failed for p in generic):
        return None  # the formula is right, and what is wrong is what it was applied to
    programs = [_shorter(context, program, outcome), *generic]
    swept = list(sweep(context))
    if has_sparse(program.operations):
        swept = [p for p in map(sparsely, map(few_lanes, swept)) if not context.run(p).error]
    programs += [few_lanes(p) for p in spread(swept, MOST_PROGRAMS - len(programs))]
    trial = Trial(context, programs)
    known = _remembered(context)
    fit = [variant for variant in known if trial.fits(variant.rule)]
    if fit:
        return trial.told(fit)
    singles: Iterable[Variant] = each_variant(context.loaded.rule)
    if has_sparse(program.operations) and not context.loaded.rule.lazy:
        singles = chain(lazy_variants(context.loaded.rule), singles)
    title, began = context.loaded.subject.title, time.perf_counter()
    left = SECONDS - _spent.get(title, 0.0)
    if left <= 0:
        return None
    found = trial.fitting(singles, left * SINGLES)
    # on dense gradients, with which they are looked for, it may be right
    dense = not has_sparse(program.operations) or context.loaded.sparse_alone
    other = _other_rules(context) if dense and not found else []
    if not found and not other:
        found = trial.fitting(pairs(context.loaded.rule), left - (time.perf_counter() - began), most=1)
    _spent[title] = _spent.get(title, 0.0) + time.perf_counter() - began
    if other:
        return _another_rule(context, other)
    if not found:
        return None
    known += [v for v in found if v not in known]
    return trial.told(found)


def _other_rules(context: Context) -> list[Match]:
    """Known rules that the subject follows as they are, looked for once in a process."""
    from verify.identify import other_rules

    subject = context.loaded.subject
    key = subject.title, context.loaded.rule.name
    if key not in _others:
        _others[key] = other_rules(context.loaded, context.in_subject)
    return _others[key]


def _another_rule(context: Context, other: list[Match]) -> Diagnosis:
    names = " or ".join(match.told() for match in other)
    steps = other[0].steps
    text = f"matches {names}, which is another rule than {context.loaded.rule.name}: {steps} of {steps} steps"
    return Diagnosis(tuple(match.rule for match in other), text)


_others: dict[tuple[str, str], list[Match]] = {}
# what was found in this process, so that the same mistake in the next cell is looked up and not searched for
_found: dict[tuple[str, str], list[Any]] = {}
# seconds of searching, by subject
_spent: dict[str, float] = {}


def _remembered(context: Context) -> list[Any]:
    return _found.setdefault((context.loaded.subject.title, context.loaded.rule.name), [])


class _Recording(LockStep):
    """Keeps every step of the first parameter: the symbols before it, and what the subject made of them."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.steps: list[tuple[Any, dict[str, Any], dict[str, Any]]] = []

    def _compare_parameter(self, operation, index, track, after, state) -> None:
        before, carried = self._inputs(track)
        if index == 0 and not carried:
            self.steps.append((dict(self.rule_step.options), before, {"p": after, **state}))
        super()._compare_parameter(operation, index, track, after, state)


def generic_programs(
    context: Context, wanted: Mapping[str, bool] | None = None, special: Mapping[str, Any] | None = None
) -> Iterator[Program]:
    """Programs in which no two hyperparameters have values that go together by chance, for two choices of options and
    the one that is wanted; and one with special values of the hyperparameters."""
    from verify.checks.programs import choices_of, fitted

    rule, loaded = context.loaded.rule, context.loaded
    values = {}
    for number, h in enumerate(h for h in rule.hyperparameters if h.name not in loaded.fixed):
        ratio = GENERIC[number % len(GENERIC)]
        active = next((x for x in h.trials if x), h.default)
        tried = (h.low + ratio * (h.high - h.low) if math.isfinite(h.high - h.low) else active * ratio, active)
        values[h.name] = next((x for x in tried if h.contains(x) and not h.integer), active)
    options = choices_of(context)
    chosen = [*options[:1], *options[-1:]]
    if wanted is not None:
        chosen += [o for o in options if dict(o) == dict(wanted)]
    for number, choice in enumerate({tuple(sorted(o.items())): o for o in chosen}.values()):
        fitting = fitted(loaded, values, choice)
        if fitting is not None:
            yield from _generic(context, fitting, choice, number)
    usual = fitted(loaded, {name: rule.defaults[name] for name in values}, options[0]) if options else None
    if usual is not None:
        # at which rules take the cases that are meant for a long run
        yield from _generic(context, usual, options[0], len(chosen) + 1, ordinary=True)
    if special is not None and wanted is not None:
        yield from _generic(context, {name: special[name] for name in values if name in special}, wanted, len(chosen))


def _generic(
    context: Context, values: Mapping[str, Any], options: Mapping[str, bool], number: int, ordinary: bool = False
) -> Iterator[Program]:
    def filling(start: int) -> Filling:
        if context.loaded.rule.is_elementwise and not ordinary:
            return Filling(start)
        # one number at the end of the range would be all that a norm sees of the others
        return Filling(values=tuple(np.random.default_rng(start).standard_normal(MOST_LANES).round(4)))

    rule = context.loaded.rule
    shapes: tuple[tuple[int, ...], ...] = ((lanes_for(rule, MOST_LANES),),)
    if any(o.of_shape for o in rule.options):
        # the matrix first: what takes it for a vector is right for vectors
        shapes = (MATRIX, (MOST_LANES,))
    elif not rule.is_elementwise and rule.dimensions is None:
        # rows and columns are something to a rule whose elements act on each other
        shapes = (SQUARE,)
    for shape in shapes:
        yield context.program(
            groups=(dict(values),),
            options=dict(options),
            parameters=(Parameter(shape, 0, filling(9000 + number)),),
            operations=tuple(Step((filling(1234 * k + 77),)) for k in range(GENERIC_STEPS)),
        )


class Trial:
    """The subject and the programs that a variant has to fit."""

    def __init__(self, context: Context, programs: list[Program]):
        self.context, self.programs = context, programs
        self.recorded: list[tuple[Any, dict[str, Any], dict[str, Any]]] = []
        for program in programs:
            recording = _Recording(context.loaded, program, scalars=context.scalars, in_subject=context.in_subject)
            recording.run()
            self.recorded += recording.steps[-STEPS_RECORDED:]
        self.steps = sum(isinstance(op, Step) for p in programs for op in p.operations)

    def may_fit(self, rule: Any) -> bool:
        """A quick look at recorded steps, in float64, that leaves out nearly all that do not fit."""
        from reference.variants import resembles

        unit = PRECISIONS[self.context.dtype].unit
        with quiet():
            return all(resembles(rule.step(options), before, after, unit) for options, before, after in self.recorded)

    def fits(self, rule: Any) -> bool:
        """Whether the subject follows a rule in every step of every program."""
        loaded: LoadedSubject = copy.copy(self.context.loaded)
        loaded.rule = rule
        verified = False
        for program in self.programs:
            outcome = run_program(loaded, program, scalars=self.context.scalars, in_subject=self.context.in_subject)
            if outcome.failed or outcome.unsupported:
                return False
            if outcome.refused:
                continue
            verified = verified or 2 * outcome.not_verified < outcome.element_steps
        return verified

    def fitting(self, candidates: Iterable[Variant], seconds: float, most: int = MOST_NAMED) -> list[Variant]:
        """The first few variants that fit, tried for so long."""
        found: list[Variant] = []
        ends = time.perf_counter() + seconds
        for variant in candidates:
            if len(found) == most or time.perf_counter() > ends:
                break
            if self.may_fit(variant.rule) and self.fits(variant.rule):
                # the likely ones come first: others that fit as well are looked for a moment longer
                ends = min(ends, time.perf_counter() + MOMENT)
                found.append(variant)
        return found

    def told(self, found: list[Any]) -> Diagnosis:
        sentences = " or ".join(v.sentence for v in found)
        rule = self.context.loaded.rule.name
        text = f"matches {rule} where {sentences}: {self.steps} of {self.steps} steps"
        return Diagnosis(tuple(v.name for v in found), text)


def spread(programs: list[Program], most: int) -> list[Program]:
    """A few of many, from all over."""
    if most < 1:
        return []
    stride = max(1, len(programs) // most)
    return programs[::stride][:most]


def few_lanes(program: Program) -> Program:
    """The program with few elements and steps."""
    parameters = tuple(
        replace(p, shape=fitting((MOST_LANES,), len(p.shape))) if element_count(p.shape) > MOST_LANES else p
        for p in program.parameters
    )
    return replace(program, parameters=parameters, operations=program.operations[:MOST_STEPS])


def _shorter(context: Context, program: Program, outcome: Outcome) -> Program:
    """The failing program with fewer elements and steps, where it still fails so."""
    last = outcome.mismatches[0].operation + 1
    program = program.with_operations(program.operations[: last + 2])
    for candidate in _candidates(program):
        if context.run(candidate).mismatches:
            return candidate
    return program


def _candidates(program: Program) -> Iterator[Program]:
    yield few_lanes(program)
    yield replace(few_lanes(program), operations=program.operations)
