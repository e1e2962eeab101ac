"""Which known rule, and which variant of it, an optimizer follows: told from its steps alone.

Where the constructor's arguments go by known names, every rule is tried with hyperparameters of our own choice. Where
they do not, the subject runs with its own values, and each rule's hyperparameters are estimated from the steps (a
weighted Gauss-Newton search on the rule's array code), rounded to the few digits that people write, and then judged by
the oracle like any other: a name is given only where every step is inside its allowance.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from reference.rule import Options, UpdateRule
from verify.budgets import BUDGETS
from verify.checks.context import Context
from verify.diagnosis import few_lanes, generic_programs, spread
from verify.driver import SubjectRaised, Unsupported, quiet
from verify.errors import UsageError
from verify.oracle import run_program
from verify.power import Walker
from verify.program import Filling, Parameter, Program, Step
from verify.subject import LoadedSubject, Subject, default_rule, resolve
from verify.trajectory import Refused, record

# seconds for all of it, with imports
SECONDS = 240.0
# seconds for variants, and for estimating hyperparameters
VARIANT_SECONDS = 12.0
ESTIMATE_SECONDS = 60.0
MOST_RULES_VARIED = 4
ITERATIONS = 25
# a search that is nowhere near after so many is given up
HOPELESS = 6
CLOSE = 1e-7
DIGITS = (1, 2, 3, 4, 5, 6)


@dataclass(frozen=True)
class Match:
    """A rule that fits every step.

    Args:
        rule: its name; ``variant`` is the sentence of the variant, or empty.
        steps: how many steps were judged; all of them fit.
        values: hyperparameters that were estimated.
        options: options that are on.
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
            text += f" with {', '.join(self.options)}"
        if self.values:
            text += " at " + ", ".join(f"{k} = {v:g}" for k, v in self.values.items())
        return text


@dataclass(frozen=True)
class Identity:
    """What an optimizer is.

    Args:
        matches: the rules that fit every step, the best first; several cannot be told apart by these steps.
        known: how many rules and variants were tried.
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
            tried = f"{self.rules} rules I know" + (
                f", nor any of {self.variants} variants of them" if self.variants else ""
            )
            return [f"{self.subject}: none of the {tried}", *(f"  {n}" for n in self.notes)]
        best = self.matches[0]
        lines = [f"{self.subject}: {best.told()}", f"  {best.steps} of {best.steps} steps fit"]
        for other in self.matches[1:]:
            lines.append(f"  or {other.told()}: these steps do not tell them apart")
        return [*lines, *(f"  {n}" for n in self.notes)]


def identify(subject: Subject, in_subject=None) -> Identity:
    """Try every known rule, then variants of those whose names match, then with estimated hyperparameters.

    Raises:
        UsageError: the subject cannot be imported or built.
    """
    from reference import RULES

    started = time.perf_counter()
    factory = resolve(subject.target) if isinstance(subject.target, str) else subject.target
    loaded = dict(_loaded(subject, factory))
    tried = (_trial(one, in_subject) for one in loaded.values())
    trials = [trial for trial in tried if trial is not None and trial.active]
    exact = [trial.match() for trial in trials if trial.fits(trial.loaded.rule)]
    if exact:
        return _identity(subject, _best(exact), len(RULES), 0, started)
    varied = sorted(trials, key=lambda t: -t.matched)[:MOST_RULES_VARIED]
    found, count = _variant(varied)
    if found:
        return _identity(subject, [found], len(RULES), count, started)
    estimated, notes = _estimated(subject, factory, in_subject)
    return _identity(subject, estimated, len(RULES), count, started, notes)


def _identity(subject, matches, rules, variants, started, notes=()) -> Identity:
    return Identity(subject.title, tuple(matches), rules, variants, tuple(notes), time.perf_counter() - started)


def _best(matches: list[Match]) -> list[Match]:
    """The rule that accounts for most arguments; a rule that accounts for fewer is a special case of it."""
    most = max((m.matched, m.agreeing) for m in matches)
    return [m for m in matches if (m.matched, m.agreeing) == most]


def _loaded(subject: Subject, factory) -> Iterator[tuple[str, LoadedSubject]]:
    """The subject matched with every rule whose names fit."""
    from reference import RULES

    own = default_rule(subject.target, factory)
    for rule in sorted(RULES.values(), key=lambda r: r.name != own):
        try:
            yield rule.name, LoadedSubject(replace(subject, rule=rule.name), rule, factory)
        except UsageError:
            continue


class _Trial:
    """The subject under one rule's names, with programs to run."""

    def __init__(self, context: Context, programs: list[Program]):
        self.context, self.loaded, self.programs = context, context.loaded, programs
        self.steps = sum(isinstance(op, Step) for p in programs for op in p.operations)
        self.matched = len(self.loaded.hyperparameters) + len(self.loaded.options)
        # a rule none of whose hyperparameters has an argument is left to estimation
        self.active = bool(self.loaded.hyperparameters)
        # AdamW is Adam with another default
        self.agreeing = sum(
            self.loaded.parameters[argument].default == option.default
            for option in self.loaded.rule.options
            if (argument := self.loaded.options.get(option.name)) in self.loaded.parameters
        )

    def fits(self, rule: UpdateRule) -> bool:
        return follows(self.loaded, rule, self.programs, self.context.in_subject)

    def match(self, variant: str = "") -> Match:
        return Match(self.loaded.rule.name, self.steps, variant, matched=self.matched, agreeing=self.agreeing)


def _trial(loaded: LoadedSubject, in_subject) -> _Trial | None:
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
    programs = [*generic_programs(context), *(few_lanes(p) for p in spread(list(sweep(context)), 6))]
    return _Trial(context, programs) if programs else None


def follows(loaded: LoadedSubject, rule: UpdateRule, programs: list[Program], in_subject=None) -> bool:
    """Whether every step of every program is inside the rule's allowance, and enough of them could be judged."""
    import copy

    one = copy.copy(loaded)
    one.rule = rule
    judged = 0
    for program in programs:
        outcome = run_program(one, program, in_subject=in_subject)
        if outcome.failed or outcome.unsupported:
            return False
        if not outcome.refused and 2 * outcome.not_verified < outcome.element_steps:
            judged += 1
    return 2 * judged > len(programs)


def _variant(trials: list[_Trial]) -> tuple[Match | None, int]:
    """The first variant that fits, named mistakes before systematic ones."""
    from reference.variants import variants

    ends = time.perf_counter() + VARIANT_SECONDS
    count = 0
    for named in (True, False):
        for trial in trials:
            for variant in variants(trial.loaded.rule):
                if variant.named is not named:
                    continue
                if time.perf_counter() > ends:
                    return None, count
                count += 1
                if trial.fits(variant.rule):
                    return trial.match(variant.sentence), count
    return None, count


# -- estimation --------------------------------------------------------------------------------


def _estimated(subject: Subject, factory, in_subject) -> tuple[list[Match], list[str]]:
    """Rules that fit with hyperparameters found from the steps."""
    from reference import RULES, unknown_rule

    box = LoadedSubject(subject, unknown_rule({}), _defaults_only(subject, factory))
    program = _probe()
    try:
        seen = record(box, program, in_subject)
    except (SubjectRaised, Refused, Unsupported) as error:
        return [], [f"it could not be run with its own defaults: {error}"]
    values = [m.values[0] for m in seen.moments]
    if all(np.array_equal(v, values[0]) for v in values) and np.array_equal(values[0], _start()):
        return [], ["its parameter did not move at its own defaults, so there are no steps to tell it from"]
    ends = time.perf_counter() + ESTIMATE_SECONDS
    # the simplest explanations of all rules first: what is usually off is off
    for stage in range(STAGES):
        found: list[Match] = []
        for rule in sorted(RULES.values(), key=lambda r: len(r.hyperparameters)):
            if time.perf_counter() > ends:
                return _simplest(found), ["estimating hyperparameters was cut off"]
            match = _fit(box, rule, stage, values, program, in_subject)
            found += [match] if match is not None else []
        if found:
            return _simplest(found), []
    return [], []


def _defaults_only(subject: Subject, factory):
    def build(params):
        return factory(params, **dict(subject.arguments))

    return build


def _start() -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.round(rng.standard_normal(48), 3)


def _gradients(steps: int) -> list[np.ndarray]:
    """Gradients of many sizes, so that epsilon shows in some elements and not in others."""
    rng = np.random.default_rng(6)
    sizes = 10.0 ** rng.uniform(-9, 1.5, 48)
    return [sizes * rng.choice([-1.0, 1.0], 48) * rng.uniform(0.3, 2.0, 48) for _ in range(steps)]


def _probe(steps: int = 7) -> Program:
    return Program(
        "float64",
        groups=({},),
        parameters=(Parameter((48,), 0, Filling(values=tuple(_start()))),),
        operations=tuple(Step((Filling(values=tuple(g)),)) for g in _gradients(steps)),
    )


def _single_options(rule: UpdateRule) -> Iterator[Options]:
    """The default options, then each other choice with one option changed."""
    yield from sorted(rule.choices(), key=lambda o: sum(o[x.name] != x.default for x in rule.options))[
        : len(rule.options) + 1
    ]


def _fit(box, rule: UpdateRule, stage: int, values, program: Program, in_subject) -> Match | None:
    """Estimate the rule's hyperparameters, round them, and let the oracle judge."""
    for options, free, start in _searches(rule, stage):
        theta, residual = _gauss_newton(rule, rule.step(options), free, start, values)
        if residual > CLOSE:
            continue
        for rounded in _rounded(rule, free, theta):
            if not rule.constraint({**rule.defaults, **rounded}, options):
                continue
            loaded = LoadedSubject(box.subject, rule_without_arguments(rule, rounded), box.factory)
            if follows(loaded, loaded.rule, [replace(program, options=dict(options))], in_subject):
                on = tuple(k for k, x in options.items() if x and not _default(rule, k))
                return Match(rule.name, len(values), values=_told(rule, rounded), options=on)
    return None


def _default(rule: UpdateRule, option: str) -> bool:
    return next(o.default for o in rule.options if o.name == option)


def rule_without_arguments(rule: UpdateRule, values: Mapping[str, float]) -> UpdateRule:
    """The rule with hyperparameters that nobody can choose: the subject has no argument for them."""
    fixed = tuple(
        replace(h, absent=values.get(h.name, h.default), arguments=(f"_{h.name}",)) for h in rule.hyperparameters
    )
    return replace(rule, hyperparameters=fixed, _steps={})


def _told(rule: UpdateRule, values: Mapping[str, float]) -> dict[str, float]:
    return {h.name: values[h.name] for h in rule.hyperparameters if h.name in values and values[h.name] != h.absent}


STAGES = 4


def _searches(rule: UpdateRule, stage: int) -> Iterator[tuple[Options, list, np.ndarray]]:
    """Options, what to estimate, and where to begin.

    First the default options with what is usually off left out; then one option changed; then what is off let in, one
    by one; then all of it.
    """
    choices = list(_single_options(rule))
    used = [h for h in rule.hyperparameters if not h.integer and h.default]
    off = [h for h in rule.hyperparameters if not h.integer and not h.default]
    one_more = [[*used, h] for h in off]
    searched: list[tuple[Options, list]] = [
        [(choices[0], used)],
        [(o, used) for o in choices[1:]],
        [(o, free) for o in choices for free in one_more],
        [(choices[0], [*used, *off])] if len(off) > 1 else [],
    ][stage]
    for options, free in searched:
        for start in _starts(free):
            yield options, free, start


def _starts(free) -> Iterator[np.ndarray]:
    """The usual values, and other sizes of the step."""
    usual = np.array([_to_line(h, h.default or (0.5 if h.high <= 1.0 else 1e-2)) for h in free])
    lr = next((i for i, h in enumerate(free) if h.name == "lr"), None)
    for shift in (0.0, 2.3, 4.6, -2.3, 7.0):
        start = usual.copy()
        if lr is not None:
            start[lr] += shift
        yield start
        if lr is None:
            return


def _to_line(h, x: float) -> float:
    """A hyperparameter as a number without bounds: log x, or logit for those below one."""
    if h.high <= 1.0 and h.low == 0:
        x = min(max(x, 1e-12), 1 - 1e-12)
        return math.log(x / (1 - x))
    return math.log(max(x - (h.low if h.low > 0 else 0.0), 1e-15))


def _from_line(h, y: float) -> float:
    if h.high <= 1.0 and h.low == 0:
        return 1 / (1 + math.exp(-min(max(y, -40.0), 40.0)))
    return (h.low if h.low > 0 else 0.0) + math.exp(min(max(y, -40.0), 20.0))


def _walk(rule: UpdateRule, step, values: Mapping[str, float], count: int) -> np.ndarray:
    """Parameters after every step, by the rule's array code."""
    walker, p = Walker(step, "float64"), _start()
    all_values = {**rule.defaults, **values}
    out = []
    for t, g in enumerate(_gradients(count), start=1):
        moved = walker.results(walker.inputs(p, g, t, all_values))
        walker.state = {n: x[0] for n, x in moved.items() if n != "p"}
        p = np.asarray(moved["p"][0])
        out.append(p)
    return np.stack(out)


def _residuals(rule, step, free, y, wanted: np.ndarray) -> np.ndarray:
    values = {h.name: _from_line(h, x) for h, x in zip(free, y, strict=True)}
    with quiet():
        got = _walk(rule, step, values, len(wanted))
        moved = np.abs(np.diff(wanted, axis=0, prepend=_start()[None])) + 1e-300
        error = np.diff(got, axis=0, prepend=_start()[None]) - np.diff(wanted, axis=0, prepend=_start()[None])
        scaled = error / np.maximum(moved, 1e-13)
    return np.nan_to_num(scaled, nan=1e3, posinf=1e3, neginf=-1e3).clip(-1e3, 1e3).ravel()


def _solved(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The least-squares solution; a hyperparameter that changes nothing leaves the matrix singular."""
    return np.linalg.lstsq(matrix, right, rcond=None)[0]


def _gauss_newton(rule, step, free, y, values) -> tuple[np.ndarray, float]:
    """Hyperparameters (on the line) that walk where the subject walked, and the largest relative error left."""
    wanted = np.stack(values)
    r = _residuals(rule, step, free, y, wanted)
    damping = 1e-2
    for iteration in range(ITERATIONS):
        if iteration == HOPELESS and np.median(np.abs(r)) > 0.1:
            break
        jacobian = np.stack(
            [(_residuals(rule, step, free, y + 1e-5 * e, wanted) - r) / 1e-5 for e in np.eye(len(free))], axis=1
        )
        normal = jacobian.T @ jacobian
        while damping < 1e8:
            move = _solved(normal + damping * (np.diag(np.diag(normal)) + 1e-9 * np.eye(len(free))), -jacobian.T @ r)
            move = move.clip(-3.0, 3.0)
            better = _residuals(rule, step, free, y + move, wanted)
            if better @ better < r @ r:
                y, r, damping = y + move, better, damping / 5
                break
            damping *= 5
        else:
            break
        if np.abs(r).max() < 1e-12:
            break
    # most elements must fit; a few have steps of a size that rounding hides
    return y, float(np.quantile(np.abs(r), 0.9))


def _rounded(rule: UpdateRule, free, theta: np.ndarray) -> Iterator[dict[str, float]]:
    """The estimate with few digits, as people write numbers; also with what is nearly nothing left out."""
    raw = {h.name: _from_line(h, y) for h, y in zip(free, theta, strict=True)}
    off = {h.name: 0.0 for h in rule.hyperparameters if h.name not in raw and not h.default}
    for digits in DIGITS:
        values = dict(off)
        for h in free:
            x = raw[h.name]
            near_one = h.high <= 1.0 and x > 0.5
            values[h.name] = 1 - float(f"{1 - x:.{digits}g}") if near_one else float(f"{x:.{digits}g}")
            if near_one:
                values[h.name] = float(f"{values[h.name]:.12g}")
            if x < 1e-9 and h.name != "eps" and h.contains(0.0):
                values[h.name] = 0.0
        if all(h.contains(values[h.name]) for h in free):
            yield values
            if any(h.name == "eps" and values["eps"] < 1e-7 for h in free):
                for eps in (1e-8, 1e-16, 1e-10, 1e-12, 0.0):
                    yield {**values, "eps": eps}


def _simplest(matches: list[Match]) -> list[Match]:
    """A rule with fewer hyperparameters that are not zero is the better answer to the same steps."""
    if not matches:
        return []

    def size(m: Match) -> int:
        return sum(1 for v in m.values.values() if v) + len(m.options)

    least = min(map(size, matches))
    return sorted((m for m in matches if size(m) == least), key=lambda m: m.rule)
