"""Maxima and minima: of other things, before or after the bias correction, or not taken at all."""

from __future__ import annotations

from collections.abc import Iterator

import sympy
from sympy import Abs, Max, Min

from reference.variants.equations import Edit, Equations
from reference.variants.roles import corrections
from reference.variants.words import compact, spoken


def maximum_edits(e: Equations) -> Iterator[Edit]:
    """Every other maximum or minimum."""
    for a in e.assignments:
        bounds = list(e.nodes(a.name, Max, Min))
        for node in bounds:
            yield from _of(e, a.name, node)
        if len(bounds) > 1:
            plain = a.expression
            for node in bounds:
                plain = plain.xreplace(
                    {node: _without_scalars(e, node).xreplace({b: _without_scalars(e, b) for b in bounds})}
                )
            yield Edit(f"maximum.unbounded.{a.name}", f"{a.name} has no bounds at all", e.define(a.name, plain))
    for name in e.states:
        yield from _running(e, name)


def _without_scalars(e: Equations, node: sympy.Expr) -> sympy.Expr:
    lanes = [x for x in node.args if not e.is_scalar(x)]
    return lanes[0] if len(lanes) == 1 else node


def _of(e: Equations, name: str, node: sympy.Expr) -> Iterator[Edit]:
    larger = isinstance(node, Max)
    word, other = ("maximum", "minimum") if larger else ("minimum", "maximum")
    opposite = (Min if larger else Max)(*node.args)
    yield Edit(
        f"{word}.opposite.{name}",
        f"the {other} stands for the {word} in the equation for {name}",
        e.swap({node: opposite}, [name]),
    )
    yield Edit(
        f"{word}.sum.{name}",
        f"a sum stands for the {word} in the equation for {name}",
        e.swap({node: sympy.Add(*node.args)}, [name]),
    )
    for x in node.args:
        rest = [y for y in node.args if y != x]
        if isinstance(x, sympy.Pow) and x.exp == 2:
            yield Edit(
                f"{word}.unsquared.{name}.{compact(x)}",
                f"{spoken(x.base)}, and not its square, is what the {word} is taken with in the equation for {name}",
                e.swap({node: node.func(x.base, *rest)}, [name]),
            )
        changed = e.swap({node: node.func(*rest)}, [name])
        text = _text(x)
        yield Edit(
            f"{word}.without.{name}.{text}", f"{text} is left out of the {word} in the equation for {name}", changed
        )


def _text(x: sympy.Expr) -> str:
    return ("the new " if "'" in str(x) else "") + spoken(x)


def _running(e: Equations, name: str) -> Iterator[Edit]:
    """The largest value so far of what is bias-corrected where it is used."""
    old, new = e.old(name), e.new(name)
    node = e[name]
    if not isinstance(node, Max) or old not in node.args:
        if isinstance(node, Max):
            yield from _undecayed(e, name, node)
        return
    others = [x for x in node.args if x != old]
    for c in corrections(e):
        if not any(e.new(m) in x.free_symbols for m in c.moments for x in others):
            continue
        corrected = e.define(name, Max(old, *(x / c.node for x in others)))
        twice = f"{name} is the largest of bias-corrected values, which are corrected once more"
        yield Edit(f"maximum.corrected_twice.{name}", twice, corrected)
        changed = corrected.swap({new: new * c.node}, besides=[name])
        yield Edit(f"maximum.after_correction.{name}", f"{name} is the largest of bias-corrected values", changed)
        raw = e.swap({new: Max(old, *others) * c.node}, besides=[name])
        yield Edit(f"maximum.uncorrected.{name}", f"{name} is not bias-corrected", raw)
    signed = Max(old, *(Abs(x) for x in others))
    yield Edit(f"maximum.of_size.{name}", f"{name} is the largest size so far", e.define(name, signed))


def _undecayed(e: Equations, name: str, node: Max) -> Iterator[Edit]:
    """Weights of the old value: left out, or the other way round."""
    old = e.old(name)
    for x in node.args:
        if old not in sympy.Mul.make_args(x) or x == old:
            continue
        weight, rest = x / old, [y for y in node.args if y != x]
        forms = {
            "undecayed": (f"the old {name} is not multiplied by {spoken(weight)}", Max(old, *rest)),
            "complement": (f"the old {name} is multiplied by 1 - {spoken(weight)}", Max((1 - weight) * old, *rest)),
            "damped": (
                f"what is new enters {name} with 1 - {spoken(weight)}",
                Max(x, *((1 - weight) * y for y in rest)),
            ),
        }
        for key, (sentence, new) in forms.items():
            yield Edit(f"maximum.{key}.{name}", sentence, e.define(name, new))
