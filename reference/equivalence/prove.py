"""A proof that two rules give the same parameters, by induction over the steps.

After every step the state of one rule is a function of the state of the other: the change of variables.
That it holds after the first step, and that each later step keeps it and makes the same new parameter,
are equations between expressions; each is shown to be zero by an exact method (``zero.py``). The proof
holds wherever the steps are defined, that is where nothing is divided by zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from random import Random

import flint
import sympy

from reference.equivalence.claim import DONE, Claim
from reference.equivalence.machine import NEVER, Machine, facts_of
from reference.equivalence.refute import PRECISION
from reference.equivalence.search import Relation, likely, relations, singular
from reference.equivalence.zero import Facts, exact, is_zero, signs_of
from reference.lowering.ball import lower_to_balls
from reference.rule import PARAMETER, STEP_COUNT, Assignment, RuleError, Step

_POINTS = 8
_BEFORE = " before"


@dataclass(frozen=True)
class Equation:
    """One equation of a proof.

    Args:
        case: the case of the proof it belongs to, in words; empty where there is one case only.
        text: what it says.
        left, right: what was shown to be equal.
    """

    case: str
    text: str
    left: sympy.Expr
    right: sympy.Expr

    @property
    def equation(self) -> sympy.Eq:
        return sympy.Eq(self.left, self.right, evaluate=False)


@dataclass
class Proof:
    """The equations that were checked, and the change of variables; or what could not be shown."""

    equations: list[Equation] = field(default_factory=list)
    change: dict[str, sympy.Expr] = field(default_factory=dict)
    gap: str = ""


def prove(claim: Claim, stage: Callable[[str], None] = lambda text: None) -> Proof:
    """A proof of a claim, by cases where a hyperparameter is zero in all steps or in none."""
    whole = Proof()
    cases = [claim]
    while cases:
        case = cases.pop(0)
        switch = next((name for name, b in case.bases.items() if b.switch), None)
        if switch is not None:
            cases[:0] = [case.restricted(switch, zero=True), case.restricted(switch, zero=False)]
            continue
        stage(_in_case("looking for the change of variables", case))
        proof, split = _prove_case(case, stage)
        if proof is None and split is not None:
            cases[:0] = [case.restricted(split, zero=True), case.restricted(split, zero=False)]
            continue
        if proof is None or proof.gap:
            whole.gap = _in_case(proof.gap if proof else "no proof", case)
            return whole
        whole.equations += proof.equations
        for name, value in proof.change.items():
            twice = whole.change.get(name, value) != value
            whole.change[f"{name} ({', '.join(case.case)})" if twice else name] = value
    return whole


def _in_case(text: str, claim: Claim) -> str:
    return f"{text} (case {', '.join(claim.case)})" if claim.case else text


def _prove_case(claim: Claim, stage: Callable[[str], None]) -> tuple[Proof | None, str | None]:
    """A proof of one case, or the name of a constant that has to be told apart at zero."""
    machines = (Machine(claim, 0), Machine(claim, 1))
    first_gap, split = "", None
    tried: list[list[Relation]] = []
    for candidate in _candidates(claim, machines):
        if candidate in tried:
            continue
        tried.append(candidate)
        bad = sorted({name for r in candidate for name in singular(r.value, claim)})
        if bad:
            if split is None:
                split = next(
                    (n for n in bad if n in claim.bases and claim.bases[n].constant and claim.bases[n].low == 0), None
                )
            continue
        stage(_in_case("checking a change of variables", claim))
        proof = _Induction(claim, machines, candidate).proof()
        if not proof.gap:
            return proof, None
        first_gap = proof.gap if len(candidate) or not first_gap else first_gap
    return (None, split) if split else (Proof(gap=first_gap), None)


def _candidates(claim: Claim, machines: Sequence[Machine]) -> Iterator[list[Relation]]:
    try:
        yield from relations(claim, machines)
    except RuleError:
        return  # it has something that ball arithmetic does not know; names alone were tried


class _Induction:
    """The equations of one change of variables, checked one by one."""

    def __init__(self, claim: Claim, machines: Sequence[Machine], found: Sequence[Relation]):
        self.claim = claim
        self.machines = machines
        self.found = list(found)
        if claim.parameter == "found" and not any(r.symbol in self.parameters() for r in found):
            self.found.append(Relation(machines[1].parameter, machines[0].parameter))
        self.checked: list[Equation] = []
        self.facts = facts_of(claim)

    def parameters(self) -> list[sympy.Symbol]:
        return [m.parameter for m in self.machines]

    def proof(self) -> Proof:
        self.assume_signs()
        gap = self.step(first=True, unset=(), words="the first step")
        if gap:
            return Proof(gap=gap)
        groups = list(dict.fromkeys(e for m in self.machines for e in m.flags()))
        for unset in product((False, True), repeat=len(groups)):
            never = [e for e, flag in zip(groups, unset, strict=True) if flag]
            words = "every later step" + (f" with {', '.join(f'{e} = 0 so far' for e in never)}" if never else "")
            gap = self.step(first=False, unset=never, words=words)
            if gap:
                return Proof(gap=gap)
        change = {r.symbol.name: r.value for r in self.found if r.symbol != r.value}
        return Proof(self.checked, change)

    def assume_signs(self) -> None:
        """State variables that no step makes negative; what a rule declares is not believed."""
        new = [m.after(first=False) for m in self.machines]
        start = [m.after(first=True) for m in self.machines]
        claimed = {(k, s.name) for k, m in enumerate(self.machines) for s in m.state}
        while True:
            signed = self.signed(claimed)
            holds = {
                (k, name)
                for k, name in claimed
                if signs_of(new[k][name].xreplace(signed), Facts(self.facts.units)) <= {0, 1}
                and signs_of(start[k][name].xreplace(signed), Facts(self.facts.units)) <= {0, 1}
            }
            if holds == claimed:
                self.assumed = signed
                return
            claimed = holds

    def signed(self, names: set[tuple[int, str]]) -> dict[sympy.Symbol, sympy.Symbol]:
        symbols = [self.machines[k].symbols[name] for k, name in names]
        return {s: sympy.Symbol(s.name, nonnegative=True) for s in symbols}

    def step(self, first: bool, unset: Sequence[sympy.Expr], words: str) -> str:
        """Check one kind of step; what could not be shown, or nothing."""
        claim = self.claim
        count = sympy.S.One if first else DONE + 1
        varying = {b.symbol for b in claim.bases.values() if not b.constant}
        earlier = {s: sympy.Symbol(f"{s.name}{_BEFORE}", **s.assumptions0) for s in varying}
        before = {} if first else {r.symbol: r.value.xreplace(earlier) for r in self.found}
        if first:
            before = self.start()
        new = [m.after(first, before, unset) for m in self.machines]
        facts = Facts(self.facts.units | {earlier[s] for s in varying & self.facts.units}, self.facts.signs)
        after: dict[sympy.Symbol, sympy.Expr] = {}
        for m, values in zip(self.machines, new, strict=True):
            after |= {m.symbols[name]: value for name, value in values.items() if name != "p"}
            idle = {m.symbols[s.name]: m.initial(s) for s in m.step.state if m.kept[s.name] == NEVER}
            after |= {symbol: value.xreplace({STEP_COUNT: count}) for symbol, value in idle.items()}
        if claim.parameter is None:
            after[PARAMETER] = new[0]["p"]
        else:
            after |= {m.parameter: values["p"] for m, values in zip(self.machines, new, strict=True)}
        now = {DONE: count, STEP_COUNT: count} if first else {DONE: DONE + 1, STEP_COUNT: count}
        if claim.parameter is None:
            at = claim.only_step
            if at is None or (at == 1) == first:
                only = {} if at is None or first else {DONE: sympy.Integer(at - 1)}
                left, right = (values["p"].xreplace(only) for values in new)
                if not self.equal(f"in {words if at is None else f'step {at}'}, the new parameter", left, right, facts):
                    return f"could not show that {words} makes the same parameter"
        for r in self.found:
            value = r.value.xreplace(now).xreplace(after)
            if not self.equal(f"after {words}, {r.symbol}", after[r.symbol], value, facts):
                return f"could not show that {words} keeps {r.symbol} = {r.value}"
        return ""

    def start(self) -> dict[sympy.Symbol, sympy.Expr]:
        """Before the first step only parameters are related, and only where the claim says so."""
        if self.claim.parameter is None:
            return {}
        a, b = self.machines
        if self.claim.parameter == "found":
            return {b.parameter: a.parameter}
        assert isinstance(self.claim.parameter, tuple)
        side, value = self.claim.parameter
        initial = {m.symbols[s.name]: m.initial(s) for m in self.machines for s in m.step.state}
        return {self.machines[side].parameter: value.xreplace(initial).xreplace({STEP_COUNT: sympy.S.One})}

    def differ(self, left: sympy.Expr, right: sympy.Expr) -> bool:
        """Whether two expressions certainly differ somewhere, which is seen soonest in numbers."""
        if left == right:
            return False
        names = {
            s: sympy.Symbol(f"x{k}") for k, s in enumerate(sorted(left.free_symbols | right.free_symbols, key=str))
        }
        step = self.claim.steps[0]
        made = tuple(
            Assignment(name, sympy.Symbol(name), e.xreplace(names)) for name, e in (("left", left), ("right", right))
        )
        try:
            evaluate = lower_to_balls(Step(step.rule, step.options, made))
        except RuleError:
            return False
        random = Random(0)
        with flint.ctx.workprec(PRECISION):
            for _ in range(_POINTS):
                values = {new.name: flint.arb(_value(old, self.claim, random)) for old, new in names.items()}
                v = evaluate(values)
                if v["left"].is_finite() and v["right"].is_finite() and not v["left"].overlaps(v["right"]):
                    return not self.claim.relations
        return False

    def equal(self, text: str, left: sympy.Expr, right: sympy.Expr, facts: Facts) -> bool:
        left, right = (exact(e).xreplace(self.assumed) for e in (left, right))
        if self.differ(left, right) or not is_zero(left - right, Facts(facts.units, facts.signs)):
            return False
        self.checked.append(Equation(", ".join(self.claim.case), text, left, right))
        return True


def _value(symbol: sympy.Symbol, claim: Claim, random: Random) -> float:
    """A value that a symbol may have."""
    base = claim.bases.get(symbol.name.removesuffix(_BEFORE))
    if base is not None:
        return likely(base, random)
    if symbol.is_integer:
        return random.randint(1, 6)
    return random.uniform(0.05, 3) if symbol.is_nonnegative else random.uniform(-3, 3)
