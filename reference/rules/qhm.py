"""Quasi-hyperbolic momentum, alone and in Adam."""

from dataclasses import replace

from sympy import sqrt

from reference.hyperparameters import BETA1, BETA2, EPS, LR, MAXIMIZE, MOMENTUM, WEIGHT_DECAY
from reference.rule import Hyperparameter, Options, StateVariable, UpdateRule, Variables
from reference.rules.adam import DECOUPLED
from reference.rules.common import decay

NU = Hyperparameter("nu", 0.7, trials=(0.5, 0.7, 1.0, 0.0))
NU1 = Hyperparameter("nu1", 1.0, arguments=("nus[0]", "nu1"), trials=(0.5, 0.7, 1.0, 0.0))
NU2 = Hyperparameter("nu2", 1.0, arguments=("nus[1]", "nu2"), trials=(0.75, 0.5, 1.0, 0.0))


def qhm_equations(v: Variables, options: Options) -> None:
    p, g = decay(v, options)
    m = v.let("momentum_buffer", v.momentum * v.momentum_buffer + (1 - v.momentum) * g)
    v.let("p", p - v.lr * v.nu * m - v.lr * (1 - v.nu) * g)


def _quasi_hyperbolic(v: Variables, p, g, m, s) -> None:
    """The step from bias-free averages m and s."""
    numerator = v.let("numerator", (1 - v.nu1) * g + v.nu1 * m)
    square = v.let("square", (1 - v.nu2) * g**2 + v.nu2 * s, nonnegative=True)
    v.let("p", p - v.lr * numerator / (sqrt(square) + v.eps))


def qhadam_equations(v: Variables, options: Options) -> None:
    p, g = decay(v, options)
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    s = v.let("exp_avg_sq", v.beta2 * v.exp_avg_sq + (1 - v.beta2) * g**2)
    m_hat = v.let("m_hat", m / (1 - v.beta1**v.t))
    s_hat = v.let("s_hat", s / (1 - v.beta2**v.t))
    _quasi_hyperbolic(v, p, g, m_hat, s_hat)


def qhadam_weighted_equations(v: Variables, options: Options) -> None:
    p, g = decay(v, options)
    w1 = v.let("beta1_weight", 1 + v.beta1 * v.beta1_weight)
    w2 = v.let("beta2_weight", 1 + v.beta2 * v.beta2_weight)
    keep1, keep2 = v.let("keep1", 1 - 1 / w1), v.let("keep2", 1 - 1 / w2)
    m = v.let("exp_avg", keep1 * v.exp_avg + (1 - keep1) * g)
    s = v.let("exp_avg_sq", keep2 * v.exp_avg_sq + (1 - keep2) * g**2)
    _quasi_hyperbolic(v, p, g, m, s)


def the_square_is_a_mean(values, options) -> bool:
    """Beyond 1 the weight of the squared gradient is negative, and so may be what the root is taken of."""
    return values["nu2"] <= 1


QHM = UpdateRule(
    name="qhm",
    title="QHM: the weighted mean of a plain gradient step and a momentum step",
    source="Ma & Yarats 2019, Quasi-hyperbolic momentum and Adam for deep learning, Section 3 (arXiv:1810.06801)",
    equations=qhm_equations,
    hyperparameters=(LR, replace(MOMENTUM, default=0.999, high=1.0, trials=(0.5, 0.9, 0.0)), NU, WEIGHT_DECAY),
    state=(StateVariable("momentum_buffer"),),
    options=(DECOUPLED, MAXIMIZE),
    notes=(
        "the buffer is an average: the new gradient enters with weight 1 - momentum, the paper's beta",
        "decoupled weight decay is what the authors' code calls direct",
    ),
)

QHADAM = UpdateRule(
    name="qhadam",
    title="QHAdam: Adam with quasi-hyperbolic terms in both moments",
    source="Ma & Yarats 2019, Section 4 (arXiv:1810.06801)",
    equations=qhadam_equations,
    hyperparameters=(LR, BETA1, BETA2, NU1, NU2, EPS, WEIGHT_DECAY),
    state=(StateVariable("exp_avg"), StateVariable("exp_avg_sq", nonnegative=True)),
    options=(DECOUPLED, MAXIMIZE),
    constraint=the_square_is_a_mean,
    notes=("the state holds biased averages, corrected where they are used, as in the paper",),
)

QHADAM_WEIGHTED = replace(
    QHADAM,
    name="qhadam_weighted",
    title="QHAdam whose state holds averages without bias, and the sums of their weights",
    source="Ma & Yarats 2019, Section 4 (arXiv:1810.06801), and the authors' code, qhoptim 1.1",
    equations=qhadam_weighted_equations,
    state=(
        StateVariable("beta1_weight", scalar=True, nonnegative=True),
        StateVariable("beta2_weight", scalar=True, nonnegative=True),
        StateVariable("exp_avg"),
        StateVariable("exp_avg_sq", nonnegative=True),
    ),
    notes=("the weights are sums of powers of beta: the same as qhadam while the betas stay",),
    _steps={},
)
