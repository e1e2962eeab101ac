"""Floors that a hyperparameter sets: squared, and added in their place."""

from __future__ import annotations

from collections.abc import Iterator

import sympy
from sympy import Max, sqrt

from reference.variants.equations import HALF, Edit, Equations
from reference.variants.words import compact, spoken


def floor_edits(e: Equations) -> Iterator[Edit]:
    """Other floors of what differs from element to element."""
    for a in e.assignments:
        for node in e.nodes(a.name, Max):
            floors = [x for x in node.args if e.is_scalar(x) and x.free_symbols & set(e.hyperparameters.values())]
            rest = [x for x in node.args if x not in floors]
            if len(floors) == len(rest) == 1:
                yield from _other_floors(e, a.name, node, floors[0], rest[0])


def _other_floors(e: Equations, name: str, node: Max, floor: sympy.Expr, rest: sympy.Expr) -> Iterator[Edit]:
    text, where, key = spoken(floor), f"in the equation for {name}", f"{name}.{compact(floor)}"
    if not (isinstance(floor, sympy.Pow) and floor.exp == 2):
        yield Edit(
            f"floor.squared.{key}",
            f"{spoken(floor**2)} is the floor, and not {text}, {where}",
            e.swap({node: Max(rest, floor**2)}, [name]),
        )
    if any(n.base == node for n in e.nodes(name, sympy.Pow) if abs(n.exp) == HALF):
        for number, added in enumerate(dict.fromkeys((sqrt(floor), floor))):
            outside = sqrt(rest) + added
            yield Edit(
                f"floor.outside{number or ''}.{key}",
                f"{spoken(added)} is added to the root, in the place of a floor of {text} under it, {where}",
                e.swap({sqrt(node): outside, node**-HALF: 1 / outside}, [name]),
            )
