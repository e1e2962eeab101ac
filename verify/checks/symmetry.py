"""Family ``symmetry``: what the rule's equations do not change must change nothing in the optimizer.

The symmetries are derived from the sympy form of the rule (reference.symmetries); no reference value is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from reference.symmetries import Symmetry, symmetries
from verify.checks.context import Context
from verify.checks.judged import judged
from verify.checks.programs import settings
from verify.driver import Unsupported
from verify.pairs import Relation, compare
from verify.program import Filling, Parameter, Program, Step

DTYPES = ("float64", "float32")
# the second for rules that take a matrix in another way than a vector
SHAPES = ((48,), (6, 8))
# ordinary numbers of many sizes; multiplied by powers of two they and their squares stay in range
_NUMBERS = (0.5, -1.25, 3.0, 0.007, -0.3, 1.0, -40.0, 0.11, 2.5, -0.0625, 17.0, 0.9, -6.5, 0.033, -1.0, 0.77)


def _programs(context: Context) -> Iterator[Program]:
    for number, (options, values) in enumerate(settings(context)):

        def numbers(start: int) -> Filling:
            return Filling(values=(*_NUMBERS[start % 16 :], *_NUMBERS[: start % 16]))

        for shape in SHAPES if any(o.of_shape for o in context.loaded.rule.options) else SHAPES[:1]:
            yield context.program(
                groups=(values,),
                options=dict(options),
                parameters=(Parameter(shape, 0, numbers(number)),),
                operations=tuple(Step((numbers(3 * number + 5 * k + 2),)) for k in range(4)),
            )


def _found(context: Context, program: Program, kind: str) -> list[tuple[Symmetry, Program]]:
    """Symmetries of the rule under the program's options, each with the program in which its condition holds."""
    loaded = context.loaded
    step = loaded.rule.step(program.options, program.parameters[0].shape)
    found = []
    for symmetry in symmetries(step):
        if symmetry.kind != kind:
            continue
        own = tuple({**g, **{name: 0.0 for name in symmetry.zero if name in g}} for g in program.groups)
        fits = all(_allowed(context, g, program) for g in own)
        if fits and not any(loaded.fixed.get(name, 0.0) for name in symmetry.zero):
            found.append((symmetry, replace(program, groups=own)))
    if not found:
        raise Unsupported(f"the rule has no symmetry of this kind with these options ({kind})")
    return found


def _allowed(context: Context, values, program: Program) -> bool:
    rule = context.loaded.rule
    whole = {**rule.defaults, **context.loaded.fixed, **values}
    inside = all(h.contains(whole[h.name]) for h in rule.hyperparameters)
    return inside and rule.constraint(whole, rule.step(program.options).options)


def _compare(context: Context, program: Program, other: Program, relation: Relation) -> str | None:
    scalars = (context.scalars, context.scalars)
    return compare(context.loaded, program, other, relation, scalars=scalars, in_subject=context.in_subject)[0]


@judged(
    "symmetry.scaling",
    "Units do not matter: scaling gradient, parameter, state and hyperparameters as the rule's equations allow "
    "changes nothing else.",
    _programs,
    dtypes=DTYPES,
    needs=("rule",),
)
def scaling(context: Context, program: Program) -> str | None:
    """The scalings are found in the rule's equations as the exponents that every term agrees on; for Adam,
    multiplying the gradient and epsilon by c leaves the parameter as it is. c is a power of two.

    Bugs of this kind: hidden absolute thresholds, clipping, a constant epsilon beside the one that was given.
    """
    hyperparameters = {h.name: h for h in context.loaded.rule.hyperparameters}
    for symmetry, base in _found(context, program, "scaling"):
        for c in (0.125, 8.0):
            factors = {name: c**power for name, power in symmetry.exponents.items()}
            scaled = tuple({n: v * factors.get(n, 1.0) for n, v in g.items()} for g in base.groups)
            fixed = [n for n in factors if n in hyperparameters and context.loaded.fixed.get(n)]
            if fixed or not all(_allowed(context, g, base) for g in scaled):
                continue
            other = replace(base, groups=scaled)
            found = _compare(
                context, base, other, Relation(f"{symmetry.sentence()}, but with c = {c:g}", None, factors)
            )
            if found:
                return found
    return None


@judged(
    "symmetry.sign",
    "Flipping the signs of gradient, parameter and state as the rule's equations allow changes nothing else.",
    _programs,
    dtypes=DTYPES,
    needs=("rule",),
)
def sign(context: Context, program: Program) -> str | None:
    """The flips are found in the rule's equations: for most rules -p and -g end in -p.

    Bugs of this kind: a clamp on one side, abs() too much, a rounding mode that prefers one direction.
    """
    for symmetry, base in _found(context, program, "sign"):
        factors = {name: -1.0 for name, flips in symmetry.exponents.items() if flips}
        found = _compare(context, base, base, Relation(f"{symmetry.sentence()}, but here", None, factors))
        if found:
            return found
    return None


@judged(
    "symmetry.translation",
    "Where the rule uses nothing of the parameter but its place, adding a constant to it changes nothing else.",
    _programs,
    dtypes=DTYPES,
    needs=("rule",),
)
def translation(context: Context, program: Program) -> str | None:
    """The parameter is shifted by 2, with hyperparameters at 0 where the equations ask for it (no decay).

    Bugs of this kind: a trust ratio or a decay that is always on, a parameter that is confused with its gradient.
    """
    for symmetry, base in _found(context, program, "translation"):
        found = _compare(context, base, base, Relation(f"{symmetry.sentence()}, but with 2 added", offset=2.0))
        if found:
            return found
    return None


@judged(
    "symmetry.permutation",
    "Where elements act on each other through the whole tensor or not at all, permuting them changes nothing else.",
    _programs,
    dtypes=DTYPES,
    needs=("rule",),
)
def permutation(context: Context, program: Program) -> str | None:
    """Parameter and gradients are permuted in the same way; every element must move as before.

    Bugs of this kind: neighbours that are mixed by roll or cumsum, a vector loop that misses its remainder,
    blocks with one shared scale.
    """
    _, base = _found(context, program, "permutation")[0]
    return _compare(context, base, base, Relation("with the elements in another order", reorder=7))
