"""Functions of matrices taken once too often or too seldom, with other coefficients, and rows taken for columns."""

from __future__ import annotations

from collections.abc import Iterator

import sympy

from reference.matrices import COLUMNS, ROWS, OddPolynomial
from reference.rule import PARAMETER
from reference.variants.equations import Edit, Equations
from reference.variants.words import spoken

# coefficients that are in use under the name of Newton and Schulz, with what they are
OTHERS = (
    ("cubic", "1.5 s - 0.5 s^3, Newton's and Schulz's own", (sympy.Rational(3, 2), -sympy.S.Half, sympy.S.Zero)),
    (
        "convergent",
        "2 s - 1.5 s^3 + 0.5 s^5, which converges",
        (sympy.Integer(2), -sympy.Rational(3, 2), sympy.S.Half),
    ),
)


def matrix_edits(e: Equations) -> Iterator[Edit]:
    """Every polynomial of a matrix in turn, and every use of the parameter's shape."""
    for a in e.assignments:
        for node in e.nodes(a.name, OddPolynomial):
            yield from _of_polynomial(e, a.name, node)
        if {ROWS, COLUMNS} & a.expression.free_symbols:
            yield from _of_shape(e, a.name)


def _of_polynomial(e: Equations, name: str, node: sympy.Expr) -> Iterator[Edit]:
    x, a, b, c, steps = node.args

    def edit(key: str, sentence: str, other: sympy.Expr) -> Edit:
        return Edit(f"matrix.{key}.{name}", f"{sentence}, in the equation for {name}", e.swap({node: other}, [name]))

    yield edit("one_more", "the polynomial is taken once more", OddPolynomial(x, a, b, c, steps + 1))
    yield edit("one_fewer", "the polynomial is taken once less", OddPolynomial(x, a, b, c, sympy.Max(steps - 1, 0)))
    yield edit("only_once", "the polynomial is taken once, however often it is due", OddPolynomial(x, a, b, c, 1))
    for key, words, numbers in OTHERS:
        yield edit(key, f"the polynomial is {words}", OddPolynomial(x, *numbers, steps))
    yield edit("coefficient_twice", "b stands for c in the fifth power", OddPolynomial(x, a, b, b, steps))
    yield edit("fifth_missing", "the fifth power is missing", OddPolynomial(x, a, b, sympy.S.Zero, steps))
    yield edit("third_sign", "the third power has the wrong sign", OddPolynomial(x, a, -b, c, steps))
    above, below = x.as_numer_denom()
    if not e.is_scalar(below):
        yield edit(
            "not_normalised", f"{spoken(above)} is not divided by its norm", OddPolynomial(above, a, b, c, steps)
        )


def _of_shape(e: Equations, name: str) -> Iterator[Edit]:
    where = f"in the equation for {name}"
    swapped = {ROWS: COLUMNS, COLUMNS: ROWS}
    yield Edit(f"shape.swapped.{name}", f"rows and columns are swapped {where}", e.swap(swapped, [name]))
    terms = sympy.Add.make_args(e[name])
    steps = [t for t in terms if {ROWS, COLUMNS} & t.free_symbols]
    decay = [t for t in terms if t != PARAMETER and PARAMETER in sympy.Mul.make_args(t)]
    if len(steps) == 1:
        own = sympy.Abs(sympy.Mul(*(f for f in sympy.Mul.make_args(steps[0]) if f.free_symbols <= {ROWS, COLUMNS})))
        plain = e[name] - steps[0] + steps[0] / own
        yield Edit(f"shape.missing.{name}", f"the factor of the shape is missing {where}", e.define(name, plain))
        if len(decay) == 1:
            scaled = e[name] - decay[0] + decay[0] * own
            words = f"the decay is multiplied by the factor of the shape too, {where}"
            yield Edit(f"shape.in_decay.{name}", words, e.define(name, scaled))
    for node in e.nodes(name, sympy.Max):
        longer = sympy.Max(ROWS, COLUMNS)
        others = {
            "longer": ("the longer side stands for what the shape gives", longer),
            "shorter": ("the shorter side stands for the longer one", sympy.Min(ROWS, COLUMNS)),
            "elements": ("the number of elements stands for the longer side", ROWS * COLUMNS),
        }
        for key in ("shorter", "elements") if node == longer else ("longer",):
            words, other = others[key]
            yield Edit(f"shape.{key}.{name}", f"{words} {where}", e.swap({node: other}, [name]))
