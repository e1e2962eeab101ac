"""Weights of mixtures, differences that are turned round, and what is clipped: slips that any equation may have."""

from __future__ import annotations

from collections.abc import Iterator

import sympy
from sympy import Abs, Max, Min, Piecewise, sign

from reference.rule import STEP_COUNT
from reference.variants.equations import Change, Edit, Equations
from reference.variants.roles import averages, inflows
from reference.variants.words import compact, listed, spoken


def mixture_edits(e: Equations) -> Iterator[Edit]:
    """Weights that add up to one, and those that should."""
    yield from _exchanged_weights(e)
    for a in e.assignments:
        for node in e.nodes(a.name, sympy.Add):
            yield from _one_sided(e, a.name, node)
            yield from _turned(e, a.name, node)
        for node in e.nodes(a.name, sympy.Mul):
            yield from _signed_products(e, a.name, node)
        for node in e.nodes(a.name, Abs):
            turned = -node.args[0]
            sentence = f"{spoken(turned)} is taken with its sign and not by its size, in the equation for {a.name}"
            yield Edit(f"size.turned.{a.name}", sentence, e.swap({node: turned}, [a.name]))
        yield from _clipped(e, a.name)
    yield from _exponents(e)
    yield from _clipped_later(e)
    yield from _kept_as_used(e)


def _exchanged_weights(e: Equations) -> Iterator[Edit]:
    """w for 1 - w and the reverse, in one equation and, for all weights but those of averages, everywhere."""
    keeps = {a.keep: a.name for a in averages(e) if a.is_own}
    weights: dict[sympy.Symbol, list[str]] = {}
    # as the rule has it, for the step is multiplied out here
    for a in e.step.assignments:
        complements = {1 - n for n in sympy.preorder_traversal(a.expression) if isinstance(n, sympy.Add)}
        for w in sorted((w for w in complements if w.is_Symbol and e.is_scalar(w)), key=str):
            outside = a.expression.xreplace({1 - w: sympy.Symbol("complement", positive=True)})
            if w in outside.free_symbols and a.name in e.by_name and not (w in keeps and a.name in e.states):
                weights.setdefault(w, []).append(a.name)
                sentence = f"{spoken(w)} and 1 - {spoken(w)} are exchanged in the equation for {a.name}"
                yield Edit(f"mixture.exchanged.{a.name}.{w}", sentence, e.swap({w: 1 - w}, [a.name]))
    everywhere = [w for w in weights if w not in keeps]
    if len(everywhere) > 1:
        sentence = f"{listed(spoken(w) for w in everywhere)} weigh what their complements should, and the reverse"
        yield Edit("mixture.exchanged", sentence, e.swap({w: 1 - w for w in everywhere}))
    for w, name in keeps.items():
        if w in e.hyperparameters.values() and e.users(w) != (name,):
            sentence = f"1 - {spoken(w)} stands for {spoken(w)} wherever it is not the weight of {name}"
            yield Edit(f"mixture.complement.{name}.{w}", sentence, e.swap({w: 1 - w}, besides=[name]))


def _one_sided(e: Equations, name: str, node: sympy.Add) -> Iterator[Edit]:
    """x + w y that should be a mean, and (1 - w) x + w y that should not."""
    if len(node.args) != 2 or (name == "p" and node == e["p"]) or e.is_scalar(node):
        return
    for one, other in (node.args, node.args[::-1]):
        for w in sympy.Mul.make_args(other):
            if w not in e.hyperparameters.values() or other == w or w in one.free_symbols:
                continue
            sentence = f"{spoken(one)} is weighed with 1 - {spoken(w)} in {spoken(node)}, in the equation for {name}"
            mean = (1 - w) * one + other
            yield Edit(f"mixture.mean.{name}.{w}", sentence, e.swap({node: mean}, [name]))


def _turned(e: Equations, name: str, node: sympy.Add) -> Iterator[Edit]:
    """The difference of two quantities, taken the other way round."""
    if name == "p" and node == e["p"]:
        return
    negative = [t for t in node.args if t.could_extract_minus_sign()]
    if len(node.args) == 2 and len(negative) == 1 and not any(e.is_scalar(t) for t in node.args):
        sentence = f"{spoken(node)} is taken the other way round in the equation for {name}"
        changed = e.swap({node: -node}, [name])
        yield Edit(f"difference.turned.{name}.{compact(node)}", sentence, changed)
        if name in e.states and e.states[name].nonnegative:
            floored = changed.define(name, Max(changed[name], 0))
            sentence = f"{sentence}, which is kept from being negative"
            yield Edit(f"difference.turned_floored.{name}.{compact(node)}", sentence, floored)


def _signed_products(e: Equations, name: str, node: sympy.Mul) -> Iterator[Edit]:
    """The sign of something, by which something else is multiplied."""
    for factor in node.args:
        if not isinstance(factor, sign):
            continue
        x = factor.args[0]
        others = [f for f in node.args if f != factor and not e.is_scalar(f)]
        plain = node / factor / sympy.Mul(*others) * x
        sentence = f"{spoken(x)} itself is taken, not its sign times {spoken(sympy.Mul(*others))}"
        if others:
            yield Edit(
                f"sign.and_size.{name}", f"{sentence}, in the equation for {name}", e.swap({node: plain}, [name])
            )


def _clipped(e: Equations, name: str) -> Iterator[Edit]:
    """Factors that are clipped with what they multiply, and that are not."""
    for node in e.nodes(name, sympy.Mul):
        for clip in [f for f in node.args if isinstance(f, Min | Max)]:
            for factor in [f for f in node.args if f != clip and not f.is_number]:
                inside = _scaled_inside(e, clip, factor)
                if inside is not None:
                    sentence = f"{spoken(factor)} is in what is clipped and not outside, in the equation for {name}"
                    changed = e.swap({node: node / clip / factor * inside}, [name])
                    yield Edit(f"clip.takes_in.{name}.{compact(factor)}", sentence, changed)


def _scaled_inside(e: Equations, clip: sympy.Expr, factor: sympy.Expr) -> sympy.Expr | None:
    """A clip whose inner part, the one that differs from element to element, is multiplied."""
    if not isinstance(clip, Min | Max):
        return None if e.is_scalar(clip) else clip * factor
    changed = [(a, _scaled_inside(e, a, factor)) for a in clip.args]
    found = [(a, new) for a, new in changed if new is not None]
    if len(found) != 1:
        return None
    return clip.func(*(found[0][1] if a == found[0][0] else a for a in clip.args))


def _clipped_later(e: Equations) -> Iterator[Edit]:
    """What flows into a state variable is clipped, and the variable should not be; or the other way round."""
    made = {a.symbol: a.expression for a in e.assignments}
    for i in inflows(e):
        fresh = made.get(i.fresh, i.fresh)
        if i.is_own and isinstance(fresh, Min | Max):
            free = _unclipped(e, fresh)
            if free is not None:
                clipped = _with_inner(e, fresh, i.made(i.keep, i.gain, free))
                sentence = f"{i.name} is clipped, and not what flows into it"
                yield Edit(f"clip.later.{i.name}", sentence, e.swap({i.node: clipped}, [i.name]))


def _unclipped(e: Equations, clip: sympy.Expr) -> sympy.Expr | None:
    while isinstance(clip, Min | Max):
        inner = [a for a in clip.args if not e.is_scalar(a)]
        if len(inner) != 1:
            return None
        clip = inner[0]
    return clip


def _with_inner(e: Equations, clip: sympy.Expr, value: sympy.Expr) -> sympy.Expr:
    if not isinstance(clip, Min | Max):
        return value
    return clip.func(*(a if e.is_scalar(a) else _with_inner(e, a, value) for a in clip.args))


def _exponents(e: Equations) -> Iterator[Edit]:
    """Other roots, in one equation and in all."""
    found: dict[sympy.Expr, list[tuple[str, sympy.Pow]]] = {}
    for a in e.assignments:
        for node in e.nodes(a.name, sympy.Pow):
            if node.exp.is_Rational and node.exp.q > 1 and (node.exp.q > 2 or node.base == STEP_COUNT):
                found.setdefault(abs(node.exp), []).append((a.name, node))
    for exponent, places in found.items():
        for q in (2, 3, 4):
            new = {node: node.base ** sympy.Rational(1 if node.exp > 0 else -1, q) for _, node in places}
            sentence = f"the power 1/{q} stands for the power {exponent}"
            if len(places) > 1:
                yield Edit(f"root.{q}.all.{compact(exponent)}", f"{sentence} in all equations", e.swap(dict(new)))
            for name, node in places:
                text = f"{sentence} of {spoken(node.base)} in the equation for {name}"
                yield Edit(f"root.{q}.{name}.{compact(node.base)}", text, e.swap({node: new[node]}, [name]))


def _kept_as_used(e: Equations) -> Iterator[Edit]:
    """A state variable is stored as it is used, with a factor that differs from element to element."""
    for state in e.states:
        new = e.new(state)
        for a in e.assignments:
            for node in e.nodes(a.name, sympy.Mul) if a.name != state else ():
                factors = [f for f in node.args if f.is_Symbol and f != new and not e.is_scalar(f)]
                for factor in factors if new in node.args else ():
                    changed = e.swap({node: node / factor}, [a.name]).define(state, e[state] * factor)
                    sentence = f"{state} is stored multiplied by {spoken(factor)}, as the step uses it"
                    yield Edit(f"history.stored_as_used.{state}", sentence, changed)


def case_edits(e: Equations) -> Iterator[Edit]:
    """One case for all, without a factor that it alone has."""
    for a in e.assignments:
        for node in e.nodes(a.name, Piecewise):
            if len(node.args) != 2:
                continue
            (one, condition), (other, _) = node.args
            for value, against, text in ((one, other, spoken(condition)), (other, one, "the other")):
                common = {f for t in sympy.Add.make_args(against) for f in sympy.Mul.make_args(t)}
                for factor in sympy.Mul.make_args(value):
                    if factor.is_number or factor in common or not e.is_scalar(factor):
                        continue
                    sentence = (
                        f"the case {text} is always taken, without {spoken(factor)}, in the equation for {a.name}"
                    )
                    changed: Change = {node: value / factor}
                    name = f"branch.always_without.{a.name}.{compact(condition)}.{compact(factor)}"
                    yield Edit(name, sentence, e.swap(changed, [a.name]))
