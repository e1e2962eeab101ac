"""Slips that can happen to any equation: signs, squares, roots, constants, conditions, terms and factors."""

from __future__ import annotations

from collections.abc import Iterator

import sympy
from sympy import Abs, Eq, Max, Min, Ne, Piecewise, sign
from sympy.core.relational import Relational

from reference.rule import GRADIENT, PARAMETER, STEP_COUNT
from reference.variants.equations import HALF, Change, Edit, Equations
from reference.variants.roles import increments, inflows, step_sizes
from reference.variants.words import compact, spoken

_OPPOSITES = {">": sympy.Ge, ">=": sympy.Gt, "<": sympy.Le, "<=": sympy.Lt}
_REVERSED = {">": sympy.Lt, ">=": sympy.Le, "<": sympy.Gt, "<=": sympy.Ge}


def slip_edits(e: Equations) -> Iterator[Edit]:
    """Signs, sizes, squares and roots that are left out or put in."""
    for a in e.assignments:
        yield from _signs(e, a.name)
        yield from _powers(e, a.name)
        yield from _choices(e, a.name, equal=True)
        yield from _swapped_cases(e, a.name)
        yield from _constants(e, a.name)
    yield from _sign_of_all(e)
    yield from _taken_in(e)


def _signs(e: Equations, name: str) -> Iterator[Edit]:
    for node in e.nodes(name, sign):
        x = node.args[0]
        text = spoken(x)
        positive = Piecewise((1, x >= 0), (-1, True), evaluate=False)
        negative = Piecewise((1, x > 0), (-1, True), evaluate=False)
        forms = {
            "missing": (f"{text} itself is taken and not its sign, in the equation for {name}", x),
            "zero_positive": (f"the sign of zero is one, where the sign of {text} is taken", positive),
            "zero_negative": (f"the sign of zero is minus one, where the sign of {text} is taken", negative),
            "size": (f"the size of {text} is taken and not its sign, in the equation for {name}", Abs(x)),
        }
        for key, (sentence, new) in forms.items():
            yield Edit(f"sign.{key}.{name}", sentence, e.swap({node: new}, [name]))
    for node in e.nodes(name, Abs):
        x = node.args[0]
        text = spoken(x)
        yield Edit(
            f"size.missing.{name}",
            f"{text} itself is taken and not its size, in the equation for {name}",
            e.swap({node: x}, [name]),
        )
        yield Edit(
            f"size.squared.{name}",
            f"the square of {text} is taken and not its size, in the equation for {name}",
            e.swap({node: x**2}, [name]),
        )


def _sign_of_all(e: Equations) -> Iterator[Edit]:
    """The sign of what moves the parameter."""
    rate = next(iter(step_sizes(e)), None)
    moving = increments(e)
    if rate is not None and not any(isinstance(n, sign) for t in moving for n in sympy.preorder_traversal(t)):
        whole = sympy.Add(*moving)
        signed = e.define("p", e["p"] - whole + rate * sign(whole / rate))
        yield Edit("sign.of_step", "the sign of the step is taken and not the step itself", signed)
    gradient = next(a for a in e.assignments if a.symbol == e.gradient)
    yield Edit(
        "sign.of_gradient",
        "the sign of the gradient is taken and not the gradient itself",
        e.define(gradient.name, sign(gradient.expression)),
    )
    if gradient.expression != GRADIENT:
        raw = e.define(gradient.name, gradient.expression.xreplace({GRADIENT: sign(GRADIENT)}))
        yield Edit("sign.of_raw_gradient", "the sign of the gradient is taken before the decay is added", raw)
    yield Edit(
        "sign.gradient_flipped",
        "the gradient has the wrong sign",
        e.define(gradient.name, gradient.expression.xreplace({GRADIENT: -GRADIENT})),
    )


def _powers(e: Equations, name: str) -> Iterator[Edit]:
    for node in e.nodes(name, sympy.Pow):
        base, exponent, text = node.base, node.exp, spoken(node.base)
        if e.is_scalar(node) and not exponent.is_number:
            continue
        if abs(exponent) == HALF:
            yield Edit(
                f"root.missing.{name}.{compact(base)}",
                f"the root of {text} is not taken in the equation for {name}",
                e.swap({node: base ** (2 * exponent)}, [name]),
            )
            if exponent == -HALF:
                multiplied = e.swap({node: sympy.sqrt(base)}, [name])
                yield Edit(
                    f"root.multiplied.{name}.{compact(base)}",
                    f"the root of {text} multiplies instead of dividing in the equation for {name}",
                    multiplied,
                )
        elif exponent == 2 and not e.is_scalar(base):
            forms = {
                "missing": (f"{text} is not squared in the equation for {name}", base),
                "size": (f"the size of {text} stands for its square in the equation for {name}", Abs(base)),
                "signed": (f"{text} squared keeps its sign in the equation for {name}", base * Abs(base)),
                "cubed": (f"{text} is cubed in the equation for {name}", base**3),
                "fourth": (f"{text} is squared twice in the equation for {name}", base**4),
            }
            for key, (sentence, new) in forms.items():
                yield Edit(f"square.{key}.{name}.{compact(base)}", sentence, e.swap({node: new}, [name]))
    for node in e.nodes(name, sympy.Add):
        squares = [t for t in node.args if isinstance(-t, sympy.Pow) and (-t).exp == 2 and not e.is_scalar(t)]
        for square in squares:
            forms = {
                "missing": (
                    f"{spoken((-square).base)} is not squared where it is subtracted in the equation for {name}",
                    node - square - (-square).base,
                ),
                "added": (
                    f"{spoken(-square)} is added and not subtracted in the equation for {name}",
                    node - 2 * square,
                ),
            }
            for key, (sentence, new) in forms.items():
                yield Edit(
                    f"variance.{key}.{name}",
                    f"{sentence}, and the size of that is taken",
                    e.swap({node: Abs(new)}, [name]),
                )
            for i in inflows(e):
                if i.is_own and e.new(i.state) == (-square).base:
                    new = Abs(node - square - i.fresh**2)
                    sentence = f"the square of {spoken(i.fresh)} is subtracted and not that of {i.state}, and the size of that is taken"
                    yield Edit(f"variance.of_newest.{name}", sentence, e.swap({node: new}, [name]))
            floor = e.swap({node: Max(node, 0)}, [name])
            yield Edit(f"variance.floored.{name}", f"{spoken(node)} is kept from being negative", floor)


def branch_edits(e: Equations) -> Iterator[Edit]:
    """Cases that depend on how large something is, never or always taken."""
    for a in e.assignments:
        yield from _choices(e, a.name, equal=False)
    yield from _standing_still(e)


def _standing_still(e: Equations) -> Iterator[Edit]:
    """Cases in which the parameter does not move."""
    for node in e.nodes("p", Piecewise):
        for k, (value, condition) in enumerate(node.args):
            if value == 0 or value.has(PARAMETER):
                continue
            still = Piecewise(*((0 if j == k else v, c) for j, (v, c) in enumerate(node.args)), evaluate=False)
            last = f"no case but {' and '.join(spoken(c) for _, c in node.args[:-1])}"
            text = last if condition == sympy.true else f"the case {spoken(condition)}"
            name = "otherwise" if condition == sympy.true else compact(condition)
            sentence = f"the parameter moves in {text}" if condition == sympy.true else f"nothing is moved in {text}"
            yield Edit(f"branch.still.{name}", sentence, e.swap({node: still}, ["p"]))


def _choices(e: Equations, name: str, equal: bool) -> Iterator[Edit]:
    """Branches that are never or always taken; those that something is equal for, or the others."""
    for node in e.nodes(name, Piecewise):
        for value, condition in node.args[:-1]:
            if isinstance(condition, Eq | Ne) != equal:
                continue
            text = spoken(condition)
            rest = [(v, c) for v, c in node.args if c != condition]
            other = rest[0][0] if len(rest) == 1 else Piecewise(*rest, evaluate=False)
            yield Edit(
                f"branch.never.{name}.{compact(condition)}",
                f"the case {text} is never taken in the equation for {name}",
                e.swap({node: other}, [name]),
            )
            yield Edit(
                f"branch.always.{name}.{compact(condition)}",
                f"the case {text} is always taken in the equation for {name}",
                e.swap({node: value}, [name]),
            )


def _swapped_cases(e: Equations, name: str) -> Iterator[Edit]:
    """Neighbouring branches in each other's place, and other conditions."""
    for node in e.nodes(name, Piecewise):
        for k in range(len(node.args) - 1):
            (v, c), (w, d) = node.args[k], node.args[k + 1]
            branches = [*node.args[:k], (w, c), (v, d), *node.args[k + 2 :]]
            changed = e.swap({node: Piecewise(*branches, evaluate=False)}, [name])
            when = f"{spoken(c)} and {'otherwise' if d == sympy.true else spoken(d)}"
            yield Edit(
                f"branch.swapped.{name}.{compact(c)}",
                f"the cases {when} are swapped in the equation for {name}",
                changed,
            )
    conditions = {n for node in e.nodes(name, Piecewise) for _, c in node.args for n in sympy.preorder_traversal(c)}
    for c in sorted((n for n in conditions if isinstance(n, Relational)), key=str):
        yield from _condition(e, name, c)


def _condition(e: Equations, name: str, c: Relational) -> Iterator[Edit]:
    if c.rel_op not in _OPPOSITES:
        return
    text = spoken(c)
    close = _OPPOSITES[c.rel_op](c.lhs, c.rhs)
    yield Edit(
        f"condition.close.{name}.{compact(c)}",
        f"the condition {text} became {spoken(close)} in the equation for {name}",
        e.swap({c: close}, [name]),
    )
    turned = _REVERSED[c.rel_op](c.lhs, c.rhs)
    yield Edit(
        f"condition.reversed.{name}.{compact(c)}",
        f"the condition {text} became {spoken(turned)} in the equation for {name}",
        e.swap({c: turned}, [name]),
    )
    if c.rhs.is_number and c.rhs != 0:
        others = [a for a in e.assignments if c in set(sympy.preorder_traversal(a.expression))]
        for by in (-1, 1):
            near = c.func(c.lhs, c.rhs + by)
            everywhere = e.swap({c: near})
            yield Edit(f"condition.near.{compact(c)}.{by}", f"the condition {text} became {spoken(near)}", everywhere)
            closed = _OPPOSITES[c.rel_op](c.lhs, c.rhs + by)
            sentence = f"the condition {text} became {spoken(closed)}"
            yield Edit(f"condition.near_close.{compact(c)}.{by}", sentence, e.swap({c: closed}))
            if len(others) > 1:
                yield Edit(
                    f"condition.near.{name}.{compact(c)}.{by}",
                    f"the condition {text} became {spoken(near)} in the equation for {name}",
                    e.swap({c: near}, [name]),
                )


def _constants(e: Equations, name: str) -> Iterator[Edit]:
    """Whole numbers that are off by one, and exponents."""
    for node in e.nodes(name, sympy.Add):
        for x in node.args:
            if not x.is_number:
                continue
            for by in (-1, 1):
                sentence = f"{spoken(x + by)} stands for {spoken(x)} in {spoken(node)}, in the equation for {name}"
                yield Edit(f"constant.{x + by}.{name}.{compact(node)}", sentence, e.swap({node: node + by}, [name]))
    for node in e.nodes(name, sympy.Mul):
        for x in node.args:
            if x.is_number and x not in (1, -1):
                changed = e.swap({node: node / abs(x)}, [name])
                yield Edit(
                    f"constant.missing.{name}.{compact(node)}",
                    f"the factor {spoken(abs(x))} is missing in {spoken(node)}, in the equation for {name}",
                    changed,
                )


def _taken_in(e: Equations) -> Iterator[Edit]:
    """State that takes in the step, before its size."""
    moving = sympy.Add(*increments(e))
    rate = next(iter(step_sizes(e)), sympy.S.One)
    direction = _divided(-moving, rate)
    for i in inflows(e):
        if i.is_own and direction is not None:
            square = isinstance(i.fresh, sympy.Pow) and i.fresh.exp == 2
            fed = e.swap({i.node: i.made(i.keep, i.gain, direction**2 if square else direction)}, [i.name])
            sentence = f"{i.name} takes in {'the square of ' if square else ''}the step, {spoken(direction)}, and not {spoken(i.fresh)}"
            yield Edit(f"state.of_step.{i.name}", sentence, fed)


def _divided(whole: sympy.Expr, rate: sympy.Expr) -> sympy.Expr | None:
    terms = [t / rate for t in sympy.Add.make_args(whole)]
    return sympy.Add(*terms)


# -- hyperparameters -------------------------------------------------------------------------


def hyperparameter_edits(e: Equations) -> Iterator[Edit]:
    """Each hyperparameter ignored, applied twice or inversely, or exchanged for another one."""
    known = {h.name: h for h in e.step.rule.hyperparameters if h.name in e.hyperparameters}
    for name, h in known.items():
        text = spoken(h.symbol)
        forms: dict[str, tuple[str, sympy.Expr]] = {
            "default": (f"{text} is not used: it is {h.default:g} whatever is asked for", sympy.sympify(h.default)),
            "zero": (f"{text} is not used: it is taken for zero", sympy.S.Zero),
            "one": (f"{text} is not used: it is taken for one", sympy.S.One),
            "twice": (f"{text} is squared wherever it is used", h.symbol**2),
            "inverse": (f"{text} is inverted wherever it is used", 1 / h.symbol),
            "doubled": (f"{text} is doubled wherever it is used", 2 * h.symbol),
        }
        if h.high == 1 or any(a.expression.has(1 - h.symbol) for a in e.step.assignments):
            forms["complement"] = (f"1 - {text} stands for {text} wherever it is used", 1 - h.symbol)
        for key, (sentence, value) in forms.items():
            yield Edit(f"hyperparameter.{key}.{name}", sentence, e.swap({h.symbol: value}))
    names = list(known)
    for k, one in enumerate(names):
        for two in names[k + 1 :]:
            a, b = known[one].symbol, known[two].symbol
            yield Edit(
                f"hyperparameter.swapped.{one}.{two}", f"{spoken(a)} and {spoken(b)} are swapped", e.swap({a: b, b: a})
            )
    for one in names:
        for two in names:
            if one != two and known[one].high == known[two].high:
                a, b = known[one].symbol, known[two].symbol
                yield Edit(f"hyperparameter.for.{one}.{two}", f"{spoken(b)} stands for {spoken(a)}", e.swap({a: b}))
    numbered: dict[str, list[str]] = {}
    for name in names:
        numbered.setdefault(name.rstrip("0123456789"), []).append(name)
    for stem, members in numbered.items():
        for one in members if len(members) > 2 else ():
            own: Change = {known[name].symbol: known[one].symbol for name in members}
            yield Edit(f"hyperparameter.all_are.{one}", f"{one} stands for every {stem}", e.swap(own))


# -- every term and every factor ----------------------------------------------------------------


def systematic_edits(e: Equations) -> Iterator[Edit]:
    """Every term and factor left out, changed in sign, inverted or squared; the safety net."""
    alias = _alias(e)
    taken: dict[str, int] = {}
    for a in e.assignments:
        for key, text, sentence, node, new in (*_terms(e, a.name, alias), *_factors(e, a.name, alias)):
            name = f"{key}.{a.name}.{text}"
            taken[name] = taken.get(name, 0) + 1
            name += f".{taken[name]}" if taken[name] > 1 else ""
            yield Edit(name, f"{sentence} in the equation for {a.name}", e.swap({node: new}, [a.name]))


def _alias(e: Equations) -> Change:
    """For texts: the running maximum of something is named as that, so that an option changes no names."""
    found: Change = {}
    for name, s in e.states.items():
        node = e[name]
        if s.option is not None and isinstance(node, Max | Min) and s.symbol in node.args:
            others = [x for x in node.args if x != s.symbol and isinstance(x, sympy.Symbol)]
            if len(others) == 1:
                found[e.new(name)] = others[0]
    return found


Slip = tuple[str, str, str, sympy.Basic, sympy.Expr]


def _terms(e: Equations, name: str, alias: Change) -> Iterator[Slip]:
    for node in e.nodes(name, sympy.Add):
        for term in node.args:
            size = -term if term.could_extract_minus_sign() else term
            named = size.xreplace(alias)
            text = compact(named)
            where = "" if node == e[name] else f" of {spoken(node.xreplace(alias))}"
            yield "term.missing", text, f"the term {spoken(named)}{where} is missing", node, node - term
            yield "term.sign", text, f"the term {spoken(named)}{where} has the wrong sign", node, node - 2 * term


def _factors(e: Equations, name: str, alias: Change) -> Iterator[Slip]:
    for node in e.nodes(name, sympy.Mul):
        where = spoken(node.xreplace(alias))
        for factor in node.args:
            if factor.is_number:
                continue
            divides = isinstance(factor, sympy.Pow) and factor.exp.is_number and factor.exp < 0
            shown = 1 / factor if divides else factor
            named = shown.xreplace(alias)
            text = compact(named)
            rest = node / factor
            if divides:
                yield "divisor.missing", text, f"the division by {spoken(named)} is missing in {where}", node, rest
                yield (
                    "divisor.multiplies",
                    text,
                    f"{spoken(named)} multiplies instead of dividing in {where}",
                    node,
                    rest * shown,
                )
                yield "divisor.twice", text, f"{where} is divided by {spoken(named)} twice", node, node * factor
                if not e.is_scalar(shown):
                    rooted = f"{where} is divided by the root of {spoken(named)}"
                    yield "divisor.root", text, rooted, node, rest / sympy.sqrt(shown)
            else:
                yield "factor.missing", text, f"the factor {spoken(named)} is missing in {where}", node, rest
                yield (
                    "factor.divides",
                    text,
                    f"{spoken(named)} divides instead of multiplying in {where}",
                    node,
                    rest / factor,
                )
                yield "factor.twice", text, f"{where} is multiplied by {spoken(named)} twice", node, node * factor


def exchange_edits(e: Equations) -> Iterator[Edit]:
    """One quantity in the place of another, in one equation."""
    quantities: dict[sympy.Symbol, str] = {
        e.gradient: "the gradient",
        GRADIENT: "the raw gradient",
        PARAMETER: "the parameter",
    }
    for a in e.assignments:
        if a.symbol not in quantities and a.name != "p":
            quantities[a.symbol] = f"the new {a.name}" if a.name in e.states else a.name
    for name in e.states:
        quantities[e.old(name)] = f"the old {name}"
    for a in e.assignments:
        if a.symbol == e.gradient:
            continue
        for one in sorted(a.expression.free_symbols & set(quantities), key=str):
            for two in quantities:
                if two == one or two == a.symbol or e.is_scalar(one) != e.is_scalar(two) or STEP_COUNT in (one, two):
                    continue
                if two in a.expression.free_symbols and str(one) < str(two):
                    both = e.swap({one: two, two: one}, [a.name])
                    sentence = f"{quantities[one]} and {quantities[two]} are exchanged in the equation for {a.name}"
                    yield Edit(f"exchange.both.{a.name}.{one}.{two}", sentence, both)
                name = f"exchange.{a.name}.{one}.{two}"
                sentence = f"{quantities[two]} stands for {quantities[one]} in the equation for {a.name}"
                yield Edit(name, sentence, e.swap({one: two}, [a.name]))
