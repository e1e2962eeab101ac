"""Pieces of equations that many rules share."""

from __future__ import annotations

import sympy

from reference.rule import Options, Variables


def uphill_or_down(v: Variables, options: Options) -> sympy.Expr:
    """The gradient, with its sign changed when the rule is to climb."""
    return -v.g if options.maximize else v.g


def decayed_gradient(v: Variables, options: Options) -> sympy.Symbol:
    """The gradient with weight decay as an L2 penalty: that of loss + weight_decay/2 p^2."""
    return v.let("gradient", uphill_or_down(v, options) + v.weight_decay * v.p)


def decay(v: Variables, options: Options) -> tuple[sympy.Expr, sympy.Expr]:
    """Parameter and gradient after weight decay, decoupled or not."""
    if options.decoupled_weight_decay:
        return v.p - v.lr * v.weight_decay * v.p, uphill_or_down(v, options)
    return v.p, decayed_gradient(v, options)
