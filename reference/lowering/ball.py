"""Lowering to Arb ball arithmetic (python-flint): the exact oracle, for one element.

Inputs are binary floating-point numbers and enter exactly; the result is a ball that certainly
contains the exact value. Where a comparison cannot be decided at the working precision, the result is
the union of both outcomes, which is still an enclosure. A reduction or a function of a matrix is that of a tensor with
this one element; :mod:`reference.lowering.tensor_ball` evaluates whole tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import flint
import sympy
from sympy.logic.boolalg import BooleanFalse, BooleanTrue

from reference.matrices import COLUMNS, ROWS, OddPolynomial, singular_values_after
from reference.reductions import OfShape, Reduction
from reference.rule import RuleError, Step

FIRST_PRECISION = 192
LAST_PRECISION = 16384


class Balls:
    """Writes an expression as Python code on ``flint.arb`` objects."""

    def __init__(self, step: Step):
        self.step = step

    def write(self, e: sympy.Basic) -> str:
        if isinstance(e, sympy.Symbol):
            return "arb(1)" if e in (ROWS, COLUMNS) else f"v[{e.name!r}]"
        if isinstance(e, sympy.Integer):
            return f"arb({int(e)})"
        if isinstance(e, sympy.Rational):
            return f"(arb({e.p}) / {e.q})"
        if isinstance(e, sympy.Float):
            # a literal such as 0.96 means the double that a program would hold
            return f"arb({float(e)!r})"
        if isinstance(e, sympy.Add | sympy.Mul):
            joint = " + " if isinstance(e, sympy.Add) else " * "
            return "(" + joint.join(self.write(a) for a in e.args) + ")"
        if isinstance(e, sympy.Pow):
            return self.power(e)
        if isinstance(e, sympy.Piecewise):
            return self.piecewise(e.args)
        simple = {sympy.Abs: "abs({})", sympy.sign: "sign({})"}
        simple |= {f: "({})." + f.__name__ + "()" for f in (sympy.exp, sympy.log, sympy.tanh)}
        if type(e) in simple:
            return simple[type(e)].format(self.write(e.args[0]))
        if isinstance(e, sympy.Max | sympy.Min):
            name = "largest" if isinstance(e, sympy.Max) else "smallest"
            return f"{name}({', '.join(self.write(a) for a in e.args)})"
        if isinstance(e, Reduction):
            return self.write(e.args[0])  # of one element by itself
        if isinstance(e, OddPolynomial):
            *numbers, steps = map(self.write, e.args)
            return f"odd_polynomial({', '.join(numbers)}, int(float({steps})))"
        if isinstance(e, OfShape):
            return f"arb({e.of(())})"
        if e is sympy.nan:
            return "arb('nan')"
        raise RuleError(f"rule {self.step.rule.name!r}: {type(e).__name__} has no ball arithmetic")

    def power(self, e: sympy.Pow) -> str:
        base, exponent = self.write(e.base), e.exp
        if exponent.is_Integer:
            return f"whole({base}, {int(exponent)})"
        if exponent == sympy.Rational(1, 2):
            return f"({base}).sqrt()"
        if exponent == sympy.Rational(-1, 2):
            return f"(1 / ({base}).sqrt())"
        if exponent.is_Rational and (2 * exponent).is_Integer:
            return f"whole(({base}).sqrt(), {int(2 * exponent)})"
        if exponent.is_Rational:
            return f"whole(root({base}, {exponent.q}), {exponent.p})"
        return f"power({base}, {self.write(exponent)})"

    def piecewise(self, branches) -> str:
        if not branches:
            return "arb('nan')"
        (value, condition), *rest = branches
        if isinstance(condition, BooleanTrue):
            return self.write(value)
        return f"choose({self.condition(condition)}, lambda: {self.write(value)}, lambda: {self.piecewise(rest)})"

    def condition(self, c: sympy.Basic) -> str:
        if isinstance(c, BooleanTrue | BooleanFalse):
            return str(bool(c))
        if isinstance(c, sympy.ITE):
            return self.condition(c.to_nnf(simplify=False))
        if isinstance(c, sympy.And | sympy.Or):
            return f"{'both' if isinstance(c, sympy.And) else 'either'}({', '.join(map(self.condition, c.args))})"
        if isinstance(c, sympy.Not):
            return f"negation({self.condition(c.args[0])})"
        return f"compare({type(c).__name__!r}, {self.write(c.lhs)}, {self.write(c.rhs)})"


# -- run time: three-valued comparisons (None: cannot be decided) ---------------------------


def _compare(kind: str, a, b) -> bool | None:
    difference = a - b
    if difference.is_nan():
        return None
    if kind in ("Equality", "Unequality"):
        equal = True if difference.is_zero() else None if difference.contains(0) else False
        return equal if kind == "Equality" or equal is None else not equal
    if difference.contains(0) and not difference.is_exact():
        return None
    sign = 0 if difference.is_zero() else 1 if difference > 0 else -1
    return {
        "StrictGreaterThan": sign > 0,
        "GreaterThan": sign >= 0,
        "StrictLessThan": sign < 0,
        "LessThan": sign <= 0,
    }[kind]


def _choose(test: bool | None, yes: Callable, no: Callable):
    if test is None:
        return yes().union(no())
    return yes() if test else no()


def _both(*tests: bool | None) -> bool | None:
    if False in tests:
        return False
    return None if None in tests else True


def _either(*tests: bool | None) -> bool | None:
    if True in tests:
        return True
    return None if None in tests else False


def _negation(test: bool | None) -> bool | None:
    return None if test is None else not test


def _sign(a):
    if a.is_zero():
        return flint.arb(0)
    if a > 0:
        return flint.arb(1)
    if a < 0:
        return flint.arb(-1)
    return flint.arb(0, 1)


def _whole(base: flint.arb, exponent: int) -> flint.arb:
    """A whole power; that of Arb is nan where the middle of the ball is zero."""
    if exponent < 0:
        return 1 / _whole(base, -exponent)
    result = flint.arb(1)
    for _ in range(exponent):
        result = result * base
    return result


def _power(base, exponent):
    if base.is_zero() and exponent > 0:
        return flint.arb(0)
    return base**exponent


def _root(base, degree: int):
    return flint.arb(0) if base.is_zero() else base.root(degree)


def largest(*values):
    result = values[0]
    for value in values[1:]:
        result = result.max(value)
    return result


def _smallest(*values):
    result = values[0]
    for value in values[1:]:
        result = result.min(value)
    return result


RUNTIME = {
    "arb": flint.arb,
    "compare": _compare,
    "choose": _choose,
    "both": _both,
    "either": _either,
    "negation": _negation,
    "sign": _sign,
    "power": _power,
    "whole": _whole,
    "root": _root,
    "largest": largest,
    "smallest": _smallest,
    "odd_polynomial": singular_values_after,
}


@lru_cache(maxsize=512)
def lower_to_balls(step: Step) -> Callable[[dict], dict]:
    """Ball arithmetic for one step: ``evaluate(v)`` fills ``v`` (name to arb) with all assignments."""
    writer = Balls(step)
    lines = [f"    v[{a.symbol.name!r}] = {writer.write(a.expression)}" for a in step.assignments]
    source = "def evaluate(v):\n" + "\n".join(lines) + "\n    return v\n"
    namespace: dict[str, Any] = dict(RUNTIME)
    exec(compile(source, f"<{step.rule.name} in balls>", "exec"), namespace)
    return namespace["evaluate"]


def exact_step(step: Step, values: Mapping[str, float], resolution: Mapping[str, float]) -> dict:
    """Enclosures of the new values of one element.

    Args:
        values: every symbol of the step by name, as the float (or int) it really was; ``"g.entry"`` is zero where a
            sparse gradient does not have this element.
        resolution: for each output, the allowance that the enclosure must be finer than.

    Returns:
        name of the output to ``flint.arb``; an enclosure that is still wider than a thousandth of the
        allowance at the last precision is returned as it is (its radius says so).
    """
    evaluate = lower_to_balls(step)
    precision, before = FIRST_PRECISION, flint.ctx.prec
    try:
        while True:
            flint.ctx.prec = precision
            v = evaluate({name: flint.arb(value) for name, value in values.items() if value is not None})
            result = {name: v[step.new_symbol(name).name] for name in step.outputs}
            if not values.get("g.entry", True):
                result |= {name: flint.arb(values[name]) for name in step.rule.lazy if name in result}
            coarse = any(not float(result[name].rad()) <= resolution[name] * 2.0**-10 for name in step.outputs)
            if not coarse or precision >= LAST_PRECISION:
                return result
            precision *= 4
    finally:
        flint.ctx.prec = before


def distance(ball, got: float) -> float:
    """A lower bound on |got - exact|: how far ``got`` certainly is from the exact value."""
    difference = abs(flint.arb(got) - ball)
    lower = float(difference.abs_lower())
    return lower
