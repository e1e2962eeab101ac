"""Epsilon: where it is added, and to what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import sympy
from sympy import Max, sqrt

from reference.variants.equations import HALF, Change, Edit, Equations
from reference.variants.roles import Correction, Epsilon, corrections, epsilons, radicands
from reference.variants.words import spoken


@dataclass(frozen=True)
class _Divisor:
    """An epsilon with all that a rewrite of it needs.

    ``rest`` is the root that it is added to (or the square, where it is under a root), which is
    ``scale * sqrt(radicand)``.
    """

    site: Epsilon
    h: sympy.Symbol
    rest: sympy.Expr
    square: sympy.Expr
    radicand: sympy.Expr
    scale: sympy.Expr
    corrections: tuple[Correction, ...]


Form = Callable[[_Divisor], sympy.Expr | None]
_OUTSIDE: dict[str, tuple[str, Form]] = {
    "inside_root": ("{h} is inside the square root", lambda d: sqrt(d.square + d.h)),
    "inside_uncorrected_root": (
        "{h} is inside the square root, before the bias correction",
        lambda d: d.scale * sqrt(d.radicand + d.h) if d.scale != 1 else None,
    ),
    "missing": ("{h} is missing", lambda d: d.rest),
    "before_correction": (
        "{h} is added before the bias correction, which divides it too",
        lambda d: d.rest + d.h * d.scale if d.scale != 1 else None,
    ),
    "hatted": (
        "{h} is multiplied by the root of the bias correction: the epsilon-hat form without its rescaling",
        lambda d: d.rest + d.h / d.scale if d.scale != 1 else None,
    ),
    "inside_and_outside": ("{h} is added inside the square root and outside", lambda d: sqrt(d.square + d.h) + d.h),
    "floor": ("{h} bounds the root from below instead of being added", lambda d: Max(d.rest, d.h)),
    "floor_inside": ("{h} bounds what is under the root from below", lambda d: sqrt(Max(d.square, d.h))),
    "squared_inside": ("{h} squared is inside the square root", lambda d: sqrt(d.square + d.h**2)),
    "squared_inside_uncorrected": (
        "{h} squared is inside the square root, before the bias correction",
        lambda d: d.scale * sqrt(d.radicand + d.h**2) if d.scale != 1 else None,
    ),
    "without_root": ("the root is not taken: {h} is added to the square, and that divides", lambda d: d.square + d.h),
    "inside_fixed": (
        "{h} is outside the root and once more, as its square, inside",
        lambda d: sqrt(d.square + d.h**2) + d.h,
    ),
    "squared": ("{h} is squared", lambda d: d.rest + d.h**2),
    "root": ("the root of {h} is added", lambda d: d.rest + sqrt(d.h)),
    "subtracted": ("{h} is subtracted", lambda d: d.rest - d.h),
    "twice": ("{h} is added twice", lambda d: d.rest + 2 * d.h),
}
_INSIDE: dict[str, tuple[str, Form]] = {
    "outside_root": ("{h} is added outside the square root", lambda d: (sqrt(d.rest) + d.h) ** 2),
    "missing": ("{h} is missing", lambda d: d.rest),
    "inside_and_outside": (
        "{h} is added inside the square root and outside",
        lambda d: (sqrt(d.rest + d.h) + d.h) ** 2,
    ),
    "squared_inside": ("{h} under the root is squared", lambda d: d.rest + d.h**2),
    "floor": ("{h} bounds the root from below instead of being added under it", lambda d: Max(d.rest, d.h**2)),
    "floor_inside": ("{h} bounds what is under the root from below instead of being added", lambda d: Max(d.rest, d.h)),
    "subtracted": ("{h} is subtracted", lambda d: d.rest - d.h),
    "twice": ("{h} is added twice", lambda d: d.rest + 2 * d.h),
}


def epsilon_edits(e: Equations) -> Iterator[Edit]:
    """Every other place for an epsilon, in all divisors and in each."""
    sites = [s for s in epsilons(e)]
    roots = [s for s in sites if s.inside or radicands(e, s.rest)]
    groups = [("", "", roots)]
    if len(roots) > 1:
        groups += [(f".{_what(e, s)}", f" of {_what(e, s)}", [s]) for s in roots]
    for suffix, where, group in groups:
        if not group:
            continue
        forms = _INSIDE if group[0].inside else _OUTSIDE
        if len(group) > 1:
            # what is missing in one divisor alone is hard to tell from what is missing in all
            for s in group:
                yield Edit(f"epsilon.missing.{_what(e, s)}", _missing(e, s), e.swap({s.node: s.rest}, [s.name]))
        for key, (sentence, form) in forms.items():
            changed = _applied(e, group, form)
            if changed is not None:
                text = sentence.format(h=spoken(group[0].symbol))
                yield Edit(f"epsilon.{key}{suffix}", f"{text}{f', in the root{where}' if where else ''}", changed)
        yield from _elsewhere(e, group, suffix, where)
    for site in sites:
        if site not in roots:
            yield from _in_state(e, site)


def _missing(e: Equations, site: Epsilon) -> str:
    return f"{spoken(site.symbol)} is missing, where it is added to {_what(e, site)}"


def _what(e: Equations, site: Epsilon) -> str:
    """The state variable that an epsilon is added to, or the equation where it stands."""
    symbols = site.rest.free_symbols
    return next((n for n in e.states if {e.old(n), e.new(n)} & symbols), site.name)


def _divisor(e: Equations, site: Epsilon) -> _Divisor | None:
    found = [site.rest] if site.inside else radicands(e, site.rest)
    if len(found) != 1:
        return None
    radicand = found[0]
    square = site.rest if site.inside else site.rest**2
    scale = sympy.S.One if site.inside else site.rest / sqrt(radicand)
    if not e.is_scalar(scale):
        return None
    return _Divisor(site, site.symbol, site.rest, square, radicand, scale, corrections(e))


def _applied(e: Equations, sites: list[Epsilon], form: Form) -> Equations | None:
    for site in sites:
        divisor = _divisor(e, site)
        new = None if divisor is None else form(divisor)
        if new is None:
            return None
        change: Change = {site.node: new}
        if site.inside:
            # sqrt(x^2) stays as it is where sympy does not know the sign of x
            plain = new.base if isinstance(new, sympy.Pow) and new.exp == 2 else sqrt(new)
            change = {sqrt(site.node): plain, site.node**-HALF: 1 / plain, site.node: new}
        e = e.swap(change, [site.name])
    return e


def _elsewhere(e: Equations, group: list[Epsilon], suffix: str, where: str) -> Iterator[Edit]:
    """Epsilon in the average itself, on the other side of the division, or scaled by a correction."""
    site = group[0]
    h, text = site.symbol, spoken(site.symbol)
    divisor = _divisor(e, site)
    if len(group) > 1 or divisor is None:
        return
    if not site.inside:
        yield Edit(
            f"epsilon.after_reciprocal{suffix}",
            f"{text} is added to the reciprocal of the root{where}",
            _reciprocal(e, site),
        )
        for c in divisor.corrections:
            if sqrt(c.node) in _all_nodes(e) and divisor.scale == 1:
                changed = e.swap({site.node: site.rest + h * sqrt(c.node)}, [site.name])
                yield Edit(
                    f"epsilon.after_correction{suffix}", f"{text} is added to the bias-corrected root{where}", changed
                )
    for name in e.states:
        if e.new(name) == divisor.radicand or e.new(name) in divisor.radicand.free_symbols:
            inside = e.define(name, e[name] + h)
            yield Edit(
                f"epsilon.in_state_too.{name}",
                f"{text} is added to {name} in every step, and to the root{where}",
                inside,
            )
            moved = inside.swap({site.node: site.rest}, [site.name])
            yield Edit(
                f"epsilon.accumulates.{name}",
                f"{text} is added to {name} in every step and not to the root{where}",
                moved,
            )


def _reciprocal(e: Equations, site: Epsilon) -> Equations:
    whole = e.by_name[site.name]
    if whole.expression == site.node and site.name not in e.states:
        return e.swap({1 / whole.symbol: 1 / whole.symbol + site.symbol}).swap({site.node: site.rest}, [site.name])
    return e.swap({1 / site.node: 1 / site.rest + site.symbol}, [site.name])


def _all_nodes(e: Equations) -> set[sympy.Basic]:
    return {n for a in e.assignments for n in sympy.preorder_traversal(a.expression)}


def _in_state(e: Equations, site: Epsilon) -> Iterator[Edit]:
    """Epsilon that is added to something that a state variable takes in."""
    h, text, name = site.symbol, spoken(site.symbol), site.name
    without = e.swap({site.node: site.rest}, [name])
    yield Edit(f"epsilon.missing.{name}", f"{text} is missing", without)
    bound = f"{text} bounds {spoken(site.rest)} from below instead of being added, in the equation for {name}"
    yield Edit(f"epsilon.bounds.{name}", bound, e.swap({site.node: Max(site.rest, h)}, [name]))
    if name not in e.states:
        return
    new = e.new(name)
    used = without.swap({new: new + h}, besides=[name])
    yield Edit(f"epsilon.after.{name}", f"{text} is added to {name} where it is used, and not kept in it", used)
    kept = without.define(name, without[name] + h)
    yield Edit(f"epsilon.kept.{name}", f"{text} is added to the whole of {name}, and accumulates in it", kept)
    for node in e.nodes(name, Max):
        if site.node in node.args:
            args = [site.rest if a == site.node else a for a in node.args]
            yield Edit(
                f"epsilon.floor.{name}",
                f"{text} bounds {name} from below instead of being added",
                e.swap({node: Max(*args, h)}, [name]),
            )
    yield Edit(f"epsilon.squared.{name}", f"{text} is squared", e.swap({site.node: site.rest + h**2}, [name]))
