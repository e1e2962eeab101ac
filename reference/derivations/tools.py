"""What the derivations share: a rule's symbols, and running a rule for a few steps in symbols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace

import sympy

from reference.reductions import COUNT, Reduction
from reference.rule import GRADIENT, PARAMETER, STEP_COUNT, Step, UpdateRule, unset_symbol


def symbols_of(rule: UpdateRule) -> SimpleNamespace:
    """The symbols of a rule by name: p, g, t, hyperparameters and state before the step."""
    own = {h.name: h.symbol for h in rule.hyperparameters}
    own |= {s.name: s.symbol for s in rule.state}
    return SimpleNamespace(p=PARAMETER, g=GRADIENT, t=STEP_COUNT, **own)


def simple_case(expression: sympy.Expr, **values) -> sympy.Expr:
    """The expression with symbols set to values, by the symbols' names."""
    named = {s.name: s for s in expression.free_symbols}
    return expression.xreplace({named[k]: sympy.sympify(x) for k, x in values.items() if k in named})


def branch(expression: sympy.Expr, index: int) -> sympy.Expr:
    """The expression with every Piecewise replaced by one of its branches."""
    return expression.replace(lambda e: isinstance(e, sympy.Piecewise), lambda e: e.args[index].expr)


def on_elements(expression: sympy.Expr, count: int, *symbols: sympy.Symbol) -> sympy.Expr:
    """The expression with every reduction written out over a tensor of so many elements.

    What stands outside reductions is that of the first element.

    Args:
        symbols: those that differ from element to element, beside parameter and gradient.
    """
    own = (PARAMETER, GRADIENT, *symbols)

    def at(e: sympy.Expr, i: int) -> sympy.Expr:
        return e.xreplace({s: sympy.Symbol(f"{s.name}_{i}", **s.assumptions0) for s in own})

    def written_out(e: Reduction) -> sympy.Expr:
        total = sum(at(e.args[0], i) for i in range(count))
        return total / count if e.averages else total

    counted = expression.xreplace({COUNT: sympy.Integer(count)})
    return at(counted.replace(lambda e: isinstance(e, Reduction), written_out), 0)


def run(
    step: Step,
    gradients: Sequence[sympy.Expr],
    values: Mapping[str, sympy.Expr] | None = None,
    case: int | None = None,
) -> dict[str, sympy.Expr]:
    """New values of parameter and state after a few steps from the initial state, in symbols.

    Args:
        gradients: the gradient of each step.
        values: hyperparameters that are not to stay symbols.
        case: the branch of every equation that is taken; all are kept if none is said.
    """
    values = values or {}
    equations = {name: step.solved(name) for name in step.outputs}
    if case is not None:
        equations = {name: branch(equation, case) for name, equation in equations.items()}
    own = {h.symbol: sympy.sympify(values.get(h.name, h.symbol)) for h in step.rule.hyperparameters}
    by_name = {symbol.name: value for symbol, value in own.items()}
    now: dict[str, sympy.Expr] = {"p": PARAMETER}
    for s in step.state:
        now[s.name] = by_name[s.initial] if isinstance(s.initial, str) else sympy.nsimplify(s.initial)
    for count, gradient in enumerate(gradients, start=1):
        before: dict[sympy.Basic, sympy.Basic] = dict(own)
        before |= {s.symbol: now[s.name] for s in step.state}
        before |= {unset_symbol(s.name): sympy.Integer(count == 1) for s in step.state}
        before |= {PARAMETER: now["p"], GRADIENT: gradient, STEP_COUNT: sympy.Integer(count)}
        now = {name: equation.xreplace(before) for name, equation in equations.items()}
    return now
