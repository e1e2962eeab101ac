"""Lowering to LaTeX, and to plain text for a terminal."""

from __future__ import annotations

import sympy

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


def step_text(step: Step) -> str:
    """The ordered assignments in ASCII, one to a line."""
    rows = []
    for a in step.assignments:
        rows.append(f"{a.symbol.name} = {sympy.sstr(a.expression)}")
    return "\n".join(rows)
