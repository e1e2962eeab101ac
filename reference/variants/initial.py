"""What a state variable is before the first step."""

from __future__ import annotations

from collections.abc import Iterator

import sympy
from sympy import Eq, Piecewise

from reference.rule import STEP_COUNT, unset_symbol
from reference.variants.equations import Change, Edit, Equations
from reference.variants.roles import corrections, inflows
from reference.variants.words import listed, spoken

FIRST = Eq(STEP_COUNT, 1)


def initial_edits(e: Equations) -> Iterator[Edit]:
    """Every other start of every state variable, said by the step count, for states are read as they are."""
    for name, variable in e.states.items():
        hyperparameters = {h.name: h.symbol for h in e.step.rule.hyperparameters}
        for key, sentence, value in _starts(e, name, hyperparameters):
            yield Edit(f"initial.{key}.{name}", sentence, _starting(e, name, value))
        yield from _as_another(e, name, hyperparameters)
        yield from _first_taken_whole(e, name)
        if isinstance(variable.initial, str):
            fixed = e.swap({variable.symbol: hyperparameters[variable.initial]}, besides=[name])
            sentence = f"{name} stays at its initial value, {variable.initial}, wherever it is used"
            yield Edit(f"initial.for_ever.{name}", sentence, fixed)
    yield from _all_from_zero(e)


def _as_another(e: Equations, name: str, hyperparameters) -> Iterator[Edit]:
    """The start of another state variable."""
    for other, variable in e.states.items():
        start = variable.initial
        if other == name or start == e.states[name].initial or variable.scalar != e.states[name].scalar:
            continue
        value = hyperparameters[start] if isinstance(start, str) else sympy.sympify(start)
        sentence = f"{name} starts at {start}, as {other} does"
        yield Edit(f"initial.as_{other}.{name}", sentence, _starting(e, name, value))


def _all_from_zero(e: Equations) -> Iterator[Edit]:
    """What starts at the first new value starts at zero; as it is, and corrected for that."""
    change: Change = {}
    weights: Change = {}
    for i in inflows(e):
        if not i.is_own:
            continue
        for node in e.nodes(i.name, Piecewise):
            if any(_is_of_first(e, c) for _, c in node.args) and node.has(i.node):
                change[node] = i.node
                if i.is_average:
                    weights[e.new(i.name)] = e.new(i.name) / (1 - i.keep**STEP_COUNT)
    if not change:
        return
    uncorrected = e.swap(change)
    of = listed(n for n in e.states if any(k.has(e.old(n)) for k in change))
    several = " and " in of
    start = f"{of} start{'' if several else 's'} at zero and not at the first new value"
    yield Edit("initial.all_zero", start, uncorrected)
    if weights:
        corrected = uncorrected.swap(weights)
        yield Edit("initial.all_zero_corrected", f"{start}, and {'are' if several else 'is'} bias-corrected", corrected)


def _starting(e: Equations, name: str, value) -> Equations:
    old = e.old(name)
    return e.swap({old: Piecewise((value, FIRST), (old, True), evaluate=False)})


def _is_of_first(e: Equations, condition: sympy.Basic) -> bool:
    """Whether a condition is met in the first step alone."""
    unset = {unset_symbol(s.name) for s in e.step.state}
    return condition == FIRST or bool(condition.free_symbols & unset)


def _starts(e: Equations, name: str, hyperparameters) -> Iterator[tuple[str, str, sympy.Expr]]:
    variable = e.states[name]
    if variable.initial != 0:
        yield "zero", f"{name} starts at zero", sympy.S.Zero
    if variable.initial != 1:
        yield "one", f"{name} starts at one", sympy.S.One
    if isinstance(variable.initial, str):
        default = next(h.default for h in e.step.rule.hyperparameters if h.name == variable.initial)
        yield "default", f"{name} starts at {default:g}, whatever {variable.initial} is", sympy.Float(default)
    if variable.scalar:
        return
    for i in inflows(e):
        if i.is_own and i.state == name:
            text = "the gradient" if i.fresh == e.gradient else spoken(i.fresh)
            yield "fresh", f"{name} starts at {text} of the first step", i.fresh
            if i.fresh != e.gradient:
                yield "gradient", f"{name} starts at the gradient of the first step", e.gradient


def _first_taken_whole(e: Equations, name: str) -> Iterator[Edit]:
    """The first value is what is new, without any weight."""
    for i in inflows(e):
        if not i.is_own or i.state != name or i.fresh is None:
            continue
        whole = Piecewise((i.fresh, FIRST), (e[name], True), evaluate=False)
        text = spoken(i.fresh)
        yield Edit(f"initial.whole.{name}", f"{name} is {text} itself in the first step", e.define(name, whole))
        own = [c for c in corrections(e) if name in c.moments]
        if own:
            changed = e.define(name, whole).swap({c.node: sympy.S.One for c in own})
            sentence = f"{name} is {text} itself in the first step, and is not bias-corrected"
            yield Edit(f"initial.whole_uncorrected.{name}", sentence, changed)
            started = _starting(e, name, i.fresh).swap({c.node: sympy.S.One for c in own})
            sentence = f"{name} starts at {text} of the first step, and is not bias-corrected"
            yield Edit(f"initial.fresh_uncorrected.{name}", sentence, started)
