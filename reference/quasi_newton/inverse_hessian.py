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
    """H after the BFGS update with one pair (equation 6.17)."""
    s, y = pair
    n = range(len(s))
    rho = a.rounded(1 / a.dot(y, s))
    v = [[a.rounded((i == j) - a.rounded(a.rounded(rho * y[i]) * s[j])) for j in n] for i in n]  # I - rho y s'
    columns = [[row[j] for row in v] for j in n]
    hv = [[a.dot(h[i], columns[j]) for j in n] for i in n]
    return [
        [a.rounded(a.dot(columns[i], [row[j] for row in hv]) + a.rounded(a.rounded(rho * s[i]) * s[j])) for j in n]
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
