"""NAdam: Nesterov's look-ahead with a momentum that changes, and the bias of such an average."""

from __future__ import annotations

import sympy
from sympy import Limit, Rational, oo, sqrt, symbols

from reference.derivations import DerivationStep
from reference.derivations.averages import bias
from reference.derivations.tools import simple_case, symbols_of
from reference.rules.adam import ADAM
from reference.rules.nadam import NADAM

v = symbols_of(NADAM)


def schedule(t):
    """Momentum at step t."""
    return v.beta1 * (1 - 0.96 ** (t * v.momentum_decay) / 2)


def look_ahead() -> list[DerivationStep]:
    """Nesterov's gradient at the point that the next momentum step leads to."""
    rate, mu, mu_ahead, m, theta, p, g = symbols("rate mu mu_ahead m theta p g", real=True)
    new_m = mu * m + (1 - mu) * g
    # p is where the gradient was taken: one momentum step ahead of theta.
    old_theta = sympy.solve(theta - rate * mu * m - p, theta)[0]
    new_theta = old_theta - rate * new_m
    return [
        DerivationStep(
            "Nesterov's method takes the gradient at p = theta - rate mu_t m_{t-1}; followed at "
            "p, the step uses the momentum that comes next: mu_{t+1} m_t + (1 - mu_t) g_t (Dozat "
            "2016)",
            new_theta - rate * mu_ahead * new_m,
            p - rate * ((1 - mu) * g + mu_ahead * new_m),
        ),
    ]


def scheduled_bias() -> list[DerivationStep]:
    """The sum of the weights of an average whose decay changes from step to step."""
    m1, m2, m3, product = symbols("mu1 mu2 mu3 product", real=True)
    return [
        DerivationStep(
            "an average with decays mu_1, mu_2, mu_3 has weights that sum to 1 - mu_1 mu_2 mu_3 "
            "(Dozat 2016, Algorithm 2)",
            (1 - m1) * m2 * m3 + (1 - m2) * m3 + (1 - m3),
            1 - m1 * m2 * m3,
        ),
        DerivationStep(
            "and one more step keeps that form: m_t is divided by one minus the product up to t + "
            "1 because mu_{t+1} m_t belongs to the next step, g_t by one minus the product up to t",
            m1 * (1 - product) + (1 - m1),
            1 - product * m1,
        ),
    ]


def nadam() -> list[DerivationStep]:
    """Dozat 2016, Algorithm 2, with torch's first moment."""
    step = NADAM.step()
    momentum_decay = sympy.Symbol("momentum_decay", positive=True)
    steps = sympy.Symbol("t", positive=True)
    # The rule at weight_decay = 0, from Algorithm 2.
    m = v.beta1 * v.exp_avg + (1 - v.beta1) * v.g
    s = v.beta2 * v.exp_avg_sq + (1 - v.beta2) * v.g**2
    mu, mu_ahead = schedule(v.t), schedule(v.t + 1)
    product = v.mu_product * mu
    m_hat = (1 - mu) * v.g / (1 - product) + mu_ahead * m / (1 - product * mu_ahead)
    root = sqrt(s) / sqrt(1 - v.beta2**v.t)
    undecayed = simple_case(step.solved("p"), weight_decay=0)
    return [
        *bias("Kingma & Ba 2015, Section 3, equations 1 to 4"),
        *look_ahead(),
        *scheduled_bias(),
        DerivationStep(
            "the schedule would be half of beta1 at a step 0 (Dozat 2016, with t/250 for t momentum_decay)",
            schedule(0),
            Rational(1, 2) * v.beta1,
        ),
        DerivationStep(
            "and rises to beta1 in the long run",
            Limit(schedule(steps).subs(v.momentum_decay, momentum_decay), steps, oo),
            v.beta1,
        ),
        DerivationStep(
            "each step multiplies the product by the scheduled momentum",
            step.solved("mu_product"),
            product,
        ),
        DerivationStep(
            "the corrected look-ahead momentum over the corrected root is the rule's own step at "
            "weight_decay = 0 (Algorithm 2, last line)",
            undecayed,
            v.p - v.lr * m_hat / (root + v.eps),
        ),
        DerivationStep(
            "without momentum, beta1 = 0, it is Adam without momentum",
            simple_case(undecayed, beta1=0),
            simple_case(ADAM.step().solved("p"), beta1=0, weight_decay=0),
        ),
    ]
