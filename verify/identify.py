"""Which known rule, and which variant of it, an optimizer follows: told from its steps alone.

Where the constructor's arguments go by known names, every rule is tried with hyperparameters of our own choice. Where
they do not, the subject runs with its own values, and those of each rule are estimated (verify.estimate). Either way
the oracle judges, and a name is given only where every step is inside its allowance.
"""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from reference.rule import Hyperparameter, Options, UpdateRule
from verify import estimate
from verify.budgets import BUDGETS
from verify.checks.context import Context
from verify.diagnosis import Trial, few_lanes, generic_programs, spread
from verify.driver import SubjectRaised, Unsupported, quiet
from verify.errors import UsageError
from verify.oracle import run_program
from verify.program import Edit, Filling, Parameter, Program, Repeat, Step
from verify.subject import LoadedSubject, Subject, default_rule, resolve
from verify.trajectory import Refused, record

if TYPE_CHECKING:
    from reference.variants import Variant

# seconds for all of it, with imports
SECONDS = 600.0
# seconds for variants, once with names and once without, and for hyperparameters
VARIANT_SECONDS = 12.0
ESTIMATE_SECONDS = 60.0
# rules whose variants are tried: those that come nearest
NEAREST = 3
# programs of the sweep that a rule has to fit
SWEEP = 6


@dataclass(frozen=True)
class Match:
    """A rule that fits every step.

    Args:
        rule: its name; ``variant`` is the sentence of the variant, or empty.
        steps: how many steps were judged; all of them fit.
        values: hyperparameters that were estimated.
        options: options that are not at their defaults, in words.
        matched: how many of the rule's hyperparameters and options the constructor has arguments for.
        agreeing: how many of those options have the same default.
    """

    rule: str
    steps: int
    variant: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    matched: int = 0
    agreeing: int = 0

    def told(self) -> str:
        text = self.rule + (f" where {self.variant}" if self.variant else "")
        if self.options:
            text += f" {', '.join(self.options)}"
        if self.values:
            text += " at " + ", ".join(f"{k} = {v:g}" for k, v in self.values.items())
        return text


@dataclass(frozen=True)
class Identity:
    """What an optimizer is.

    Args:
        matches: the rules that fit every step, the best first; several cannot be told apart by these steps.
        rules, variants: how many of them were tried.
        notes: what a reader should know.
    """

    subject: str
    matches: tuple[Match, ...]
    rules: int
    variants: int
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def lines(self) -> list[str]:
        """The answer in words."""
        if not self.matches:
            varied = f", nor any of {self.variants} variants of them" if self.variants else ""
            return [f"{self.subject}: none of the {self.rules} rules I know{varied}", *(f"  {n}" for n in self.notes)]
        best = self.matches[0]
        lines = [f"{self.subject}: {best.told()}", f"  {best.steps} of {best.steps} steps fit"]
        for other in self.matches[1:]:
            lines.append(f"  or {other.told()}: these steps do not tell them apart")
        return [*lines, *(f"  {n}" for n in self.notes)]


def identify(subject: Subject, in_subject=None) -> Identity:
    """Try every known rule, then variants of those whose names match, then both with estimated hyperparameters.

    Raises:
        UsageError: the subject cannot be imported or built.
    """
    from reference import RULES

    started = time.process_time()
    factory = resolve(subject.target) if isinstance(subject.target, str) else subject.target

    def told(matches: Iterable[Match], variants: int, *notes: str) -> Identity:
        return Identity(subject.title, tuple(matches), len(RULES), variants, notes, time.process_time() - started)

    trials = list(_trials(subject, factory, in_subject))
    exact = _exact(trials)
    if exact:
        return told(exact, 0)
    lane_by_lane = [t for t in trials if t.loaded.rule.is_elementwise]
    found, varied = _variants(sorted(lane_by_lane, key=lambda t: t.distance)[:NEAREST])
    if found:
        return told(found, varied)
    hidden = _Hidden(subject, factory, in_subject)
    if hidden.trouble:
        return told((), varied, hidden.trouble)
    found, more = hidden.matches()
    names = ", ".join(t.loaded.rule.name for t in trials)
    notes = [f"with values of our own it follows none whose arguments it has: {names}"] if trials else []
    if not found:
        notes.append(
            f"no hyperparameters were found in {ESTIMATE_SECONDS:g} s with which one of them moves as it does, and not "
            "all rules could be tried in that time"
            if hidden.cut_off
            else "with its own values it moves as none of them does, whatever their hyperparameters are"
        )
    return told(found, varied + more, *notes)


def other_rules(loaded: LoadedSubject, in_subject=None) -> list[Match]:
    """The known rules that a subject follows in every step, with the hyperparameters that its arguments say.

    A rule that knows fewer of them than the subject's own says nothing of what the others do.
    """
    own = set(loaded.hyperparameters)
    trials = _trials(loaded.subject, loaded.factory, in_subject)
    return _exact(t for t in trials if t.loaded.rule.name != loaded.rule.name and own <= set(t.loaded.hyperparameters))


def _trials(subject: Subject, factory, in_subject) -> Iterator[_Named]:
    for loaded in _loaded(subject, factory):
        trial = _trial(loaded, in_subject)
        if trial is not None:
            yield trial


def _exact(trials: Iterable[_Named]) -> list[Match]:
    """The best of the rules that fit as they are."""
    exact = [trial.match() for trial in trials if trial.fits(trial.loaded.rule)]
    return _best(exact) if exact else []


# -- names that are known ------------------------------------------------------------------------


def _best(matches: list[Match]) -> list[Match]:
    """The rule that accounts for most arguments; a rule that accounts for fewer is a special case of it."""
    most = max((m.matched, m.agreeing) for m in matches)
    return [m for m in matches if (m.matched, m.agreeing) == most]


def _loaded(subject: Subject, factory) -> Iterator[LoadedSubject]:
    """The subject matched with every rule whose names fit."""
    from reference import RULES

    own = default_rule(subject.target, factory)
    sparse_alone: bool | None = None
    for rule in sorted(RULES.values(), key=lambda r: r.name != own):
        try:
            loaded = LoadedSubject(replace(subject, rule=rule.name), rule, factory)
        except UsageError:
            continue
        if sparse_alone is None:
            sparse_alone = loaded.find_sparse_alone()
        loaded.sparse_alone = sparse_alone
        if rule.lazy and not sparse_alone:
            continue  # dense gradients do not tell it from the rule that it masks
        # a rule none of whose hyperparameters has an argument is left to estimation
        if loaded.hyperparameters:
            yield loaded


class _Named:
    """The subject under one rule's names, with programs to run."""

    def __init__(self, context: Context, programs: list[Program]):
        self.context, self.loaded, self.programs = context, context.loaded, programs
        self.steps = _steps(programs)
        self.matched = len(self.loaded.hyperparameters) + len(self.loaded.options)
        # AdamW is Adam with another default
        self.agreeing = sum(
            self.loaded.parameters[argument].default == option.default
            for option in self.loaded.rule.options
            if (argument := self.loaded.options.get(option.name)) in self.loaded.parameters
        )

    @cached_property
    def recorded(self) -> Trial:
        return Trial(self.context, self.programs)

    @property
    def distance(self) -> float:
        """How far from the rule the subject moves."""
        from reference.variants import distance

        with quiet():
            return float(np.mean([distance(self.loaded.rule.step(o), b, a) for o, b, a in self.recorded.recorded]))

    def fits(self, rule: UpdateRule) -> bool:
        return follows(self.loaded, rule, self.programs, self.context.in_subject)

    def match(self, variant: str = "") -> Match:
        return Match(self.loaded.rule.name, self.steps, variant, matched=self.matched, agreeing=self.agreeing)


def _trial(loaded: LoadedSubject, in_subject) -> _Named | None:
    from verify.checks.programs import sweep

    context = Context(
        loaded,
        "float64",
        "cpu",
        "for-loop",
        BUDGETS["quick"],
        0,
        loaded.editable(),
        in_subject or (lambda inside: None),
    )
    programs = [*generic_programs(context), *(few_lanes(p) for p in spread(list(sweep(context)), SWEEP))]
    return _Named(context, [*programs, *_scheduled(context, programs[:1])]) if programs else None


def _scheduled(context: Context, programs: list[Program]) -> Iterator[Program]:
    """Programs in which lr changes half-way: rules that agree while it stays part there."""
    for program in programs if "lr" in context.editable else ():
        lr = Edit(0, "lr", program.groups[0]["lr"] / 4)
        half = len(program.operations) // 2
        yield replace(program, operations=(*program.operations[:half], lr, *program.operations[half:]))


def _steps(programs: Iterable[Program]) -> int:
    return sum(isinstance(op, Step | Repeat) for p in programs for op in p.operations)


def follows(loaded: LoadedSubject, rule: UpdateRule, programs: Iterable[Program], in_subject=None) -> bool:
    """Whether every step of every program is inside the rule's allowance, and enough of them could be judged."""
    one = copy.copy(loaded)
    one.rule = rule
    judged = 0
    programs = list(programs)
    for program in programs:
        outcome = run_program(one, program, in_subject=in_subject)
        if outcome.failed or outcome.unsupported:
            return False
        # where many an allowance is too wide to judge by, the others are wide as well
        if not outcome.refused and 5 * outcome.not_verified < outcome.element_steps:
            judged += 1
    # a variant may have poles where the rule has none
    return 4 * judged > len(programs)


def _variants(trials: list[_Named]) -> tuple[list[Match], int]:
    """The first variant that fits, named mistakes before systematic ones; and how many were tried."""
    from reference.variants import variants

    ends = time.process_time() + VARIANT_SECONDS
    tried = 0
    for named in (True, False):
        for trial in trials:
            for variant in variants(trial.loaded.rule):
                if variant.named is not named:
                    continue
                if time.process_time() > ends:
                    return [], tried
                tried += 1
                if trial.recorded.may_fit(variant.rule) and trial.fits(variant.rule):
                    return [trial.match(variant.sentence)], tried
    return [], tried


# -- hyperparameters that nobody names -----------------------------------------------------------


class _Hidden:
    """The subject with its own values, and what they could be.

    Attributes:
        trouble: why nothing can be told, or empty.
        cut_off: whether time ran out before every rule was tried.
    """

    def __init__(self, subject: Subject, factory, in_subject):
        from reference import unknown_rule

        def build(params):
            return factory(params, **dict(subject.arguments))

        self.subject = Subject(build, lacks=subject.lacks)
        self.build, self.in_subject = build, in_subject
        self.programs = [estimate.probe(), *_unlike_the_probe()]
        self.steps = _steps(self.programs)
        self.moved = np.empty(0)
        self.cut_off = False
        self.trouble = ""
        try:
            seen = record(LoadedSubject(self.subject, unknown_rule({}), build), self.programs[0], in_subject)
        except (SubjectRaised, Refused, Unsupported) as error:
            self.trouble = f"it could not be run with its own values: {error}"
            return
        self.moved = np.stack([m.values[0] for m in seen.moments])
        if np.array_equal(self.moved, np.broadcast_to(estimate.start(), self.moved.shape)):
            self.trouble = "its parameter did not move with its own values, so there are no steps to tell it from"

    def matches(self) -> tuple[list[Match], int]:
        """The simplest rules that fit; where there are none, a variant; and how many variants were tried."""
        from reference import RULES

        ends = time.process_time() + ESTIMATE_SECONDS
        found: list[Match] = []
        nearest: dict[str, tuple[float, _Form]] = {}
        rank = 0
        # the search takes elements one by one
        rules = [rule for rule in RULES.values() if rule.is_elementwise and not rule.lazy]
        for form in sorted((f for rule in rules for f in _forms(rule)), key=lambda f: f.rank):
            if found and form.rank > rank:
                break
            if time.process_time() > ends:
                self.cut_off = True
                break
            error, match = self._match(form)
            if match is not None:
                rank = form.rank
                found.append(match)
            name = form.rule.name
            nearest[name] = min(nearest.get(name, (error, form)), (error, form), key=lambda x: x[0])
        if found:
            return _simplest(found), 0
        return self._variant([form for _, form in sorted(nearest.values(), key=lambda x: x[0])[:NEAREST]])

    def _match(self, form: _Form, variant: Variant | None = None) -> tuple[float, Match | None]:
        """What is left of the difference, and the form with hyperparameters if it fits."""
        rule, options = (variant or form).rule, form.options
        found = estimate.estimate(rule, options, form.free, self.moved)
        for values in found.offers:
            if rule.constraint({**rule.defaults, **values}, options) and self._fits(rule, options, values):
                chosen = [o for o in rule.options if options[o.name] != o.default]
                words = tuple(f"without {o.name}" if o.default else f"with {o.name}" for o in chosen)
                sentence = variant.sentence if variant else ""
                return 0.0, Match(form.rule.name, self.steps, sentence, _told(rule, values), words)
        return found.error, None

    def _fits(self, rule: UpdateRule, options: Options, values: Mapping[str, float]) -> bool:
        fixed = rule_without_arguments(rule, values)
        programs = [replace(p, options=dict(options)) for p in self.programs]
        # what it keeps is its own affair: where that is not what the rule keeps, its steps alone are judged
        unseen = replace(self.subject, state_keys={s.name: "" for s in rule.state})
        return any(
            follows(LoadedSubject(subject, fixed, self.build), fixed, programs, self.in_subject)
            for subject in (self.subject, unseen)
        )

    def _variant(self, forms: list[_Form]) -> tuple[list[Match], int]:
        """The likeliest mistake in one of a few rules that fits."""
        from reference.variants import variants

        ends = time.process_time() + VARIANT_SECONDS
        tried = 0
        for form in forms:
            for variant in variants(form.rule):
                if time.process_time() > ends:
                    return [], tried
                if variant.named:
                    tried += 1
                    match = self._match(form, variant)[1]
                    if match is not None:
                        return [match], tried
        return [], tried


@dataclass(frozen=True)
class _Form:
    """A rule with its options, and the hyperparameters to estimate."""

    rule: UpdateRule
    options: Options
    free: tuple[Hyperparameter, ...]

    @property
    def size(self) -> int:
        """How much it has to choose."""
        return len(self.free) + sum(self.options[o.name] != o.default for o in self.rule.options)

    @property
    def rank(self) -> int:
        """When it is tried: what is small comes first, and what torch has before what it has not."""
        return self.size + (not self.rule.torch)


def _forms(rule: UpdateRule) -> Iterator[_Form]:
    """What is usually on, with ever more of what is usually off, for all options."""
    numbers = [h for h in rule.hyperparameters if not h.integer]
    off = [h for h in numbers if not h.default]
    for options in rule.choices():
        for count in range(len(off) + 1):
            for left_out in itertools.combinations(off, len(off) - count):
                yield _Form(rule, options, tuple(h for h in numbers if h not in left_out))


def _unlike_the_probe() -> Iterator[Program]:
    """Many sizes, zeros, a gradient that comes late and one that stays: what the probe does not show."""
    yield Program(
        "float64",
        groups=({},),
        parameters=(Parameter((128,), 0, Filling(9000)), Parameter((5,), 0, Filling(50))),
        operations=(
            Step((Filling(77), None)),
            Step((Filling(1311), Filling(17))),
            Repeat(),
            Step((Filling(values=(0.0,)), Filling(34))),
            Step((Filling(2545), Filling(values=(0.0, 1.0)))),
            Repeat(),
            Step((Filling(3779), None)),
        ),
    )


def rule_without_arguments(rule: UpdateRule, values: Mapping[str, float]) -> UpdateRule:
    """The rule with hyperparameters that nobody can choose: the subject has no argument for them."""
    fixed = tuple(
        replace(h, absent=values.get(h.name, h.default), arguments=(f"_{h.name}",)) for h in rule.hyperparameters
    )
    return replace(rule, hyperparameters=fixed, _steps={})


def _told(rule: UpdateRule, values: Mapping[str, float]) -> dict[str, float]:
    return {h.name: values[h.name] for h in rule.hyperparameters if h.name in values and values[h.name] != h.absent}


def _simplest(matches: list[Match]) -> list[Match]:
    """A rule with fewer hyperparameters that are not zero is the better answer to the same steps."""

    def size(m: Match) -> int:
        return sum(1 for v in m.values.values() if v) + len(m.options)

    least = min(map(size, matches))
    return sorted((m for m in matches if size(m) == least), key=lambda m: m.rule)
