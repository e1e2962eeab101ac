"""L-BFGS from the secant equation: the BFGS update, its two loops, its scaling and its first step.

Nocedal & Wright 2006, Numerical Optimization, 2nd edition, Sections 6.1 and 7.2. Vectors have two elements, and all
entries are symbols; what is claimed of a matrix is the sum of the squares of what it should not have.
"""

from __future__ import annotations

import sympy
from sympy import Matrix, symbols

from reference.derivations import DerivationStep
from reference.quasi_newton.conventions import first_length, scaling
from reference.quasi_newton.enclosure import EXACT
from reference.quasi_newton.inverse_hessian import Pair, dense, two_loop, updated

N = 2


def vector(name: str) -> Matrix:
    return Matrix(symbols(f"{name}_1:{N + 1}", real=True))


def squares(m: Matrix) -> sympy.Expr:
    """Zero where, and only where, all entries are."""
    return sum(sympy.cancel(x) ** 2 for x in m)


h_11, h_12, h_22 = symbols("h_11 h_12 h_22", real=True)
H = Matrix([[h_11, h_12], [h_12, h_22]])
s, y, g = vector("s"), vector("y"), vector("g")
gamma, lr = symbols("gamma lr", positive=True)
rho = 1 / y.dot(s)
ONE = sympy.eye(N)


def product(h: Matrix, s: Matrix, y: Matrix) -> Matrix:
    """Equation 6.17, as it is printed."""
    r = 1 / y.dot(s)
    v = ONE - r * y * s.T
    return v.T * h * v + r * s * s.T


def as_matrix(h: Matrix, pair: Pair) -> Matrix:
    return Matrix(updated(h.tolist(), pair, EXACT))


def pair_of(s: Matrix, y: Matrix) -> Pair:
    return Pair(list(s), list(y))


def nearest() -> DerivationStep:
    """The change of H is orthogonal, in the weighted norm, to every symmetric change that keeps the secant equation."""
    weight = sympy.Symbol("w", positive=True)
    across = Matrix([-s[1], s[0]])
    w = y * y.T / y.dot(s) + weight * across * across.T  # any symmetric W with W s = y
    free = Matrix([-y[1], y[0]])  # E = free free' is symmetric, and E y = 0
    change = product(H, s, y) - H
    return DerivationStep(
        "of all symmetric matrices with H y = s it is the nearest to the old H in the norm that is weighted by any W "
        "with W s = y: the derivative along the one direction that is left is zero (equation 6.16)",
        sympy.cancel((free.T * w * change * w * free)[0]),
        sympy.Integer(0),
    )


def loops(count: int) -> DerivationStep:
    """The recursion and the matrix give the same direction."""
    # an older pair is one of numbers, for four vectors of symbols are more than is needed to tell
    older = [pair_of(Matrix([1, 2]), Matrix([3, 1]))] * (count - 1)
    pairs = [*older, pair_of(s, y)]
    by_loops, by_matrix = (Matrix(form(list(g), pairs, gamma, EXACT)) for form in (two_loop, dense))
    return DerivationStep(
        f"the two loops give the product of the matrix and the gradient, here for {count} of the pairs (Algorithm 7.4)",
        squares(by_loops - by_matrix),
        sympy.Integer(0),
    )


def lbfgs() -> list[DerivationStep]:
    """Nocedal & Wright 2006, equations 6.6, 6.13 to 6.17, 7.16 to 7.20 and Algorithm 7.4."""
    new = product(H, s, y)
    newton = symbols("a_11 a_12 a_22", real=True)
    hessian = Matrix([[newton[0], newton[1]], [newton[1], newton[2]]])
    x = vector("x")
    return [
        DerivationStep(
            "on a quadratic with Hessian A, y = A s: the change of the gradient tells of the curvature (equation 6.6)",
            squares(hessian * (x + s) - hessian * x - hessian * s),
            sympy.Integer(0),
        ),
        DerivationStep(
            "the new H takes y to s, which is the secant equation (6.6)",
            squares(new * y - s),
            sympy.Integer(0),
        ),
        DerivationStep("the new H is symmetric (equation 6.13)", squares(new - new.T), sympy.Integer(0)),
        DerivationStep(
            "z'H z is that of the old H at z - rho (s'z) y, plus rho (s'z)^2: with y's > 0 a positive definite H stays so "
            "(Section 6.1)",
            (x.T * new * x)[0],
            ((x - rho * s.dot(x) * y).T * H * (x - rho * s.dot(x) * y))[0] + rho * s.dot(x) ** 2,
        ),
        nearest(),
        DerivationStep(
            "the rule's own update is this product, multiplied out (equation 6.17)",
            squares(as_matrix(H, pair_of(s, y)) - new),
            sympy.Integer(0),
        ),
        *(loops(count) for count in (1, 2)),
        DerivationStep(
            "gamma = y's / y'y brings gamma y nearest to s: it is where the derivative of |gamma y - s|^2 is zero "
            "(equation 7.20)",
            sympy.solve(sympy.diff((gamma * y - s).dot(gamma * y - s), gamma), gamma)[0],
            scaling([pair_of(s, y)], EXACT),
        ),
        DerivationStep(
            "without pairs the direction is -g: H starts as gamma I with gamma = 1 (Algorithm 7.5)",
            squares(Matrix(dense(list(g), [], sympy.Integer(1), EXACT)) + g),
            sympy.Integer(0),
        ),
        DerivationStep(
            "the first step of length min(1, 1/|g|_1) lr along -g has the 1-norm lr where |g|_1 is above 1, here 4 "
            "(minFunc, Schmidt 2005)",
            first_length([sympy.Integer(3), sympy.Integer(-1)], lr, EXACT) * 4,
            lr,
        ),
    ]
