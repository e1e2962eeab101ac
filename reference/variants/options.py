"""Options that are ignored, always on, or that change the sign of too much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import sympy

from reference.rule import GRADIENT, Option, UpdateRule
from reference.variants.equations import Edit, Equations, prepare
from reference.variants.roles import decays, increments


@lru_cache(maxsize=256)
def climbing_option(rule: UpdateRule) -> str | None:
    """The option that does nothing but change the sign of the gradient, if there is one."""
    return next((o.name for o in rule.options if _only_flips(rule, o)), None)


def _only_flips(rule: UpdateRule, option: Option) -> bool:
    for options in rule.choices():
        if options[option.name]:
            continue
        down = rule.step(options).assignments
        up = rule.step({**options, option.name: True}).assignments
        if len(up) != len(down):
            return False
        if any(
            a.name != b.name or a.expression.xreplace({GRADIENT: -GRADIENT}) != b.expression
            for a, b in zip(down, up, strict=True)
        ):
            return False
    return True


def ignored_edits(e: Equations) -> Iterator[Edit]:
    """Each option accepted and not used, but the one that climbs."""
    for option, other in _others(e, chosen=True):
        name = option.name
        sentence = (
            f"no parameter is {name}, whatever its shape" if option.of_shape else f"{name} is accepted and not used"
        )
        yield Edit(f"option.ignored.{name}", sentence, _joined(e, other))


def uncalled_edits(e: Equations) -> Iterator[Edit]:
    """Each option used though it is not chosen, but the one that climbs, and what a shape does not allow."""
    for option, other in _others(e, chosen=False):
        if option.of_shape:
            continue
        name = option.name
        yield Edit(f"option.always.{name}", f"{name} is always on", _remembering(e, other))


def _others(e: Equations, chosen: bool) -> Iterator[tuple[Option, Equations]]:
    """Options that are chosen, or not, with the equations of the opposite choice."""
    rule, options = e.step.rule, e.step.options
    for option in rule.options:
        if option.name == climbing_option(rule) or options[option.name] != chosen:
            continue
        other = prepare(rule.step({**options, option.name: not chosen}))
        if other is not None:
            yield option, other


def _joined(e: Equations, other: Equations) -> Equations:
    """The other equations, with those for what only these keep."""
    missing = [a for a in e.assignments if a.name not in other.by_name]
    return replace(_remembering(e, other), assignments=(*other.assignments, *missing))


def _remembering(e: Equations, other: Equations) -> Equations:
    """The other equations in the place of these, with the state that only they keep."""
    extra = tuple(replace(s, option=None, unless=None) for s in other.step.state if s.name not in e.states)
    return replace(other, step=e.step, extra=extra)


def descending_edits(e: Equations, name: str) -> Iterator[Edit]:
    """Climbing where nobody asked for it."""
    yield Edit(f"option.always.{name}", f"{name} is always on", mirrored(e))


def climbing_edits(e: Equations, name: str) -> Iterator[Edit]:
    """Climbing that leaves something out, or flips too much; ``e`` descends."""
    up = mirrored(e)
    gradient = next(a for a in e.assignments if a.symbol == e.gradient)
    yield Edit(f"option.ignored.{name}", f"{name} is accepted and not used", e)
    if gradient.expression != GRADIENT:
        flipped = up.define(gradient.name, -gradient.expression)
        yield Edit(f"{name}.flips_decay", f"{name} changes the sign of the decay too", flipped)
    moving = sympy.Add(*increments(e))
    step = e.define("p", e["p"] - 2 * moving)
    yield Edit(f"{name}.flips_step", f"{name} changes the sign of the step and not that of the gradient", step)
    inner = step.define(gradient.name, -up[gradient.name])
    sentence = (
        f"{name} changes the sign of the step, and that of the decay in the gradient, and leaves the state as it is"
    )
    yield Edit(f"{name}.flips_step_and_decay", sentence, inner)
    if any(not d.coupled for d in decays(e)):
        whole = e.swap({}).define("p", up["p"])
        shrink = sympy.Add(*(d.term for d in decays(e) if not d.coupled))
        flipped = whole.define(gradient.name, up[gradient.name]).define("p", up["p"] - 2 * shrink)
        yield Edit(f"{name}.flips_shrinking", f"{name} makes the decay grow the parameter", flipped)
    for user in e.users(e.gradient) if len(e.users(e.gradient)) > 1 else ():
        partly = up.swap({e.gradient: gradient.expression}, [user])
        yield Edit(f"{name}.not_in.{user}", f"{name} is not seen in the equation for {user}", partly)


def mirrored(e: Equations) -> Equations:
    """The same equations with the sign of the gradient changed."""
    return e.swap({GRADIENT: -GRADIENT})
