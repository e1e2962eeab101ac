"""Lowering to LaTeX, and to plain text for a terminal."""

from __future__ import annotations

import sympy
from sympy.printing.latex import greek_letters_set

from reference.rule import Step

_NAMES = {
    "lr": r"\eta",
    "beta1": r"\beta_1",
    "beta2": r"\beta_2",
    "eps": r"\epsilon",
    "weight_decay": r"\lambda",
    "momentum": r"\mu",
    "dampening": r"\tau",
    "rho": r"\rho",
    "alpha": r"\alpha",
    "t": "t",
    "p": r"\theta",
    "g": "g",
    "exp_avg": "m",
    "exp_avg_sq": "v",
    "max_exp_avg_sq": r"\hat{v}",
    "momentum_buffer": "b",
    "square_avg": "v",
    "grad_avg": r"\bar{g}",
    "exp_inf": "u",
    "sum": "s",
}


def _escape(name: str) -> str:
    return r"\mathrm{" + name.replace("_", r"\_") + "}"


def symbol_names(step: Step) -> dict[sympy.Symbol, str]:
    """LaTeX of every symbol: old values carry the index t-1, new ones t."""
    changing = {"p", *(s.name for s in step.rule.state)}
    names = {}
    for symbol in step.is_scalar:
        base = symbol.name.removesuffix("'")
        text = _NAMES.get(base, _escape(base))
        if base in changing:
            text += "_{t}" if symbol.name.endswith("'") else "_{t-1}"
        elif base == "g":
            text += "_{t}"
        names[symbol] = text
    return names


def step_latex(step: Step) -> str:
    """The ordered assignments as an ``align*`` environment."""
    names = symbol_names(step)
    rows = [f"{names[a.symbol]} &= {sympy.latex(a.expression, symbol_names=names)}" for a in step.assignments]
    return "\\begin{align*}\n" + " \\\\\n".join(rows) + "\n\\end{align*}"


def equation_latex(step: Step, left: sympy.Expr, right: sympy.Expr) -> str:
    """One equation of the derivation of the step's rule, its sides on two lines."""
    names = symbol_names(step)
    for symbol in sympy.sympify(left).free_symbols | sympy.sympify(right).free_symbols:
        names.setdefault(symbol, _letter(symbol.name))
    sides = (sympy.latex(side, symbol_names=names) for side in (left, right))
    return "\\begin{align*}\n& " + " \\\\\n& = ".join(sides) + "\n\\end{align*}"


def _letter(name: str) -> str:
    """A symbol that is no part of the step, such as ``beta``, ``g1``, ``lr_old`` or ``spread``."""
    if name in _NAMES:
        return _NAMES[name]
    stem, _, index = name.partition("_")
    if len(stem.rstrip("0123456789")) > 1 and stem.rstrip("0123456789") not in greek_letters_set | {*_NAMES}:
        return _escape(name)
    letter = _NAMES.get(stem) or sympy.latex(sympy.Symbol(stem))
    return letter + rf"_{{\mathrm{{{index}}}}}" if index else letter


def step_text(step: Step) -> str:
    """The ordered assignments in ASCII, one to a line."""
    rows = []
    for a in step.assignments:
        rows.append(f"{a.symbol.name} = {sympy.sstr(a.expression)}")
    return "\n".join(rows)
