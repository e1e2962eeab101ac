"""Bias correction: missing, late, early, of the wrong moment, or in the wrong place."""

from __future__ import annotations

from collections.abc import Iterator

import sympy
from sympy import Max

from reference.rule import STEP_COUNT
from reference.variants.equations import HALF, Change, Edit, Equations, power_of
from reference.variants.roles import Correction, averages, corrections, increments
from reference.variants.words import listed, spoken


def correction_edits(e: Equations) -> Iterator[Edit]:
    """Every other bias correction, of all moments and of each."""
    found = corrections(e)
    groups = [("", found)] if found else []
    if len(found) > 1:
        groups += [(f".{_of(c)}", (c,)) for c in found]
    forms = [(suffix, *form) for suffix, group in groups for form in _forms(group)]
    keys = list(dict.fromkeys(key for _, key, _, _ in forms))
    for number, wanted in enumerate(keys):
        for suffix, key, sentence, change in forms:
            if key == wanted:
                yield Edit(f"correction.{key}{suffix}", sentence, e.swap(change))
        for c in found if number == 0 else ():
            yield from _roots(e, c)
    yield from _swapped(e, found)
    yield from _kept_in_state(e, found)
    yield from _one_place(e, found)
    yield from _uncorrected(e, found)
    yield from _products(e)
    yield from _of_the_whole(e, found)
    yield from _in_step_size(e, found)


def _of_the_whole(e: Equations, found: tuple[Correction, ...]) -> Iterator[Edit]:
    """What a corrected moment is a part of is corrected as a whole."""
    whole, names = e, []
    hats = {a.symbol: a.expression for a in e.assignments if any(a.expression == h for h in _corrected(e, found))}
    for a in e.assignments:
        if a.name in e.states or a.name == "p" or a.symbol in hats:
            continue
        expression = a.expression.xreplace(hats)
        own = [c for c in found if c.moments and expression.has(c.node) and expression.has(e.new(c.moments[0]))]
        if len(own) != 1 or not isinstance(expression, sympy.Add):
            continue
        corrected = expression.xreplace({own[0].node: sympy.S.One}) / own[0].node
        names.append(a.name)
        whole = whole.define(a.name, corrected)
        sentence = f"all of {a.name} is bias-corrected, and not {own[0].moments[0]} alone"
        yield Edit(f"correction.of_whole.{a.name}", sentence, e.define(a.name, corrected))
    if len(names) > 1:
        yield Edit("correction.of_whole", f"all of {listed(names)} is bias-corrected, and not the moments alone", whole)


def _corrected(e: Equations, found: tuple[Correction, ...]) -> list[sympy.Expr]:
    return [e.new(name) / c.node for c in found for name in c.moments]


def _in_step_size(e: Equations, found: tuple[Correction, ...]) -> Iterator[Edit]:
    """Corrections in the step size, after all else was made of the moments as they are."""
    inner = [c for c in found if c.moments and not e["p"].has(c.node)]
    if len(inner) < 2:
        return
    factor = sympy.S.One
    for c in inner:
        squared = any(i.is_own and i.name in c.moments and _is_square(i.fresh) for i in averages(e))
        factor *= sympy.sqrt(c.node) if squared else 1 / c.node
    bare = e.swap({c.node: sympy.S.One for c in inner})
    moving = increments(bare)
    changed = bare.define("p", bare["p"] - sympy.Add(*moving) + sympy.Add(*(t * factor for t in moving)))
    sentence = "the bias is corrected in the step size alone, after all else was made of uncorrected moments"
    yield Edit("correction.in_step_size", sentence, changed)


def _is_square(x: sympy.Expr) -> bool:
    return isinstance(x, sympy.Pow) and x.exp == 2


def _of(c: Correction) -> str:
    return c.moments[0] if len(c.moments) == 1 else c.beta.name


def _forms(group: tuple[Correction, ...]) -> Iterator[tuple[str, str, Change]]:
    names = dict.fromkeys(_of(c) for c in group)
    of = listed(names)
    t = STEP_COUNT
    several = len(names) > 1
    yield "missing", f"{of} {'are' if several else 'is'} not bias-corrected", {c.node: sympy.S.One for c in group}
    late = "the bias correction of {} uses the count before this step, from the second step on"
    yield "late", late.format(of), {c.node: c.node.xreplace({t: Max(t - 1, 1)}) for c in group}
    early = "the bias correction of {} uses the count after the next step"
    yield "early", early.format(of), {c.node: c.node.xreplace({t: t + 1}) for c in group}
    frozen = "the bias correction of {} stays at its first value"
    yield "frozen", frozen.format(of), {c.node: c.node.xreplace({t: sympy.S.One}) for c in group}
    complement = "1 minus is applied twice in the bias correction of {}, which is beta^t"
    yield "complement", complement.format(of), {c.node: c.power for c in group}
    yield "twice", f"{of} {'are' if several else 'is'} bias-corrected twice", {c.node: c.node**2 for c in group}
    multiplied = "{} {} multiplied by the bias correction instead of divided"
    yield "multiplied", multiplied.format(of, "are" if several else "is"), {c.node: 1 / c.node for c in group}
    yield (
        "unpowered",
        f"the bias correction of {of} is 1 - beta/t: a division stands for the power",
        {c.node: 1 - c.beta / t for c in group},
    )


def _swapped(e: Equations, found: tuple[Correction, ...]) -> Iterator[Edit]:
    betas = list(dict.fromkeys(c.beta for c in found))
    if len(found) == 2 and len(betas) == 2:
        one, two = found
        change: Change = {
            one.node: one.node.xreplace({one.beta: two.beta}),
            two.node: two.node.xreplace({two.beta: one.beta}),
        }
        yield Edit(
            "correction.betas_swapped", "each moment is bias-corrected with the other one's beta", e.swap(change)
        )
    others = list(dict.fromkeys([*betas, *(a.keep for a in averages(e) if isinstance(a.keep, sympy.Symbol))]))
    for c in found:
        for beta in others:
            if beta != c.beta:
                changed = e.swap({c.node: c.node.xreplace({c.beta: beta})})
                yield Edit(f"correction.{beta}.{_of(c)}", f"{_of(c)} is bias-corrected with {beta}", changed)


def _roots(e: Equations, c: Correction) -> Iterator[Edit]:
    """The root of a correction taken or not taken."""
    of = _of(c)
    whole: Change = {c.node**-HALF: 1 / c.node, c.node**HALF: c.node}
    yield Edit(
        f"correction.outside_root.{of}",
        f"the root of {of} is corrected with 1 - {c.power}, whose root is not taken",
        e.swap(whole),
    )
    rooted: Change = {1 / c.node: c.node**-HALF}
    yield Edit(f"correction.root.{of}", f"{of} is corrected with the root of 1 - {c.power}", e.swap(rooted))
    complement: Change = {c.node**-HALF: c.power**-HALF, c.node**HALF: c.power**HALF}
    sentence = f"1 minus is applied twice under the root that corrects {of}"
    yield Edit(f"correction.root_of_complement.{of}", sentence, e.swap(complement))


def _kept_in_state(e: Equations, found: tuple[Correction, ...]) -> Iterator[Edit]:
    """The corrected moment is what is kept, so that corrections compound."""
    both = e
    for c in found:
        for name in c.moments:
            one = e.swap({c.node: sympy.S.One}, besides=[name]).define(name, e[name] / c.node)
            both = both.swap({c.node: sympy.S.One}, besides=[name]).define(name, both[name] / c.node)
            yield Edit(
                f"correction.compounding.{name}",
                f"{name} is bias-corrected in place, so that corrections compound",
                one,
            )
    if len(found) > 1:
        yield Edit(
            "correction.compounding", "the moments are bias-corrected in place, so that corrections compound", both
        )


def _one_place(e: Equations, found: tuple[Correction, ...]) -> Iterator[Edit]:
    """Missing in one equation, or in one branch, alone."""
    for c in found:
        places = [a.name for a in e.assignments if c.node in set(sympy.preorder_traversal(a.expression))]
        if len(places) > 1:
            for name in places:
                sentence = f"the bias correction of {_of(c)} is missing in the equation for {name}"
                yield Edit(f"correction.missing_in.{name}.{_of(c)}", sentence, e.swap({c.node: sympy.S.One}, [name]))
        for name in places:
            for node in e.nodes(name, sympy.Piecewise):
                yield from _branches(e, c, name, node)


def _branches(e: Equations, c: Correction, name: str, node: sympy.Piecewise) -> Iterator[Edit]:
    holding = [k for k, (value, _) in enumerate(node.args) if c.node in set(sympy.preorder_traversal(value))]
    if len(holding) < 2:
        return
    for k in holding:
        branches = [(v.xreplace({c.node: sympy.S.One}) if i == k else v, w) for i, (v, w) in enumerate(node.args)]
        changed = e.swap({node: sympy.Piecewise(*branches, evaluate=False)}, [name])
        when = "otherwise" if node.args[k][1] == sympy.true else f"if {spoken(node.args[k][1])}"
        sentence = f"{_of(c)} is not bias-corrected in the branch of {name} that is taken {when}"
        yield Edit(f"correction.missing_in.{name}.{_of(c)}.branch{k + 1}", sentence, changed)


def _uncorrected(e: Equations, found: tuple[Correction, ...]) -> Iterator[Edit]:
    """Correction of what has none: an average, or whatever decays by a hyperparameter."""
    corrected = {name for c in found for name in c.moments}
    for name in e.states:
        if name in corrected or e.states[name].scalar:
            continue
        for beta in _decay_factors(e, name):
            new = e.new(name)
            changed = e.swap({new: new / (1 - beta**STEP_COUNT)}, besides=[name])
            yield Edit(
                f"correction.added.{name}.{beta}",
                f"{name} is bias-corrected with {beta}, though the rule does not correct it",
                changed,
            )


def _decay_factors(e: Equations, name: str) -> list[sympy.Symbol]:
    old = e.old(name)
    below_one = {h.symbol for h in e.step.rule.hyperparameters if h.high == 1}
    factors = [f for n in e.nodes(name, sympy.Mul) if old in n.args for f in n.args]
    return [f for f in dict.fromkeys(factors) if f in below_one]


def _products(e: Equations) -> Iterator[Edit]:
    """Corrections by a running product, such as NAdam's, which is a state variable."""
    for a in e.assignments:
        for node in e.nodes(a.name, sympy.Add):
            rest = 1 - node
            if len(node.args) != 2 or sympy.S.One not in node.args or power_of(node) is not None or rest.is_number:
                continue
            if not e.is_scalar(node) or not _has_new_scalar(e, rest):
                continue
            text = spoken(rest)
            yield Edit(
                f"correction.missing.{a.name}.{text}",
                f"the division by 1 - {text} is missing in the equation for {a.name}",
                e.swap({node: sympy.S.One}, [a.name]),
            )
            yield Edit(
                f"correction.complement.{a.name}.{text}",
                f"1 minus is applied twice where {a.name} is divided by 1 - {text}",
                e.swap({node: rest}, [a.name]),
            )
    for name, variable in e.states.items():
        factors = sympy.Mul.make_args(e[name])
        if not variable.scalar or variable.symbol not in factors or len(factors) < 2:
            continue
        factor = e[name] / variable.symbol
        new = e.new(name)
        yield Edit(f"product.newest.{name}", f"{name} holds only the newest factor", e.define(name, factor))
        yield Edit(f"product.twice.{name}", f"{spoken(factor)} enters {name} twice", e.define(name, e[name] * factor))
        places = _products_with(e, new, name)
        further = {x for _, _, term in places for x in sympy.Mul.make_args(abs_(term))} - {new}
        for place, node, term in places:
            text = spoken(abs_(term))
            sentence = f"{spoken(factor)} enters the product {text} in the equation for {place} twice"
            yield Edit(f"product.twice.{place}.{text}", sentence, e.swap({node: node - term + term * factor}, [place]))
            for x in abs_(term).args if text != spoken(new) else ():
                sentence = f"{spoken(abs_(term) / x)} stands for {text} in the equation for {place}"
                yield Edit(f"product.without.{x}.{place}", sentence, e.swap({node: node - term + term / x}, [place]))
            for x in sorted(further, key=str) if text == spoken(new) else ():
                sentence = f"{spoken(new * x)} stands for {text} in the equation for {place}"
                yield Edit(f"product.with.{x}.{place}", sentence, e.swap({node: node - term + term * x}, [place]))
        yield Edit(
            f"product.old.{name}",
            f"{name} is used as it was before this step",
            e.swap({new: variable.symbol}, besides=[name]),
        )


def _has_new_scalar(e: Equations, x: sympy.Expr) -> bool:
    return any(e.new(n) in x.free_symbols for n, s in e.states.items() if s.scalar)


def _products_with(e: Equations, symbol: sympy.Symbol, besides: str) -> list[tuple[str, sympy.Add, sympy.Expr]]:
    """Terms of sums in other equations that are a symbol, or its product with others."""
    found = []
    for a in e.assignments:
        for node in e.nodes(a.name, sympy.Add) if a.name != besides else ():
            for term in node.args:
                factors = sympy.Mul.make_args(term)
                if symbol in factors and all(isinstance(f, sympy.Symbol | sympy.Number) for f in factors):
                    found.append((a.name, node, term))
    return found


def abs_(term: sympy.Expr) -> sympy.Expr:
    """A term without its minus sign."""
    return -term if term.could_extract_minus_sign() else term
