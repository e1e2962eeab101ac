"""-H g, for the inverse-Hessian approximation of L-BFGS: as a dense matrix, and by the two-loop recursion.

Nocedal & Wright 2006, Numerical Optimization, 2nd edition. H starts as gamma I and takes one update for each pair
(s, y) that is remembered, the oldest first (equations 6.17 and 7.16):

    H <- (I - rho s y') H (I - rho y s') + rho s s',   rho = 1 / y's

Both functions run in exact and in enclosing arithmetic (see .enclosure); in the first they give the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from reference.quasi_newton.enclosure import Arithmetic, Number, Vector


class Pair(NamedTuple):
    """How far a step went, and by how much the gradient changed on it."""

    s: Vector
    y: Vector


Matrix = list


def updated(h: Matrix, pair: Pair, a: Arithmetic) -> Matrix:
    """H after the BFGS update with one pair: the product in equation 6.17, multiplied out.

    H - rho (s v' + v s') + rho (1 + rho y'v) s s' with v = H y, which takes n^2 products and not n^3.
    """
    s, y = pair
    n = range(len(s))
    rho = a.rounded(1 / a.dot(y, s))
    v = [a.dot(row, y) for row in h]
    outer = a.rounded(rho * a.rounded(1 + a.rounded(rho * a.dot(y, v))))
    scaled = [a.rounded(rho * x) for x in s]
    return [
        [
            a.rounded(
                a.rounded(h[i][j] - a.rounded(a.rounded(scaled[i] * v[j]) + a.rounded(v[i] * scaled[j])))
                + a.rounded(outer * a.rounded(s[i] * s[j]))
            )
            for j in n
        ]
        for i in n
    ]


def dense(g: Vector, pairs: Sequence[Pair], gamma: Number, a: Arithmetic) -> Vector:
    """-H g with H as a matrix."""
    h: Matrix = [[gamma if i == j else 0 * gamma for j in range(len(g))] for i in range(len(g))]
    for pair in pairs:
        h = updated(h, pair, a)
    return [-a.dot(row, g) for row in h]


def two_loop(g: Vector, pairs: Sequence[Pair], gamma: Number, a: Arithmetic) -> Vector:
    """-H g without a matrix (Algorithm 7.4)."""
    q, weights = list(g), []
    for s, y in reversed(pairs):
        rho = a.rounded(1 / a.dot(y, s))
        alpha = a.rounded(rho * a.dot(s, q))
        weights.append((rho, alpha))
        q = [a.rounded(q_i - a.rounded(alpha * y_i)) for q_i, y_i in zip(q, y, strict=True)]
    r = [a.rounded(gamma * q_i) for q_i in q]
    for (s, y), (rho, alpha) in zip(pairs, reversed(weights), strict=True):
        beta = a.rounded(rho * a.dot(y, r))
        r = [a.rounded(r_i + a.rounded(s_i * a.rounded(alpha - beta))) for r_i, s_i in zip(r, s, strict=True)]
    return [-r_i for r_i in r]
