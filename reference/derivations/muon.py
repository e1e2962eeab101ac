"""Muon from the singular values of a matrix: what its polynomial does to them, and what its length comes from."""

from __future__ import annotations

import sympy
from sympy import Matrix, Max, Rational, Symbol, diff, sqrt, symbols

from reference.derivations import DerivationStep
from reference.derivations.averages import unrolled
from reference.derivations.tools import run, symbols_of
from reference.matrices import COLUMNS, ROWS, OddPolynomial, singular_values_after
from reference.reductions import norm
from reference.rules.muon import MUON

v = symbols_of(MUON)
s1, s2 = symbols("s1 s2", positive=True)
USUAL = tuple(sympy.nsimplify(x) for x in ("3.4445", "-4.775", "2.0315"))


def _rotation(size: int, i: int, j: int, sides: tuple[int, int, int]) -> Matrix:
    """A rotation in the plane of two axes, by an angle of a right triangle with whole sides."""
    turned = sympy.eye(size)
    turned[i, i] = turned[j, j] = Rational(sides[0], sides[2])
    turned[j, i] = Rational(sides[1], sides[2])
    turned[i, j] = -turned[j, i]
    return turned


def _polynomial(x: Matrix) -> Matrix:
    gram = x * x.T
    return v.a * x + v.b * gram * x + v.c * gram * gram * x


def _entries(x: Matrix) -> sympy.Expr:
    """All entries in one expression, each times a symbol of its own."""
    return sum(x[i, j] * Symbol(f"z_{i}{j}") for i in range(x.rows) for j in range(x.cols))


def _acts_on(left: Matrix, right: Matrix, text: str) -> DerivationStep:
    def with_values(*values) -> Matrix:
        wide = sympy.zeros(left.cols, right.cols)
        for k, value in enumerate(values):
            wide[k, k] = value
        return left * wide * right.T

    x = with_values(s1, s2)
    due = with_values(*(singular_values_after(s, v.a, v.b, v.c, 1) for s in (s1, s2)))
    return DerivationStep(text, _entries(_polynomial(x)), _entries(due))


def muon() -> list[DerivationStep]:
    """Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"."""
    s = Symbol("s", nonnegative=True)
    short, longer = symbols("short longer", positive=True)
    a, b, c = USUAL
    usual = singular_values_after(s, a, b, c, 1)
    turning = sqrt((-3 * b - sqrt(9 * b**2 - 20 * a * c)) / (10 * c))
    fixed = sqrt((-b - sqrt(b**2 - 4 * c * (a - 1))) / (2 * c))
    m = v.momentum * v.momentum_buffer + (1 - v.momentum) * v.g
    g1, g2 = symbols("g1 g2", real=True)
    update = v.momentum * m + (1 - v.momentum) * v.g
    direction = OddPolynomial(update / Max(norm(update), v.eps), v.a, v.b, v.c, v.steps)
    after_two = run(MUON.step({"nesterov": False}), [g1, g2, g2])["momentum_buffer"]
    average = run(MUON.step(), [g1, g2])["momentum_buffer"]
    return [
        unrolled("Kingma & Ba 2015, Section 3, equation 1"),
        DerivationStep(
            "Nesterov's form steps along the average as it will be if the next gradient is the same: one step of the "
            "average more, with the present gradient (here the second)",
            after_two,
            v.momentum * average + (1 - v.momentum) * g2,
        ),
        _acts_on(
            _rotation(2, 0, 1, (3, 4, 5)),
            _rotation(2, 0, 1, (5, 12, 13)),
            "a X + b (X X^T) X + c (X X^T)^2 X has the singular vectors of X = U S V^T, and the polynomial a s + b s^3 + "
            "c s^5 of its singular values; here two rows and two columns, and rotations",
        ),
        _acts_on(
            _rotation(2, 0, 1, (3, 4, 5)),
            _rotation(3, 0, 1, (5, 12, 13)) * _rotation(3, 1, 2, (4, 3, 5)),
            "so it has with more columns than rows; here two rows and three columns, and of the transpose it is the "
            "transpose",
        ),
        DerivationStep(
            "the squares of the singular values add up to that of the Frobenius norm, so that divided by it none is "
            "above 1; here two of them",
            (s1 / sqrt(s1**2 + s2**2)) ** 2 + (s2 / sqrt(s1**2 + s2**2)) ** 2,
            1,
        ),
        DerivationStep(
            "taken three times the polynomial multiplies what is small by a^3, which is why a is large",
            diff(singular_values_after(s, v.a, v.b, v.c, 3), s).subs(s, 0),
            v.a**3,
        ),
        DerivationStep(
            "with 3.4445, -4.775 and 2.0315 it has no slope where s^2 is a root of a + 3 b s^2 + 5 c s^4",
            sympy.expand(diff(usual, s).subs(s, turning)),
            0,
        ),
        DerivationStep(
            "and stays where a - 1 + b s^2 + c s^4 = 0: it does not converge to 1, but keeps to a range around it",
            sympy.expand(usual.subs(s, fixed) / fixed),
            1,
        ),
        DerivationStep(
            "a matrix whose singular values are all 1 has root mean square sqrt(1 / longer side) (Liu et al. 2025, Lemma "
            "1), and times 0.2 sqrt(longer side) that of Adam's steps, 0.2 (equation 4)",
            sqrt(short / (short * (short + longer))) * Rational(1, 5) * sqrt(Max(short + longer, short)),
            Rational(1, 5),
        ),
        DerivationStep(
            "the step is along the polynomial of the update over its norm, as long as sqrt(max(1, rows / columns)) has "
            "it, and the decay is beside it (Liu et al. 2025, equation 3)",
            MUON.step().solved("p"),
            v.p - v.lr * sqrt(Max(1, ROWS / COLUMNS)) * direction - v.lr * v.weight_decay * v.p,
        ),
        DerivationStep(
            "or as long as Adam's steps are",
            MUON.step({"match_rms_adamw": True}).solved("p"),
            v.p - v.lr * Rational(1, 5) * sqrt(Max(ROWS, COLUMNS)) * direction - v.lr * v.weight_decay * v.p,
        ),
    ]
