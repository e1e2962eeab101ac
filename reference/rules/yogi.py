"""Yogi: a second moment that moves by steps of the squared gradient, whichever way."""

from dataclasses import replace

from sympy import sign, sqrt

from reference.hyperparameters import BETA1, BETA2, EPS, LR, MAXIMIZE, WEIGHT_DECAY
from reference.rule import Hyperparameter, Options, StateVariable, UpdateRule, Variables
from reference.rules.common import decayed_gradient

INITIAL = Hyperparameter(
    "initial_accumulator",
    1e-6,
    absent=0.0,
    arguments=("initial_accumulator", "initial_accumulator_value"),
    trials=(0.25, 0.0, 1e-6, 1.0),
)


def _moments(v: Variables, options: Options):
    g = decayed_gradient(v, options)
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    square = v.let("square", g**2)
    s = v.let("exp_avg_sq", v.exp_avg_sq - (1 - v.beta2) * sign(v.exp_avg_sq - square) * square)
    return m, s


def yogi_equations(v: Variables, options: Options) -> None:
    m, s = _moments(v, options)
    v.let("p", v.p - v.lr * m / (sqrt(s) + v.eps))


def yogi_corrected_equations(v: Variables, options: Options) -> None:
    m, s = _moments(v, options)
    m_hat = m / (1 - v.beta1**v.t)
    v.let("p", v.p - v.lr * m_hat / (sqrt(s / (1 - v.beta2**v.t)) + v.eps))


YOGI = UpdateRule(
    name="yogi",
    title="Yogi: Adam whose second moment changes by no more than the squared gradient",
    source="Zaheer et al. 2018, Adaptive Methods for Nonconvex Optimization, Algorithm 2 (NeurIPS 2018)",
    equations=yogi_equations,
    hyperparameters=(replace(LR, default=1e-2), BETA1, BETA2, replace(EPS, default=1e-3), WEIGHT_DECAY, INITIAL),
    state=(
        StateVariable("exp_avg"),
        StateVariable("exp_avg_sq", initial="initial_accumulator", nonnegative=True),
    ),
    options=(MAXIMIZE,),
    notes=(
        "there is no bias correction, as in Algorithm 2; the authors' code for TensorFlow and its ports have one: "
        "yogi_corrected",
        "the second moment starts at initial_accumulator, the first at zero",
    ),
)

YOGI_CORRECTED = replace(
    YOGI,
    name="yogi_corrected",
    title="Yogi with Adam's bias corrections",
    source="Zaheer et al. 2018, Algorithm 2 (NeurIPS 2018), with the corrections of Kingma & Ba 2015, Algorithm 1 "
    "(arXiv:1412.6980)",
    equations=yogi_corrected_equations,
    notes=(
        "epsilon is added to the corrected root",
        "1 - beta2^t is not the sum of any weights here: Yogi's second moment is no average",
    ),
    _steps={},
)
