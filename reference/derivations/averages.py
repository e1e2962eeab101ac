"""Exponential averages: their weights, summed."""

from __future__ import annotations

import sympy
from sympy import Integer, Sum, symbols

from reference.derivations import DerivationStep

t, i = symbols("t i", integer=True, positive=True)
beta = sympy.Symbol("beta", nonnegative=True)
# Every decay in (0, 1) is 1 / (1 + r) with r > 0. Written so, sympy knows that it is below 1 and
# sums geometric series without a branch for decay = 1.
r = sympy.Symbol("r", positive=True)
decay = 1 / (1 + r)


def unrolled(citation: str) -> DerivationStep:
    """Four steps of m <- beta m + (1 - beta) g from zero."""
    gradients = symbols("g1:5", real=True)
    recursion: sympy.Expr = Integer(0)
    for gradient in gradients:
        recursion = beta * recursion + (1 - beta) * gradient
    closed = sum((1 - beta) * beta ** (4 - k) * g for k, g in enumerate(gradients, start=1))
    return DerivationStep(
        "unrolling m_t = beta m_{t-1} + (1 - beta) g_t from m_0 = 0 gives g_i the weight "
        f"(1 - beta) beta^(t-i), here for t = 4 ({citation})",
        recursion,
        closed,
    )


def bias(citation: str) -> list[DerivationStep]:
    """The sum of the weights, which is the bias, and its place at both ends of [0, 1)."""
    return [
        unrolled(citation),
        DerivationStep(
            "the weights sum to 1 - beta^t, for every t and every beta = 1/(1 + r) in (0, 1): an "
            f"average of equal gradients g comes out as (1 - beta^t) g ({citation})",
            Sum((1 - decay) * decay ** (t - i), (i, 1, t)),
            1 - decay**t,
        ),
        DerivationStep(
            "the same without division, so for beta = 0 as well: one more step multiplies the sum "
            "by beta and adds 1 - beta, which keeps the form 1 - beta^t",
            beta * (1 - beta**t) + (1 - beta),
            1 - beta ** (t + 1),
        ),
    ]
