"""Adamax: Adam's second moment with exponent p, and p to infinity."""

import sympy
from sympy import Abs, Limit, Max, exp, oo, symbols

from reference.derivations import DerivationStep
from reference.derivations.averages import bias
from reference.derivations.tools import run, simple_case, symbols_of
from reference.rules.adamax import ADAMAX

v = symbols_of(ADAMAX)


def adamax() -> list[DerivationStep]:
    """Kingma & Ba 2015, Section 7.1 (arXiv:1412.6980)."""
    step = ADAMAX.step()
    n = sympy.Symbol("n", positive=True)
    c, d = symbols("c d", positive=True)
    terms = sympy.Symbol("t", positive=True)
    a = sympy.Symbol("a", nonnegative=True)
    beta2 = v.beta2
    g1, g2, g3 = symbols("g1:4", real=True)
    # After three steps of v <- beta2^n v + (1 - beta2^n) |g|^n.
    moment = sympy.Integer(0)
    for g in (g1, g2, g3):
        moment = beta2**n * moment + (1 - beta2**n) * Abs(g) ** n
    scaled = (1 - beta2**n) * ((beta2**2 * Abs(g1)) ** n + (beta2 * Abs(g2)) ** n + Abs(g3) ** n)
    m = v.beta1 * v.exp_avg + (1 - v.beta1) * v.g
    u = Max(beta2 * v.exp_inf, Abs(v.g))
    return [
        *bias("Kingma & Ba 2015, Section 3, equations 1 to 4"),
        DerivationStep(
            "with exponent n and decay beta2^n the moment is a sum of n-th powers of beta2^(t-i) "
            "|g_i|, here for t = 3 (equations 6 and 7)",
            moment,
            scaled,
        ),
        DerivationStep(
            "the n-th root of its factor 1 - beta2^n tends to 1, with beta2 = exp(-c) below 1 (equation 9)",
            Limit((1 - exp(-c * n)) ** (1 / n), n, oo),
            1,
        ),
        DerivationStep(
            "a sum of t powers lies between the largest power and t times it, and the n-th root "
            "of t tends to 1, so the root of the sum tends to the largest term (equations 10 and "
            "11)",
            Limit(terms ** (1 / n), n, oo),
            1,
        ),
        DerivationStep(
            "for two terms in the ratio exp(-d) the limit itself: the smaller one vanishes",
            Limit((1 + exp(-d * n)) ** (1 / n), n, oo),
            1,
        ),
        DerivationStep(
            "the largest of all beta2^(t-i) |g_i| obeys u_t = max(beta2 u_{t-1}, |g_t|): scaling "
            "by beta2 >= 0 goes through a maximum (equation 12), here u_3 of the rule with eps = 0",
            run(step, [g1, g2, g3], {"eps": 0, "weight_decay": 0})["exp_inf"],
            Max(beta2 * Max(beta2 * Max(0, Abs(g1)), Abs(g2)), Abs(g3)),
        ),
        DerivationStep(
            "which for a shrinking sequence a, a/2, a/4 with beta2 = 1/2 is a/4 three times over",
            run(
                step,
                [a, a / 2, a / 4],
                {"eps": 0, "weight_decay": 0, "beta2": sympy.Rational(1, 2)},
            )["exp_inf"],
            a / 4,
        ),
        DerivationStep(
            "u_t needs no correction, so the update is Algorithm 2: the rule's own step at eps = "
            "0 and weight_decay = 0",
            simple_case(step.solved("p"), eps=0, weight_decay=0),
            v.p - v.lr / (1 - v.beta1**v.t) * m / u,
        ),
    ]
