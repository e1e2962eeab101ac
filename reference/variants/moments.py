"""Averages and sums: their weights, and what they are fed with."""

from __future__ import annotations

from collections.abc import Iterator

import sympy
from sympy import Abs, sign

from reference.variants.equations import Change, Edit, Equations
from reference.variants.roles import Inflow, averages, inflows
from reference.variants.words import spoken


def moment_edits(e: Equations) -> Iterator[Edit]:
    """Every other weight, and everything else that may flow into an average or a sum."""
    means = averages(e)
    yield from _becoming(e)
    yield from _betas(e, means)
    for a in means:
        for key, sentence, node in _weights(a):
            yield Edit(f"moment.{key}.{a.name}", sentence, e.swap({a.node: node}, [a.name]))
    if len(means) > 1:
        for key, sentence, change in _all_weights(means):
            yield Edit(f"moment.{key}", sentence, e.swap(change))
    for i in inflows(e):
        for key, sentence, fresh in _contents(e, i):
            yield Edit(f"moment.{key}.{i.name}", sentence, e.swap({i.node: i.made(i.keep, i.gain, fresh)}, [i.name]))


def _weights(a: Inflow) -> Iterator[tuple[str, str, sympy.Expr]]:
    b = spoken(a.keep)
    yield "swapped", f"{b} weighs what is new in {a.name}, and 1 - {b} what is old", a.made(a.gain, a.keep)
    yield "undamped", f"what is new enters {a.name} without the factor {spoken(a.gain)}", a.made(a.keep, 1)
    yield "undecayed", f"the old {a.state} enters {a.name} without the factor {b}", a.made(1, a.gain)
    yield "unweighted", f"{a.name} is a sum, without the weights {b} and {spoken(a.gain)}", a.made(1, 1)
    yield "same_weight", f"{b} weighs both what is old and what is new in {a.name}", a.made(a.keep, a.keep)
    yield "complement_for_both", f"1 - {b} weighs both what is old and what is new in {a.name}", a.made(a.gain, a.gain)
    yield "subtracted", f"what is new is subtracted in {a.name}", a.made(a.keep, -a.gain)
    yield "old_subtracted", f"the old {a.state} is subtracted in {a.name}", a.made(-a.keep, a.gain)
    yield "newest", f"{a.name} is what is new alone: nothing is averaged", a.fresh
    yield (
        "root_weight",
        f"{a.name} is averaged with the root of {b}",
        a.made(sympy.sqrt(a.keep), 1 - sympy.sqrt(a.keep)),
    )
    yield "squared_weight", f"{a.name} is averaged with the square of {b}", a.made(a.keep**2, 1 - a.keep**2)
    if isinstance(a.fresh, sympy.Pow) and a.fresh.exp == 2:
        yield (
            "scaled_before_square",
            f"{spoken(a.gain)} is squared together with what it weighs in {a.name}",
            a.made(a.keep, a.gain**2),
        )


def _all_weights(means: tuple[Inflow, ...]) -> Iterator[tuple[str, str, Change]]:
    yield (
        "swapped",
        "the weights of old and new are swapped in every average",
        {a.node: a.made(a.gain, a.keep) for a in means},
    )
    undamped = "what is new enters every average without its factor 1 - beta"
    yield "undamped", undamped, {a.node: a.made(a.keep, 1) for a in means}


def _betas(e: Equations, means: tuple[Inflow, ...]) -> Iterator[Edit]:
    weights = list(dict.fromkeys(a.keep for a in means))
    if len(weights) == 2:
        other = {weights[0]: weights[1], weights[1]: weights[0]}
        change: Change = {a.node: a.made(other[a.keep], 1 - other[a.keep]) for a in means}
        yield Edit("moment.betas_swapped", "each average is weighed with the other one's beta", e.swap(change))
    for a in means:
        for beta in weights:
            if beta != a.keep:
                changed = e.swap({a.node: a.made(beta, 1 - beta)}, [a.name])
                yield Edit(f"moment.other_beta.{a.name}.{beta}", f"{a.name} is averaged with {spoken(beta)}", changed)
                yield Edit(
                    f"moment.mixed_betas.{a.name}.{beta}",
                    f"what is new enters {a.name} with 1 - {spoken(beta)}, though {spoken(a.keep)} weighs what is old",
                    e.swap({a.node: a.made(a.keep, 1 - beta)}, [a.name]),
                )


def _becoming(e: Equations) -> Iterator[Edit]:
    """A state variable becomes what the step is taken from."""
    for i in inflows(e):
        if not i.is_own:
            became = e.define(i.state, e.new(i.name))
            yield Edit(
                f"moment.becomes.{i.state}.{i.name}",
                f"{i.state} becomes the {i.name} that the step is taken from",
                became,
            )


def _contents(e: Equations, i: Inflow) -> Iterator[tuple[str, str, sympy.Expr]]:
    """What else may flow in."""
    fresh = i.fresh
    if isinstance(fresh, sympy.Pow) and fresh.exp == 2:
        z = fresh.base
        text = spoken(z)
        yield "of_size", f"{i.name} takes in the size of {text} and not its square", Abs(z)
        yield "of_plain", f"{i.name} takes in {text} itself and not its square", z
        yield "of_cube", f"{i.name} takes in the size of the cube of {text}", Abs(z) ** 3
        yield "of_fourth_power", f"{i.name} takes in the fourth power of {text}", z**4
        for other in inflows(e):
            if other.is_own and other.fresh == z and other.state != i.state:
                new, old, name = e.new(other.state), e.old(other.state), other.state
                yield f"of_{name}", f"{i.name} takes in the square of {name} and not that of {text}", new**2
                yield f"of_old_{name}", f"{i.name} takes in the square of {name} as it was before this step", old**2
                yield (
                    f"centred_on_{name}",
                    f"{i.name} takes in the square of {text} - {name}, as AdaBelief does",
                    (z - new) ** 2,
                )
                yield (
                    f"centred_on_old_{name}",
                    f"{i.name} takes in the square of {text} - {name}, with {name} as it was before this step",
                    (z - old) ** 2,
                )
                yield (
                    f"centred_on_both_{name}",
                    f"{i.name} takes in ({text} - old {name}) * ({text} - new {name})",
                    (z - new) * (z - old),
                )
                yield f"of_product_{name}", f"{i.name} takes in the product of {text} and {name}", z * new
    elif isinstance(fresh, sympy.Symbol):
        text = spoken(fresh)
        yield "of_sign", f"{i.name} takes in the sign of {text}", sign(fresh)
        yield "of_square", f"{i.name} takes in the square of {text}", fresh**2
        yield "of_absolute", f"{i.name} takes in the size of {text}", Abs(fresh)
        for other in inflows(e):
            if other.is_own and other.fresh == fresh**2:
                quotient = fresh / sympy.sqrt(e.new(other.state))
                yield (
                    f"of_quotient_{other.state}",
                    f"{i.name} takes in {text} divided by the root of {other.state}",
                    quotient,
                )
