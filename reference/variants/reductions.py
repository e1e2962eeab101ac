"""Sums over the wrong elements, means for sums, other norms, and ratios of norms that are wrong."""

from __future__ import annotations

from collections.abc import Iterator

import sympy
from sympy import Abs, Min

from reference.reductions import (
    ChannelTotal,
    ColumnMean,
    ColumnTotal,
    Largest,
    Mean,
    Reduction,
    RowMean,
    RowTotal,
    Total,
)
from reference.rule import GRADIENT, PARAMETER
from reference.variants.equations import HALF, Edit, Equations
from reference.variants.roles import averages, corrections, decays, increments, whole_scale
from reference.variants.words import compact, spoken

_OTHERS: dict[type[Reduction], tuple[type[Reduction], ...]] = {
    Total: (Mean,),
    Mean: (Total,),
    RowMean: (RowTotal, ColumnMean, Mean),
    ColumnMean: (ColumnTotal, RowMean, Mean),
    RowTotal: (RowMean, ColumnTotal, Total),
    ColumnTotal: (ColumnMean, RowTotal, Total),
    ChannelTotal: (Total,),
    Largest: (Mean,),
}


def reduction_edits(e: Equations) -> Iterator[Edit]:
    """Every reduction in turn, and every ratio of what they make."""
    for a in e.assignments:
        for node in e.nodes(a.name, Reduction):
            yield from _of_other_elements(e, a.name, node)
            yield from _other_norms(e, a.name, node)
            yield from _with_decay(e, a.name, node)
            yield from _after_decay(e, a.name, node)
            yield from _of_averages(e, a.name, node)
        yield from _ratios(e, a.name)
        yield from _sums_of_norms(e, a.name)
    yield from _decay_beside(e)
    yield from _scales(e)


def _scales(e: Equations) -> Iterator[Edit]:
    """What scales the step of a whole parameter, missing or turned round."""
    steps = increments(e)
    scale = whole_scale(e, steps)
    for key, sentence, factor in (
        ("missing", f"the step lacks the factor {spoken(scale)}", 1 / scale),
        ("inverted", f"{spoken(scale)} is inverted where the step is taken", 1 / scale**2),
    ):
        if scale != 1:
            changed = e.define("p", e["p"] + sympy.Add(*(t * factor - t for t in steps)))
            yield Edit(f"scale.{key}", sentence, changed)


def _of_other_elements(e: Equations, name: str, node: Reduction) -> Iterator[Edit]:
    x = node.args[0]
    where = f"in the equation for {name}"
    for other in _OTHERS[type(node)]:
        yield Edit(
            f"reduction.{other.__name__.lower()}.{name}.{compact(x)}",
            f"the {other.words} of {spoken(x)} stands for its {node.words} {where}",
            e.swap({node: other(x)}, [name]),
        )
    yield Edit(
        f"reduction.missing.{name}.{compact(x)}",
        f"{spoken(x)} of each element stands for the {node.words} {where}",
        e.swap({node: x}, [name]),
    )


def _other_norms(e: Equations, name: str, node: Reduction) -> Iterator[Edit]:
    """Of squares: the norm without squares or root, and the square of the sum."""
    x = node.args[0]
    if not (isinstance(x, sympy.Pow) and x.exp == 2):
        return
    where = f"in the equation for {name}"
    root, text = sympy.sqrt(node), compact(x.base)
    if any(n == root for n in e.nodes(name, sympy.Pow)):
        sizes = node.func(Abs(x.base))
        sentence = (
            f"the {node.words} of the sizes of {spoken(x.base)} stands for the root of that of its squares {where}"
        )
        yield Edit(f"norm.of_sizes.{name}.{text}", sentence, e.swap({root: sizes}, [name]))
    squared = f"the {node.words} of {spoken(x.base)} is squared, where that of its squares is due, {where}"
    yield Edit(f"norm.of_sum.{name}.{text}", squared, e.swap({node: node.func(x.base) ** 2}, [name]))


def _with_decay(e: Equations, name: str, node: Reduction) -> Iterator[Edit]:
    """The decay in what a norm is taken of, and not in it."""
    where = f"in what the {node.words} is taken of, in the equation for {name}"
    made = {a.symbol: a.expression for a in e.assignments}
    for symbol in sorted(node.args[0].free_symbols & set(made), key=str):
        terms = sympy.Add.make_args(made[symbol])
        decay = [t for t in terms if PARAMETER in sympy.Mul.make_args(t) and e.is_scalar(t / PARAMETER)]
        for term in decay:
            without = node.xreplace({symbol: made[symbol] - term})
            yield Edit(
                f"norm.without_decay.{name}", f"{spoken(term)} is missing {where}", e.swap({node: without}, [name])
            )
    gradient = next((g for g in (e.gradient, GRADIENT) if node.has(g)), None)
    if gradient is not None and "weight_decay" in e.hyperparameters:
        term = e.hyperparameters["weight_decay"] * PARAMETER
        inside = node.xreplace({gradient: gradient + term})
        yield Edit(f"norm.with_decay.{name}", f"{spoken(term)} is added {where}", e.swap({node: inside}, [name]))


def _after_decay(e: Equations, name: str, node: Reduction) -> Iterator[Edit]:
    """What is taken of the parameter, when that has decayed already."""
    for decay in decays(e):
        rate = decay.term / PARAMETER
        if node.has(PARAMETER) and not decay.coupled and e.is_scalar(rate):
            sentence = f"the parameter has decayed when the {node.words} is taken of it, in the equation for {name}"
            changed = e.swap({node: node.xreplace({PARAMETER: PARAMETER * (1 + rate)})}, [name])
            yield Edit(f"norm.after_decay.{name}", sentence, changed)


def _of_averages(e: Equations, name: str, node: Reduction) -> Iterator[Edit]:
    """An average of the gradient in the place of the gradient, with its bias or without."""
    for i in averages(e) if node.has(e.gradient) else ():
        if i.is_own and i.fresh == e.gradient and not node.has(e.new(i.name)):
            corrected = [c.node for c in corrections(e) if i.name in c.moments]
            for text, divisor in (("", sympy.S.One), *(("bias-corrected ", c) for c in corrected)):
                sentence = f"{text}{i.name} stands for the gradient in what the {node.words} is taken of, in the "
                changed = node.xreplace({e.gradient: e.new(i.name) / divisor})
                yield Edit(
                    f"reduction.of_{i.name}{'_corrected' if text else ''}.{name}",
                    f"{sentence}equation for {name}",
                    e.swap({node: changed}, [name]),
                )


def _ratios(e: Equations, name: str) -> Iterator[Edit]:
    """Quotients of one norm by another."""
    norms = {a.symbol for a in e.assignments if a.expression.has(Reduction)}
    for node in e.nodes(name, sympy.Mul):
        above, below = node.as_numer_denom()
        if not (above.free_symbols & norms and below.free_symbols & norms) or e.is_scalar(node):
            continue
        text, key = spoken(node), f"{name}.{compact(node)}"
        yield Edit(
            f"ratio.inverted.{key}", f"{text} is inverted in the equation for {name}", e.swap({node: 1 / node}, [name])
        )
        norms_alone = sympy.Mul(*(f for f in sympy.Mul.make_args(node) if f.free_symbols & norms))
        yield Edit(
            f"ratio.norms_inverted.{key}",
            f"{spoken(norms_alone)} is inverted in the equation for {name}",
            e.swap({node: node / norms_alone**2}, [name]),
        )
        clipped = Min(node, sympy.S.One)
        yield Edit(
            f"ratio.clipped.{key}", f"{text} is at most 1 in the equation for {name}", e.swap({node: clipped}, [name])
        )


def _norms(e: Equations) -> dict[sympy.Symbol, sympy.Expr]:
    """Intermediate quantities that are a root of a sum of squares, and of what."""
    found = {}
    for a in e.assignments:
        x = a.expression
        if isinstance(x, sympy.Pow) and x.exp == HALF and isinstance(x.base, Total):
            square = x.base.args[0]
            if isinstance(square, sympy.Pow) and square.exp == 2:
                found[a.symbol] = square.base
    return found


def _sums_of_norms(e: Equations, name: str) -> Iterator[Edit]:
    """The norm of a sum, where the sum of norms is due."""
    known = _norms(e)
    for node in e.nodes(name, sympy.Add):
        terms = {t: next((f for f in sympy.Mul.make_args(t) if f in known), None) for t in node.args}
        normed = [t for t, found in terms.items() if found is not None and e.is_scalar(t / found)]
        if len(normed) > 1:
            whole = sympy.Add(*(t / terms[t] * known[terms[t]] for t in normed))
            rest = sympy.Add(*(t for t in node.args if t not in normed))
            sentence = f"the norm of {spoken(whole)} stands for the sum of norms in the equation for {name}"
            yield Edit(f"norm.of_all.{name}", sentence, e.swap({node: rest + sympy.sqrt(Total(whole**2))}, [name]))


def _decay_beside(e: Equations) -> Iterator[Edit]:
    """A decay that is part of what a ratio of norms scales, beside it."""
    for a in e.assignments:
        decay = [t for t in sympy.Add.make_args(a.expression) if t / PARAMETER in e.hyperparameters.values()]
        if a.name == "p" or a.name in e.states or a.symbol == e.gradient or len(decay) != 1:
            continue
        for term in increments(e):
            rate = [f for f in sympy.Mul.make_args(term) if f in e.hyperparameters.values()]
            if a.symbol in sympy.Mul.make_args(term) and rate:
                sign = -1 if term.could_extract_minus_sign() else 1
                beside = term.xreplace({a.symbol: a.symbol - decay[0]}) + sign * sympy.Mul(*rate) * decay[0]
                sentence = f"{spoken(decay[0])} is in {a.name}, and is not scaled with it where the step is taken"
                yield Edit(f"decay.beside_ratio.{a.name}", sentence, e.define("p", e["p"] - term + beside))
