"""Weight decay: coupled or decoupled, before or after, with or without the step size."""

from __future__ import annotations

from collections.abc import Iterator

import sympy
from sympy import Abs, Eq, Piecewise, sign

from reference.rule import GRADIENT, PARAMETER
from reference.variants.equations import Edit, Equations
from reference.variants.roles import (
    Decay,
    averages,
    common_factors,
    corrections,
    decays,
    increments,
    inflows,
    inner_step_sizes,
    step_sizes,
    whole_scale,
)
from reference.variants.words import compact, spoken

P = PARAMETER


def decay_edits(e: Equations) -> Iterator[Edit]:
    """Every other way to decay the parameter by a hyperparameter."""
    for decay in decays(e):
        edits = _coupled(e, decay) if decay.coupled else _decoupled(e, decay)
        several = len(decays(e)) > 1
        for key, sentence, changed in (*edits, *_either(e, decay)):
            name = f"decay.{key}.{decay.symbol}" if several else f"decay.{key}"
            yield Edit(name, sentence, changed)
    yield from _in_buffers(e)


def _in_buffers(e: Equations) -> Iterator[Edit]:
    """A decay that flows into a buffer beside something else, of which it should be a part, or not at all."""
    gradient = next(a for a in e.assignments if a.symbol == e.gradient)
    for i in inflows(e):
        terms = sympy.Add.make_args(i.fresh)
        for term in terms if i.is_own and i.gain == 1 and len(terms) > 1 else ():
            h = term / P
            if h not in e.hyperparameters.values():
                continue
            text = spoken(h)
            without = e.define(i.name, e[i.name].xreplace({i.node: i.node - term}))
            coupled = without.define(gradient.name, gradient.expression + term)
            yield Edit(f"decay.coupled.{i.name}", f"{text} is added to the gradient, and treated with it", coupled)
            shrunk = _moved(without, -_rate(e) * term)
            yield Edit(f"decay.decoupled.{i.name}", f"{text} shrinks the parameter and does not enter {i.name}", shrunk)


Found = Iterator[tuple[str, str, Equations]]


def _rate(e: Equations) -> sympy.Expr:
    return next(iter(step_sizes(e)), sympy.S.One)


def _changed(e: Equations, decay: Decay, term) -> Equations:
    """The decay's term replaced."""
    return e.define(decay.name, e[decay.name] - decay.term + term)


def _either(e: Equations, d: Decay) -> Found:
    h, text, factor = d.symbol, spoken(d.symbol), d.term / P
    yield "wrong_sign", f"the decay by {text} has the wrong sign: the parameter grows", _changed(e, d, -d.term)
    yield "ignored", f"{text} is not used: there is no decay", _changed(e, d, 0)
    yield "constant", f"{text} is added as a constant, without the parameter", _changed(e, d, factor)
    yield "of_sign", f"{text} multiplies the sign of the parameter", _changed(e, d, factor * sign(P))
    yield "of_size", f"{text} multiplies the size of the parameter", _changed(e, d, factor * Abs(P))
    yield "of_square", f"{text} multiplies the square of the parameter", _changed(e, d, factor * P**2)
    yield "squared", f"{text} is squared", _changed(e, d, d.term * h)
    yield "doubled", f"the decay by {text} is doubled", _changed(e, d, 2 * d.term)
    yield "halved", f"the decay by {text} is halved", _changed(e, d, d.term / 2)
    guarded = Piecewise((0, Eq(GRADIENT, 0)), (d.term, True), evaluate=False)
    yield "only_with_gradient", f"elements whose gradient is zero are not decayed by {text}", _changed(e, d, guarded)


def _coupled(e: Equations, d: Decay) -> Found:
    h, text, rate = d.symbol, spoken(d.symbol), _rate(e)
    without = _changed(e, d, 0)
    shrink = rate * d.size
    yield (
        "decoupled",
        f"{text} shrinks the parameter by {spoken(shrink)} and is not added to the gradient",
        _moved(without, -shrink),
    )
    after = without.define("p", without["p"] * (1 - rate * h))
    yield (
        "decoupled_after_step",
        f"{text} shrinks the parameter after the step, and is not added to the gradient",
        after,
    )
    yield (
        "decoupled_without_lr",
        f"{text} shrinks the parameter by {spoken(d.size)} and is not added to the gradient",
        _moved(without, -d.size),
    )
    yield "both", f"{text} is added to the gradient and to the step", _moved(e, -shrink)
    if rate != 1:
        yield "times_lr", f"the decay in the gradient is multiplied by {rate}", _changed(e, d, d.term * rate)
    scaled = without[d.name] * (1 + d.size)
    yield (
        "scales_gradient",
        f"{text} multiplies the gradient: g * (1 + {spoken(d.size)})",
        without.define(d.name, scaled),
    )
    yield (
        "scales_gradient_alone",
        f"{text} multiplies the gradient: g * (1 + {text})",
        without.define(d.name, without[d.name] * (1 + h)),
    )
    yield (
        "reuses_gradient",
        f"{text} multiplies the gradient and not the parameter",
        without.define(d.name, without[d.name] + h * GRADIENT),
    )
    users = e.users(e.gradient)
    undecayed = without[d.name]
    for name in users:
        if len(users) > 1:
            one = e.swap({e.gradient: undecayed}, [name])
            yield f"not_in.{name}", f"{text} is missing in the gradient that {name} sees", one
            alone = e.swap({e.gradient: undecayed}, besides=[name])
            yield f"only_in.{name}", f"{text} is in the gradient that {name} sees, and nowhere else", alone
    yield from _divided(without, d, rate)


def _moved(e: Equations, by: sympy.Expr) -> Equations:
    return e.define("p", e["p"] + by)


def _decoupled(e: Equations, d: Decay) -> Found:
    text, rate = spoken(d.symbol), _rate(e)
    without = _changed(e, d, 0)
    gradient = next(a for a in e.assignments if a.symbol == e.gradient)
    coupled = without.define(gradient.name, gradient.expression + d.size)
    yield "coupled", f"{text} is added to the gradient", coupled
    factor = 1 + d.term / P
    yield (
        "after_step",
        f"the parameter is decayed by {text} after the step, which shrinks the step too",
        without.define("p", without["p"] * factor),
    )
    shrunk = P * (sympy.exp(d.term / P) - 1)
    yield "exponential", f"the parameter is decayed by exp(-{spoken(d.size / P * rate)})", _changed(e, d, shrunk)
    if rate != 1:
        yield "without_lr", f"the decay by {text} is not multiplied by {rate}", _changed(e, d, d.term / rate)
        yield "times_lr_twice", f"the decay by {text} is multiplied by {rate} twice", _changed(e, d, d.term * rate)
    yield from _with_what_the_step_has(e, d)
    for inner in inner_step_sizes(e) if rate == 1 else ():
        if inner not in d.term.free_symbols:
            yield f"times.{inner}", f"the decay by {text} is multiplied by {inner}", _changed(e, d, d.term * inner)
    for c in corrections(e):
        of = c.moments[0] if c.moments else c.beta
        yield (
            f"corrected.{of}",
            f"the decay by {text} is divided by the bias correction of {of}",
            _changed(e, d, d.term / c.node),
        )
    for name in e.users(e.gradient):
        if len(e.users(e.gradient)) > 1:
            one = without.swap({e.gradient: e.gradient + d.size}, [name])
            yield f"coupled_in.{name}", f"{text} is added to the gradient that {name} sees, and nowhere else", one
    yield (
        "both",
        f"{text} shrinks the parameter and is added to the gradient too",
        e.define(gradient.name, gradient.expression + d.size),
    )
    scaled = without.define(gradient.name, gradient.expression * (1 + d.size))
    yield "scales_gradient", f"{text} multiplies the gradient: g * (1 + {spoken(d.size)})", scaled
    yield from _divided(without, d, rate)


def _with_what_the_step_has(e: Equations, d: Decay) -> Found:
    """What scales the step of a whole parameter, or masks it, does so to the decay too, or the other way round."""
    text = spoken(d.symbol)
    own, scale = whole_scale(e, [d.term]), whole_scale(e, increments(e))
    if own != 1:
        yield (
            f"without.{compact(own)}",
            f"the decay by {text} lacks the factor {spoken(own)}",
            _changed(e, d, d.term / own),
        )
    elif scale != 1:
        made = {a.symbol for a in e.assignments if a.name not in e.states}
        mask = sympy.Mul(*(f for f in common_factors(increments(e)) if f in made and not e.is_common(f)))
        for factor in dict.fromkeys((scale, mask, scale * mask)):
            sentence = f"the decay by {text} is multiplied by {spoken(factor)}, as the step is"
            yield f"with.{compact(factor)}", sentence, _changed(e, d, d.term * factor)


def _divided(without: Equations, d: Decay, rate) -> Found:
    """The decay is added to a moment where that is used, and divided with it."""
    text = spoken(d.symbol)
    moving = set().union(*(t.free_symbols for t in increments(without)))
    for a in averages(without):
        new = without.new(a.name)
        if a.is_own and new in moving and _is_factor(without, new):
            added = without.swap({new: new + d.size}, ["p"])
            yield (
                f"divided.{a.name}",
                f"{text} is added to {a.name} where the step is taken, so that the divisor divides it",
                added,
            )
            for c in corrections(without):
                if a.name in c.moments:
                    scaled = without.swap({new: new + d.size * c.node}, ["p"])
                    yield (
                        f"divided.{a.name}.corrected",
                        f"{text} is added to the bias-corrected {a.name}, so that the divisor divides it",
                        scaled,
                    )
    quotient = without.define("p", _scaled_terms(without, 1 + d.symbol, rate))
    yield "scales_step", f"{text} multiplies the step", quotient


def _is_factor(e: Equations, symbol: sympy.Symbol) -> bool:
    """Whether the step is proportional to a symbol."""
    return all(symbol not in n.base.free_symbols for n in e.nodes("p", sympy.Pow))


def _scaled_terms(e: Equations, factor, rate) -> sympy.Expr:
    moving = increments(e)
    return sympy.Add(*[t * factor if t in moving else t for t in sympy.Add.make_args(e["p"])])
