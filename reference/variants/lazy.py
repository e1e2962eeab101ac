"""What becomes of elements that a sparse gradient does not have: they are kept as they are, or have a gradient of zero."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import sympy

from reference.rule import STEP_COUNT, Options, StateVariable, UpdateRule, Variables

WHERE = "elements that a sparse gradient does not have"


def lazy_edits(rule: UpdateRule) -> Iterator[tuple[str, str, UpdateRule]]:
    """Name, sentence and rule of every other choice of what such elements keep; ``lazy.all`` for a rule that is not
    lazy, which shows in sparse gradients alone."""
    elements = [s.name for s in rule.state if not s.scalar]
    if not rule.lazy:
        if rule.is_elementwise:
            yield "lazy.all", f"{WHERE} keep parameter and state", _keeping(rule, ("p", *elements))
            if elements:
                yield "lazy.only.p", f"{WHERE} keep the parameter", _keeping(rule, ("p",))
        return
    yield "lazy.nothing", f"{WHERE} move and remember as with a gradient of zero", _keeping(rule, ())
    state = tuple(name for name in rule.lazy if name != "p")
    if state and "p" in rule.lazy:
        yield "lazy.only.p", f"the state of {WHERE} changes as with a gradient of zero", _keeping(rule, ("p",))
        yield "lazy.only.state", f"{WHERE} move as with a gradient of zero", _keeping(rule, state)
    for name in state if len(state) > 1 else ():
        left = tuple(n for n in rule.lazy if n != name)
        yield f"lazy.not.{name}", f"{name} of {WHERE} changes as with a gradient of zero", _keeping(rule, left)
    own = _counting_entries(rule)
    if own is not None:
        yield "lazy.own_count", "the bias is corrected by the number of entries that the element has had", own


def _counting_entries(rule: UpdateRule) -> UpdateRule | None:
    """Every power of the step count taken for each element on its own, which remembers the power itself."""
    steps = [rule.step(options) for options in rule.choices()]
    powers = {n for s in steps for a in s.assignments for n in a.expression.atoms(sympy.Pow) if n.exp == STEP_COUNT}
    names = {power: f"own_{power.base}" for power in sorted(powers, key=str) if power.base.is_Symbol}
    if not names:
        return None

    def equations(v: Variables, options: Options) -> None:
        change: dict = {power: v.let(name, getattr(v, name) * power.base) for power, name in names.items()}
        for a in rule.step(options).assignments:
            new = v.let(a.name, a.expression.xreplace(change))
            if new != a.symbol:
                change[a.symbol] = new

    own = tuple(StateVariable(name, initial=1.0, nonnegative=True) for name in names.values())
    lazy = (*rule.lazy, *names.values())
    return replace(rule, equations=equations, state=(*rule.state, *own), lazy=lazy, torch=(), _steps={})


def _keeping(rule: UpdateRule, names: tuple[str, ...]) -> UpdateRule:
    return replace(rule, lazy=names, torch=(), _steps={})
