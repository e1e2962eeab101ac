"""What a state variable is before the first step."""

from __future__ import annotations

from collections.abc import Iterator

import sympy
from sympy import Eq, Piecewise

from reference.rule import STEP_COUNT
from reference.variants.equations import Edit, Equations
from reference.variants.roles import corrections, inflows
from reference.variants.words import spoken

FIRST = Eq(STEP_COUNT, 1)


def initial_edits(e: Equations) -> Iterator[Edit]:
    """Every other start of every state variable, said by the step count, for states are read as they are."""
    for name, variable in e.states.items():
        hyperparameters = {h.name: h.symbol for h in e.step.rule.hyperparameters}
        for key, sentence, value in _starts(e, name, hyperparameters):
            yield Edit(f"initial.{key}.{name}", sentence, _starting(e, name, value))
        yield from _first_taken_whole(e, name)
        if isinstance(variable.initial, str):
            fixed = e.swap({variable.symbol: hyperparameters[variable.initial]}, besides=[name])
            sentence = f"{name} stays at its initial value, {variable.initial}, wherever it is used"
            yield Edit(f"initial.for_ever.{name}", sentence, fixed)


def _starting(e: Equations, name: str, value) -> Equations:
    old = e.old(name)
    return e.swap({old: Piecewise((value, FIRST), (old, True), evaluate=False)})


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
