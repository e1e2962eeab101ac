"""The step count, off by one or standing still."""

from __future__ import annotations

from collections.abc import Iterator

import sympy
from sympy import Max

from reference.rule import STEP_COUNT
from reference.variants.equations import Change, Edit, Equations
from reference.variants.words import listed, spoken

T = STEP_COUNT
_COUNTS = {
    "early": ("the count after the next step stands in {}", T + 1),
    "late": ("the count before this step stands in {}", T - 1),
    "late_from_second": ("the count before this step stands in {}, from the second step on", Max(T - 1, 1)),
    "frozen": ("the count stays at one in {}", sympy.S.One),
    "doubled": ("every step is counted twice in {}", 2 * T),
}


def counting_edits(e: Equations) -> Iterator[Edit]:
    """The count changed everywhere, in one equation, or in all powers of one base."""
    places = e.users(T)
    if not places:
        return
    yield from _offsets(e)
    for key, (sentence, count) in _COUNTS.items():
        yield Edit(f"count.{key}", sentence.format("all equations"), e.swap({T: count}))
    yield from _outside_powers(e)
    for base in _bases(e):
        for key, (sentence, count) in _COUNTS.items():
            change: Change = {}
            for a in e.assignments:
                powers = [n for n in e.nodes(a.name, sympy.Pow) if n.base == base and T in n.exp.free_symbols]
                change |= {n: n.xreplace({T: count}) for n in powers}
            yield Edit(f"count.{key}.{base}", sentence.format(f"the powers of {spoken(base)}"), e.swap(change))
    for name in places if len(places) > 1 or _bases(e) else ():
        for key, (sentence, count) in _COUNTS.items():
            yield Edit(
                f"count.{key}.in.{name}", sentence.format(f"the equation for {name}"), e.swap({T: count}, [name])
            )


def _outside_powers(e: Equations) -> Iterator[Edit]:
    """The count changed everywhere but in powers of hyperparameters, such as bias corrections."""
    change = {}
    for a in e.assignments:
        powers: Change = {n: sympy.Dummy() for n in e.nodes(a.name, sympy.Pow) if T in n.exp.free_symbols}
        change[a.name] = a.expression.xreplace(powers), {v: k for k, v in powers.items()}
    others = [name for name, (rest, _) in change.items() if T in rest.free_symbols]
    if not _bases(e) or len(others) < 2:
        return
    for key, (sentence, count) in _COUNTS.items():
        changed = e
        for name in others:
            rest, powers = change[name]
            changed = changed.define(name, rest.xreplace({T: count}).xreplace(powers))
        yield Edit(f"count.{key}.outside_powers", sentence.format(f"the equations for {listed(others)}"), changed)


def _offsets(e: Equations) -> Iterator[Edit]:
    """t - 1 and t + 1 where the rule has one of them; t where it has another quantity's t."""
    for a in e.assignments:
        for node in e.nodes(a.name, sympy.Add):
            offset = node - T
            if offset.is_Integer:
                for other in (T - 1, T, T + 1):
                    sentence = f"{spoken(other)} stands for {spoken(node)} in the equation for {a.name}"
                    yield Edit(
                        f"count.offset.{a.name}.{node}.{other}".replace(" ", ""),
                        sentence,
                        e.swap({node: other}, [a.name]),
                    )
    for a in e.assignments:
        for b in e.assignments:
            shifted = any(a.expression.xreplace({T: T + k}) == b.expression for k in (-1, 1))
            if shifted and e.users(b.symbol):
                yield Edit(
                    f"count.for.{b.name}.{a.name}", f"{a.name} stands for {b.name}", e.swap({b.symbol: a.symbol})
                )


def _bases(e: Equations) -> list[sympy.Expr]:
    nodes = [n for a in e.assignments for n in e.nodes(a.name, sympy.Pow)]
    return list(dict.fromkeys(n.base for n in nodes if T in n.exp.free_symbols))
