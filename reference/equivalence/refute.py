"""A concrete counterexample: a program after which two rules certainly differ.

Programs are drawn at random and walked in ball arithmetic. A difference counts only when the two balls
do not overlap, or when one rule certainly divides zero by zero where the other has a number; then the
program is made as small and plain as it can be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from random import Random
from typing import Any

import flint
import sympy

from reference.equivalence.claim import Base, Claim
from reference.equivalence.machine import Moment, Runner, within
from reference.equivalence.zero import exact
from reference.rule import GRADIENT, PARAMETER, STEP_COUNT, unset_symbol

PRECISION = 256
_LENGTHS = (1, 2, 3, 4, 5, 6, 12)
PROGRAMS = 1500
_GRADIENTS = (1.0, -1.0, 0.0, 2.0, 0.5, -3.0, 0.125, -0.25, 8.0, 1e-3)
_STARTS = (0.0, 1.0, -2.0, 0.5)
_PLAIN = (0.0, 1.0, 0.5, 2.0, 0.25, -1.0, 0.75, 0.125, 4.0)
# a difference that anybody can see, where there is one; that one of them is undefined is told only where nothing else is
_VISIBLE = 1e-3
_UNDEFINED = math.ulp(0.0)
# exact arithmetic is for programs of few steps and fractions of few bits
_LONGEST_EXACT = 3
_LARGEST_FRACTION = 1024


@dataclass(frozen=True)
class CounterStep:
    """One step of a counterexample: what each rule got, and its parameter afterwards."""

    hyperparameters: tuple[Mapping[str, float], Mapping[str, float]]
    gradients: tuple[float, float]
    parameters: tuple[float, float]


@dataclass(frozen=True)
class Counterexample:
    """A program after which two rules differ, as plain numbers.

    Args:
        names: the two rules.
        options: of each rule, as they were chosen.
        starts: the starting parameter of each.
        steps: the program; the parameters differ after the last step, and not before.
        difference: how far apart they are; nan where one of them is undefined.
        reseated: whether the second rule starts each step at the parameter of the first.
    """

    names: tuple[str, str]
    options: tuple[Mapping[str, bool], Mapping[str, bool]]
    starts: tuple[float, float]
    steps: tuple[CounterStep, ...]
    difference: float
    reseated: bool = False

    @property
    def first_difference(self) -> int:
        """The number of the first step after which the parameters differ."""
        return len(self.steps)


@dataclass(frozen=True)
class _Program:
    start: float
    gradients: tuple[float, ...]
    bases: tuple[Mapping[str, float], ...]


def refute(claim: Claim, seed: int = 0, programs: int = PROGRAMS) -> Counterexample | None:
    """A counterexample to a claim, or None when none was found in so many programs.

    Raises:
        RuleError: a rule has something that ball arithmetic does not know.
    """
    if claim.parameter == "found":
        return None  # that no relation exists is not shown by a program
    with flint.ctx.workprec(PRECISION):
        runner = Runner(claim)
        some = islice(_failing(runner, Random(seed), programs), 8)
        found = max(some, key=lambda p: _visibility(runner, p), default=None)
        if found is None:
            return None
        return _record(runner, _shrunk(runner, found))


def _failing(runner: Runner, random: Random, programs: int) -> Iterator[_Program]:
    for index in range(programs):
        length = _LENGTHS[index % len(_LENGTHS)] if runner.claim.only_step is None else runner.claim.only_step
        program = _drawn(runner.claim, random, length)
        last = None if program is None else _differs(runner, program)
        if program is not None and last is not None:
            yield _Program(program.start, program.gradients[:last], program.bases[:last])


def _drawn(claim: Claim, random: Random, length: int) -> _Program | None:
    numbers = {name: draw(base, random) for name, base in claim.bases.items()}
    steps: list[dict[str, float]] = []
    for _ in range(length):
        for name, base in claim.bases.items():
            if steps and not base.constant and random.random() < 0.3:
                value = draw(base, random)
                if not base.switch or (value == 0) == (numbers[name] == 0):
                    numbers[name] = value
        steps.append(dict(numbers))
    if any(not b.contains(steps[0][name]) for name, b in claim.bases.items()):
        return None
    wild = random.random() < 0.2
    gradients = tuple(
        random.choice((-1, 1)) * 2.0 ** random.randint(-20, 12) if wild else random.choice(_GRADIENTS)
        for _ in range(length)
    )
    return _Program(random.choice(_STARTS), gradients, tuple(steps))


def draw(base: Base, random: Random) -> float:
    """A value of a base: one that its hyperparameter is worth trying at, a plain one, or any."""
    low = max(base.low, -4.0)
    high = min(base.high, max(low, 0.0) + 4.0)
    kinds = [[x for x in base.trials if base.contains(x)], [x for x in _PLAIN if base.contains(x)]]
    pool = random.choice([k for k in kinds if k] or [[]])
    if pool and random.random() < 0.9:
        return random.choice(pool)
    value = round(random.uniform(low, high) * 64) / 64
    value = float(round(value)) if base.integer else value
    return value if base.contains(value) else (low + high) / 2


def _moments(runner: Runner, program: _Program) -> list[Moment] | None:
    """The run, or None when the program is not one that the claim speaks of."""
    for name, base in runner.claim.bases.items():
        values = [numbers[name] for numbers in program.bases]
        if base.constant and len(set(values)) > 1:
            return None
        if base.switch and len({v == 0 for v in values}) > 1:
            return None
        if not all(map(base.contains, values)):
            return None
    for t, numbers in enumerate(program.bases, start=1):
        if not within(runner.claim, runner.hyperparameters(numbers, t), numbers, t):
            return None
    return list(runner.run(program.start, program.gradients, program.bases))


def _differs(runner: Runner, program: _Program) -> int | None:
    """The first step after which the parameters certainly differ."""
    moments = _moments(runner, program)
    for t, moment in enumerate(moments or (), start=1):
        if runner.claim.only_step is not None and t != runner.claim.only_step:
            continue
        a, b = moment.expected
        if a.is_finite() and b.is_finite():
            if not a.overlaps(b):
                return t
        else:
            return (
                t
                if a.is_finite() != b.is_finite() and _undefined(runner.claim, program, t, int(a.is_finite()))
                else None
            )
    return None


def _undefined(claim: Claim, program: _Program, t: int, side: int) -> bool:
    """Whether one rule certainly has no value after step t, which balls alone cannot tell."""
    if claim.parameter is not None or claim.only_step is not None or t > _LONGEST_EXACT:
        return False
    try:
        return _without_value(claim, program, side) == t
    except (TypeError, ValueError, ArithmeticError):
        return False  # sympy compared something that is no number


def _without_value(claim: Claim, program: _Program, side: int) -> int | None:
    """The first step that in exact arithmetic divides by zero or takes the root of a negative number."""
    rule = claim.steps[side].rule
    step = claim.steps[side]
    now: dict[str, sympy.Expr] = {}
    p: sympy.Expr = sympy.Rational(program.start)
    for count in range(1, len(program.gradients) + 1):
        named = {b.symbol: sympy.Rational(program.bases[count - 1][name]) for name, b in claim.bases.items()}
        named[STEP_COUNT] = sympy.Integer(count)
        values: dict[sympy.Basic, Any] = {}
        for h in rule.hyperparameters:
            values[h.symbol] = claim.values[side][h.name].xreplace(named)
        by_name = {s.name: x for s, x in values.items()}
        gradient = claim.gradient if side == 1 else GRADIENT
        values[GRADIENT] = gradient.xreplace(
            named | {GRADIENT: sympy.Rational(program.gradients[count - 1]), PARAMETER: p}
        )
        values[PARAMETER], values[STEP_COUNT] = p, sympy.Integer(count)
        for s in step.state:
            start = by_name[s.initial] if isinstance(s.initial, str) else sympy.Rational(s.initial)
            values[s.symbol] = now.get(s.name, start)
            values[unset_symbol(s.name)] = sympy.Integer(s.name not in now)
        for a in step.assignments:
            values[a.symbol] = new = exact(a.expression).xreplace(values)
            if new.has(sympy.nan, sympy.zoo, sympy.I):
                if a.name == "p":
                    return count
                continue
            if not new.is_Rational:
                return None  # with anything but fractions it could take forever
            if new.p.bit_length() + new.q.bit_length() > _LARGEST_FRACTION:
                return None
        for s in step.state:
            if s.needs is None or by_name[s.needs] != 0:
                now[s.name] = values[step.new_symbol(s.name)]
        p = values[step.new_symbol("p")]
    return None


def _visibility(runner: Runner, program: _Program) -> float:
    """The relative difference at the end, as far as it can be seen at all; 0 where there is none."""
    if _differs(runner, program) != len(program.gradients):
        return 0.0
    moment = (_moments(runner, program) or [])[-1]
    a, b = (float(x.mid()) if x.is_finite() else math.nan for x in moment.expected)
    if math.isnan(a) or math.isnan(b):
        return _UNDEFINED
    return min(_VISIBLE, abs(a - b) / max(abs(a), abs(b)))


def _shrunk(runner: Runner, program: _Program) -> _Program:
    """The program made plainer, one change after another, as long as the rules visibly differ at its end."""
    wanted = _visibility(runner, program)

    def good(candidate: _Program) -> bool:
        return _visibility(runner, candidate) >= wanted > 0

    changed = True
    while changed:
        changed = False
        for candidate in _simpler(runner.claim, program):
            if _cost(candidate) < _cost(program) and good(candidate):
                program, changed = candidate, True
                break
    return program


def _cost(program: _Program) -> tuple:
    edits = sum(
        before[name] != after[name]
        for before, after in zip(program.bases, program.bases[1:], strict=False)
        for name in before
    )
    numbers = [program.start, *program.gradients, *(x for bases in program.bases for x in bases.values())]
    return (len(program.gradients), edits, sum(map(_plainness, numbers)))


def _plainness(x: float) -> float:
    return _PLAIN.index(x) if x in _PLAIN else len(_PLAIN) + len(repr(x))


def _simpler(claim: Claim, program: _Program) -> Iterator[_Program]:
    length = len(program.gradients)
    if claim.only_step is None:
        for k in range(length):
            keep = [i for i in range(length) if i != k]
            if keep:
                yield _Program(
                    program.start, tuple(program.gradients[i] for i in keep), tuple(program.bases[i] for i in keep)
                )
    for name in claim.bases:
        for value in _distinct((*(b[name] for b in program.bases), *_PLAIN)):
            yield replace(program, bases=tuple({**b, name: value} for b in program.bases))
        for k in range(1, length):
            after = program.bases[k - 1][name]
            yield _with_base(program, name, range(k, k + 1), after)
            for value in _PLAIN:
                yield _with_base(program, name, range(k, length), value)
                yield _with_base(program, name, range(k), value)
    for value in _PLAIN:
        yield replace(program, start=value)
        for k in range(length):
            gradients = list(program.gradients)
            gradients[k] = value
            yield replace(program, gradients=tuple(gradients))


def _with_base(program: _Program, name: str, steps: range, value: float) -> _Program:
    bases = tuple({**b, name: value} if i in steps else b for i, b in enumerate(program.bases))
    return replace(program, bases=bases)


def _distinct(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(dict.fromkeys(values))


def _record(runner: Runner, program: _Program) -> Counterexample:
    moments = _moments(runner, program)
    assert moments
    claim = runner.claim

    def number(x: Any) -> float:
        return float(x.mid()) if x.is_finite() else math.nan

    def numbers(values: Mapping[str, Any]) -> dict[str, float]:
        return {name: number(x) for name, x in values.items()}

    steps = tuple(
        CounterStep(
            hyperparameters=(numbers(m.values[0]), numbers(m.values[1])),
            gradients=(number(m.gradients[0]), number(m.gradients[1])),
            parameters=(number(m.parameters[0]), number(m.parameters[1])),
        )
        for m in moments
    )
    starts = moments[0].starts
    a, b = moments[-1].expected
    return Counterexample(
        names=(claim.steps[0].rule.name, claim.steps[1].rule.name),
        options=(dict(claim.steps[0].options), dict(claim.steps[1].options)),
        starts=(number(starts[0]), number(starts[1])),
        steps=steps,
        difference=number(abs(a - b)),
        reseated=claim.only_step is not None,
    )
