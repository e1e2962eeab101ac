"""Sums over the wrong elements, means for sums, other norms, and ratios of norms that are wrong."""

from __future__ import annotations

from collections.abc import Iterator

import sympy
from sympy import Abs, Min

from reference.reductions import ColumnMean, Mean, Reduction, RowMean, Total
from reference.rule import GRADIENT, PARAMETER
from reference.variants.equations import Edit, Equations
from reference.variants.words import compact, spoken

_OTHERS: dict[type[Reduction], tuple[type[Reduction], ...]] = {
    Total: (Mean,),
    Mean: (Total,),
    RowMean: (ColumnMean, Mean),
    ColumnMean: (RowMean, Mean),
}


def reduction_edits(e: Equations) -> Iterator[Edit]:
    """Every reduction in turn, and every ratio of what they make."""
    for a in e.assignments:
        for node in e.nodes(a.name, Reduction):
            yield from _of_other_elements(e, a.name, node)
            yield from _other_norms(e, a.name, node)
            yield from _with_decay(e, a.name, node)
        yield from _ratios(e, a.name)


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
            without = node.xreplace({symbol: symbol - term})
            yield Edit(
                f"norm.without_decay.{name}", f"{spoken(term)} is missing {where}", e.swap({node: without}, [name])
            )
    gradient = next((g for g in (e.gradient, GRADIENT) if node.has(g)), None)
    if gradient is not None and "weight_decay" in e.hyperparameters:
        term = e.hyperparameters["weight_decay"] * PARAMETER
        inside = node.xreplace({gradient: gradient + term})
        yield Edit(f"norm.with_decay.{name}", f"{spoken(term)} is added {where}", e.swap({node: inside}, [name]))


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
        clipped = Min(node, sympy.S.One)
        yield Edit(
            f"ratio.clipped.{key}", f"{text} is at most 1 in the equation for {name}", e.swap({node: clipped}, [name])
        )
