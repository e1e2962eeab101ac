"""One of two rules as a machine in symbols, and both as machines in ball arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import flint
import sympy

from reference.equivalence.claim import DONE, Claim
from reference.equivalence.zero import RELATIONS, Algebra, Facts, exact, signs_of
from reference.lowering.ball import lower_to_balls
from reference.rule import GRADIENT, PARAMETER, STEP_COUNT, Assignment, StateVariable, Step, unset_symbol

ALWAYS, NEVER, SOMETIMES = "always", "never", "sometimes"


def facts_of(claim: Claim) -> Facts:
    """What the domains and inequalities of a claim say."""
    facts = Facts(frozenset(b.symbol for b in claim.bases.values() if b.unit))
    for relation in claim.relations:
        algebra = Algebra(facts)
        number, parts = algebra.factors(algebra.rewrite(exact(relation.lhs - relation.rhs)))
        if len(parts) == 1 and parts[0][1] == 1 and not relation.has(STEP_COUNT):
            way = 1 if number > 0 else -1
            facts = facts.with_sign(parts[0][0], frozenset(way * s for s in RELATIONS[type(relation)]))
    return facts


class Machine:
    """One side of a claim: what a step makes of parameter and state, in the claim's symbols.

    A state variable that needs a hyperparameter is kept in the steps in which that is nonzero.
    """

    def __init__(self, claim: Claim, side: int):
        self.claim = claim
        self.side = side
        self.step = claim.steps[side]
        self.values = {k: exact(e) for k, e in claim.values[side].items()}
        self.symbols = {s.name: claim.state_symbol(side, s.name) for s in self.step.state}
        self.parameter = claim.parameter_symbol(side)
        facts = facts_of(claim)
        self.kept: dict[str, str] = {}
        for s in self.step.state:
            signs = signs_of(self.values[s.needs], facts) if s.needs else frozenset({1})
            self.kept[s.name] = NEVER if signs == {0} else SOMETIMES if 0 in signs else ALWAYS

    def initial(self, s: StateVariable) -> sympy.Expr:
        return self.values[s.initial] if isinstance(s.initial, str) else exact(sympy.sympify(s.initial))

    @cached_property
    def state(self) -> tuple[StateVariable, ...]:
        """State variables that the parameter depends on, now or later."""
        new = self.after(first=False, restrict=False)
        needed, wanted = set(), {"p"}
        if isinstance(self.claim.parameter, tuple):
            related = self.claim.parameter[1].free_symbols
            wanted |= {name for name, symbol in self.symbols.items() if symbol in related}
        while wanted:
            name = wanted.pop()
            needed.add(name)
            free = new[name].free_symbols
            wanted |= {k for k, symbol in self.symbols.items() if symbol in free and k not in needed}
        return tuple(s for s in self.step.state if s.name in needed and self.kept[s.name] != NEVER)

    def flags(self) -> list[sympy.Expr]:
        """Hyperparameters that switch some state on and off in the middle."""
        return [self.values[s.needs] for s in self.state if s.needs and self.kept[s.name] == SOMETIMES]

    def after(
        self,
        first: bool,
        before: Mapping[sympy.Symbol, sympy.Expr] | None = None,
        unset: Sequence[sympy.Expr] = (),
        restrict: bool = True,
    ) -> dict[str, sympy.Expr]:
        """New values of the parameter and of every state variable that matters.

        Args:
            first: whether this is step 1; otherwise it is step n + 1.
            before: what parameter and state symbols are, where they are not themselves.
            unset: hyperparameters whose state has never been kept so far.
        """
        claim = self.claim
        count = sympy.S.One if first else DONE + 1
        before = dict(before or {})
        start: dict[sympy.Basic, sympy.Basic] = {STEP_COUNT: count}
        for h in self.step.rule.hyperparameters:
            start[h.symbol] = self.values[h.name].xreplace({STEP_COUNT: count})
        old: dict[str, sympy.Expr] = {}
        for s in self.step.state:
            fresh = first or self.kept[s.name] == NEVER
            if self.kept[s.name] == SOMETIMES and s.needs and self.values[s.needs] in unset:
                fresh = True
            symbol = self.symbols[s.name]
            old[s.name] = self.initial(s).xreplace({STEP_COUNT: count}) if fresh else before.get(symbol, symbol)
            start[s.symbol] = old[s.name]
            start[unset_symbol(s.name)] = sympy.Integer(fresh)
        start[PARAMETER] = before.get(self.parameter, self.parameter)
        gradient = claim.gradient.xreplace({STEP_COUNT: count}) if self.side == 1 else GRADIENT
        start[GRADIENT] = gradient.xreplace(before)
        values = start
        for a in self.step.assignments:
            values[a.symbol] = exact(a.expression).xreplace(values)
        new = {"p": values[self.step.new_symbol("p")]}
        for s in self.state if restrict else self.step.state:
            new[s.name] = values[self.step.new_symbol(s.name)]
            if self.kept[s.name] == SOMETIMES and s.needs:
                needed = self.values[s.needs].xreplace({STEP_COUNT: count})
                new[s.name] = sympy.Piecewise((old[s.name], sympy.Eq(needed, 0)), (new[s.name], True))
        return new


# -- in numbers -------------------------------------------------------------------------------


@dataclass
class Moment:
    """Both rules after a step: parameters, states and hyperparameters as balls."""

    parameters: list[Any]
    states: tuple[dict[str, Any], dict[str, Any]]
    values: tuple[dict[str, Any], dict[str, Any]]
    gradients: tuple[Any, Any]
    expected: tuple[Any, Any]  # what must be the same of both
    starts: tuple[Any, Any]  # parameters before the step


class Runner:
    """Runs both rules of a claim in ball arithmetic.

    Raises:
        RuleError: a rule has something that ball arithmetic does not know.
    """

    def __init__(self, claim: Claim):
        self.claim = claim
        self.steps = [lower_to_balls(step) for step in claim.steps]
        self.values = [self._lowered(side, claim.values[side]) for side in (0, 1)]
        self.gradient = self._lowered(1, {"g": claim.gradient})
        self.relation = None
        if isinstance(claim.parameter, tuple):
            self.relation = self._lowered(claim.parameter[0], {"p": claim.parameter[1]})

    def _lowered(self, side: int, expressions: Mapping[str, sympy.Expr]):
        """Ball arithmetic for expressions over bases, t and variables; the results go by ``=name``."""
        step = self.claim.steps[side]
        made = tuple(
            Assignment(f"={name}", sympy.Symbol(f"={name}"), sympy.sympify(e)) for name, e in expressions.items()
        )
        evaluate = lower_to_balls(Step(step.rule, step.options, made))

        def call(v: Mapping[str, Any]) -> dict[str, Any]:
            done = evaluate(dict(v))
            return {name: done[f"={name}"] for name in expressions}

        return call

    def hyperparameters(self, bases: Mapping[str, float], t: int) -> tuple[dict[str, Any], dict[str, Any]]:
        v = {name: flint.arb(x) for name, x in bases.items()} | {"t": flint.arb(t)}
        return self.values[0](v), self.values[1](v)

    def run(self, start: float, gradients: Sequence[float], bases: Sequence[Mapping[str, float]]) -> Iterator[Moment]:
        """Both rules step by step, from one starting parameter.

        Args:
            gradients: of each step.
            bases: of each step, the values of the claim's bases.
        """
        claim = self.claim
        parameters: list[Any] = [flint.arb(start)] * 2
        states: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        for t, (g, numbers) in enumerate(zip(gradients, bases, strict=True), start=1):
            values = self.hyperparameters(numbers, t)
            befores = []
            for side, step in enumerate(claim.steps):
                before = {}
                for s in step.state:
                    first = values[side][s.initial] if isinstance(s.initial, str) else flint.arb(s.initial)
                    before[s.name] = states[side].get(s.name, first)
                befores.append(before)
            shared = {name: flint.arb(x) for name, x in numbers.items()} | {"t": flint.arb(t), "g": flint.arb(g)}
            if t == 1 and self.relation and isinstance(claim.parameter, tuple):
                known = self._named(befores, parameters)
                parameters[claim.parameter[0]] = self.relation(shared | known)["p"]
            if claim.only_step is not None:
                parameters[1] = parameters[0]
            known = self._named(befores, parameters) | {"p": parameters[0]}
            starts = (parameters[0], parameters[1])
            gradient = (flint.arb(g), self.gradient(shared | known)["g"])
            for side, step in enumerate(claim.steps):
                v = {**values[side], **befores[side], "p": parameters[side], "g": gradient[side], "t": flint.arb(t)}
                v |= {unset_symbol(s.name).name: flint.arb(s.name not in states[side]) for s in step.state}
                v = self.steps[side](v)
                for s in step.state:
                    if s.needs is None or not values[side][s.needs].is_zero():
                        states[side][s.name] = v[step.new_symbol(s.name).name]
                parameters[side] = v[step.new_symbol("p").name]
            expected = list(parameters)
            if self.relation and isinstance(claim.parameter, tuple):
                now = [before | state for before, state in zip(befores, states, strict=True)]
                side = claim.parameter[0]
                expected[1 - side] = self.relation(shared | self._named(now, parameters))["p"]
            yield Moment(
                list(parameters),
                (dict(states[0]), dict(states[1])),
                values,
                gradient,
                (expected[0], expected[1]),
                starts,
            )

    def _named(self, states: Sequence[Mapping[str, Any]], parameters: Sequence[Any]) -> dict[str, Any]:
        named = {self.claim.state_symbol(k, n).name: x for k in (0, 1) for n, x in states[k].items()}
        return named | {f"{self.claim.labels[k]}.p": parameters[k] for k in (0, 1)}


def within(claim: Claim, values: Sequence[Mapping[str, Any]], numbers: Mapping[str, float], t: int) -> bool:
    """Whether hyperparameters lie in their domains and satisfy constraints and inequalities."""
    for step, own in zip(claim.steps, values, strict=True):
        floats = {name: float(x.mid()) for name, x in own.items()}
        if not all(h.contains(floats[h.name]) for h in step.rule.hyperparameters):
            return False
        if not step.rule.constraint(floats, step.options):
            return False
    named = {b.symbol: sympy.Rational(numbers[name]) for name, b in claim.bases.items()}
    named[STEP_COUNT] = sympy.Integer(t)
    return all(r.xreplace(named) == True for r in claim.relations)  # noqa: E712
