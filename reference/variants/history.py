"""State: old where it should be new, not kept, kept otherwise than used, or remembered for too long."""

from __future__ import annotations

from collections.abc import Iterator

import sympy
from sympy import Abs, Piecewise, sign, sqrt

from reference.rule import PARAMETER, StateVariable
from reference.variants.equations import Edit, Equations
from reference.variants.roles import corrections, increments, inflows, step_sizes
from reference.variants.words import spoken


def history_edits(e: Equations) -> Iterator[Edit]:
    """Every state variable one step old, not kept, or kept in another form."""
    for name in e.states:
        yield from _age(e, name)
        yield from _kept(e, name)
    yield from _upside_down(e)
    yield from _parameter_age(e)
    yield from _delayed(e)


def _age(e: Equations, name: str) -> Iterator[Edit]:
    old, new = e.old(name), e.new(name)
    users = [n for n in e.users(new) if n != name]
    if users:
        yield Edit(
            f"history.old.{name}", f"{name} is used as it was before this step", e.swap({new: old}, besides=[name])
        )
        for user in users if len(users) > 1 else ():
            changed = e.swap({new: old}, [user])
            yield Edit(
                f"history.old.{name}.in.{user}",
                f"{name} is used as it was before this step in the equation for {user}",
                changed,
            )
    early = [n for n in e.users(old) if n != name]
    if early:
        changed = e.swap({old: new}, besides=[name])
        yield Edit(f"history.new.{name}", f"{name} is advanced before it is used", changed)


def _kept(e: Equations, name: str) -> Iterator[Edit]:
    """The new value is used as it should be; what is remembered is another one."""
    old, new, value = e.old(name), e.new(name), e[name]
    thrown = e.swap({new: old}, besides=[name]).define(name, old)
    yield Edit(f"history.never.{name}", f"{name} is computed and thrown away: it never changes", thrown)
    if e.states[name].scalar and not e.users(new):
        return
    used, symbol = e.insert(f"new_{name}", value)
    used = used.swap({new: symbol}, besides=[name])
    if e.users(new):
        yield Edit(f"history.not_kept.{name}", f"the new {name} is used and never stored", used.define(name, old))
    forms = {
        "root": (
            f"the root of {name} is stored in its place",
            sqrt(symbol) if symbol.is_nonnegative or e.states[name].nonnegative else None,
        ),
        "negative": (f"{name} is stored with the wrong sign", -symbol),
        "square": (f"the square of {name} is stored in its place", symbol**2),
        "sign": (f"the sign of {name} is stored in its place", None if e.states[name].nonnegative else sign(symbol)),
        "size": (f"the size of {name} is stored in its place", None if e.states[name].nonnegative else Abs(symbol)),
    }
    for rate in step_sizes(e):
        forms[f"times_{rate}"] = (f"{name} is stored after it was multiplied by {spoken(rate)}", rate * symbol)
    for c in corrections(e):
        if name in c.moments:
            forms["corrected"] = (
                f"{name} is stored after its bias correction, which it is used with once",
                symbol / c.node,
            )
    for key, (sentence, stored) in forms.items():
        if stored is not None:
            yield Edit(f"history.stored_{key}.{name}", sentence, used.define(name, stored))
    yield from _branches(e, name, used)


def _upside_down(e: Equations) -> Iterator[Edit]:
    """Another convention: what is kept has the other sign, and is used with it."""
    for i in inflows(e):
        if i.is_own and e.users(e.new(i.name)):
            flipped = e.swap({i.node: i.made(i.keep, -i.gain)}, [i.name])
            new = e.new(i.name)
            used = flipped.swap({new: -new}, besides=[i.name])
            yield Edit(
                f"history.upside_down.{i.name}", f"{i.name} is stored with the wrong sign and used with it", used
            )


def _branches(e: Equations, name: str, used: Equations) -> Iterator[Edit]:
    """A choice between values is forgotten in what is stored, or in what is used."""
    for node in e.nodes(name, Piecewise):
        for value, condition in node.args[:-1]:
            rest = [(v, c) for v, c in node.args if c != condition]
            other = rest[0][0] if len(rest) == 1 else Piecewise(*rest, evaluate=False)
            plain = e[name].xreplace({node: other})
            when = f"the case {spoken(condition)}, where it is {spoken(value)}, is forgotten in"
            yield Edit(
                f"history.stored_without.{name}.{spoken(condition)}",
                f"{when} the stored {name}",
                used.define(name, plain),
            )
            if e.users(e.new(name)):
                changed, symbol = e.insert(f"new_{name}", plain)
                changed = changed.swap({e.new(name): symbol}, besides=[name])
                sentence = f"{when} the {name} that is used"
                yield Edit(f"history.used_without.{name}.{spoken(condition)}", sentence, changed)


def _parameter_age(e: Equations) -> Iterator[Edit]:
    new = e.new("p")
    if e.users(new):
        changed = e.swap({new: PARAMETER}, besides=["p"])
        yield Edit("history.old.p", "the parameter is used as it was before this step", changed)


def _delayed(e: Equations) -> Iterator[Edit]:
    """Something of the step before takes the place of its successor; it needs a memory of its own."""
    last = StateVariable(e.free("last_step"))
    moving = sympy.Add(*increments(e))
    late = e.define("p", e["p"] - moving + last.symbol).remember(last, moving)
    yield Edit("history.last_step", "the step of before is applied; the first one is zero", late)
    gradient = next(a for a in e.assignments if a.symbol == e.gradient)
    last = StateVariable(e.free("last_gradient"))
    late = e.swap({e.gradient: last.symbol}, besides=[gradient.name]).remember(last, e.gradient)
    yield Edit("history.last_gradient", "the gradient of the step before is used; the first one is zero", late)
    moved = StateVariable(e.free("last_applied"))
    ahead = e.define("p", e["p"] + (moving - moved.symbol)).remember(moved, moving)
    yield Edit(
        "history.extrapolated",
        "the step is doubled and the one of before taken back, as optimistic descent does",
        ahead,
    )
