"""RAdam: the length of a simple average that stands for the exponential one, and its variance."""

from __future__ import annotations

import sympy
from sympy import Integral, Limit, Sum, exp, gamma, oo, sqrt, symbols

from reference.derivations import DerivationStep
from reference.derivations.averages import bias, decay, i, r, t
from reference.derivations.tools import branch, simple_case, symbols_of
from reference.rules.radam import RADAM

v = symbols_of(RADAM)
length = sympy.Symbol("f", integer=True, positive=True)
rho, rho_inf = symbols("rho rho_inf", positive=True)
sigma = sympy.Symbol("sigma", positive=True)


def sma_length(beta, steps):
    """Length of the simple average with the centre of mass of the exponential one."""
    return 2 / (1 - beta) - 1 - 2 * steps * beta**steps / (1 - beta**steps)


def lengths() -> list[DerivationStep]:
    """Liu et al. 2020, Section 4.1."""
    exponential_centre = t / (1 - decay**t) - decay / (1 - decay)
    simple_centre = t + 1 - (length + 1) / 2
    speed = sympy.Symbol("c", positive=True)
    steps = sympy.Symbol("t", positive=True)
    return [
        DerivationStep(
            "the centre of mass of the exponential average over the steps 1 to t, with decay 1/(1 "
            "+ r) (Liu et al. 2020, equation 4, left side)",
            (1 - decay) * Sum(decay ** (t - i) * i, (i, 1, t)) / (1 - decay**t),
            exponential_centre,
        ),
        DerivationStep(
            "the centre of mass of a simple average over the last f steps (equation 4, right side)",
            Sum(t + 1 - i, (i, 1, length)) / length,
            simple_centre,
        ),
        DerivationStep(
            "both are the same for f = 2/(1 - beta2) - 1 - 2 t beta2^t / (1 - beta2^t) (Section 4.1)",
            simple_centre.subs(length, sma_length(decay, t)),
            exponential_centre,
        ),
        DerivationStep(
            "which grows to rho_inf = 2/(1 - beta2) - 1: the rest vanishes, with beta2 = exp(-c) (Section 4.1)",
            Limit(2 * steps * exp(-speed * steps) / (1 - exp(-speed * steps)), steps, oo),
            0,
        ),
        DerivationStep("at the first step the length is 1", sma_length(1 / (1 + r), 1), 1),
    ]


def variances() -> list[DerivationStep]:
    """Liu et al. 2020, Section 4.2."""
    x, shape = symbols("x a", positive=True)

    def moment(k: int):
        # psi^2 = rho / (sigma^2 chi^2), and chi^2 / 2 has a gamma distribution of shape rho / 2.
        return (rho / (2 * sigma**2)) ** k * gamma(rho / 2 - k) / gamma(rho / 2)

    mean = rho / ((rho - 2) * sigma**2)
    variance = 2 * rho**2 / ((rho - 2) ** 2 * (rho - 4) * sigma**4)
    first_order = rho / (2 * (rho - 2) * (rho - 4) * sigma**2)
    ratio = first_order.subs(rho, rho_inf) / first_order
    rectified = (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)
    return [
        DerivationStep(
            "moments of a gamma distribution are ratios of this integral",
            Integral(x ** (shape - 1) * exp(-x), (x, 0, oo)),
            gamma(shape),
        ),
        DerivationStep(
            "with gradients of variance sigma^2 the squared adaptive rate psi^2 is scaled inverse "
            "chi-square with rho degrees of freedom; its mean (Section 3.2)",
            moment(1),
            mean,
        ),
        DerivationStep(
            "and its variance, which is finite only for rho > 4",
            moment(2) - moment(1) ** 2,
            variance,
        ),
        DerivationStep(
            "to first order the variance of psi is that of psi^2 over 4 E[psi^2] (Section 4.2)",
            variance / (4 * mean),
            first_order,
        ),
        DerivationStep(
            "the squared rectification is the smallest variance, at rho_inf, over the one at rho (Section 4.2)",
            ratio,
            rectified,
        ),
        DerivationStep("it starts from zero at rho = 4", rectified.subs(rho, 4), 0),
        DerivationStep("and ends at 1, which is Adam", rectified.subs(rho, rho_inf), 1),
    ]


def radam() -> list[DerivationStep]:
    """Liu et al. 2020 (arXiv:1908.03265), Algorithm 2."""
    step = RADAM.step()
    made = {a.name: a for a in step.assignments}
    own_length = step.solved("rho")
    rectification = made["rectification"]
    rectified = sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
    change = simple_case(step.solved("p"), weight_decay=0)
    m_hat = (v.beta1 * v.exp_avg + (1 - v.beta1) * v.g) / (1 - v.beta1**v.t)
    s = v.beta2 * v.exp_avg_sq + (1 - v.beta2) * v.g**2
    own_rectification = branch(step.solved("rectification"), 0)
    return [
        *bias("Kingma & Ba 2015, Section 3, equations 1 to 4"),
        *lengths(),
        *variances(),
        DerivationStep("the length of the rule is the one derived", own_length, sma_length(v.beta2, v.t)),
        DerivationStep(
            "and so is its rectification, where the variance is finite",
            simple_case(branch(rectification.expression, 0), rho=rho, rho_inf=rho_inf),
            rectified,
        ),
        DerivationStep(
            "with a tractable variance the update is Adam's, rectified: the rule's own step, "
            "whose eps is Adam's epsilon-hat",
            branch(change, 0),
            v.p - v.lr * own_rectification * m_hat * sqrt(1 - v.beta2**v.t) / (sqrt(s) + v.eps),
        ),
        DerivationStep(
            "without one it is momentum alone, corrected for its bias",
            branch(change, -1),
            v.p - v.lr * m_hat,
        ),
    ]
