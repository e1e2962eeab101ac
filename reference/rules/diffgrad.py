"""diffGrad: Adam whose step is held back where the gradient changes little."""

from dataclasses import replace

from sympy import Abs, exp, sqrt

from reference.hyperparameters import BETA1, BETA2, EPS, LR, MAXIMIZE, WEIGHT_DECAY
from reference.rule import Options, StateVariable, UpdateRule, Variables
from reference.rules.common import decayed_gradient


def _moments(v: Variables, options: Options):
    """Second moment, and the first held back by friction."""
    g = decayed_gradient(v, options)
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    s = v.let("exp_avg_sq", v.beta2 * v.exp_avg_sq + (1 - v.beta2) * g**2)
    change = v.let("change", Abs(v.previous_grad - g))
    friction = v.let("friction", 1 / (1 + exp(-change)))
    v.let("previous_grad", g)
    return friction * m, s


def diffgrad_equations(v: Variables, options: Options) -> None:
    m, s = _moments(v, options)
    m_hat = m / (1 - v.beta1**v.t)
    v.let("p", v.p - v.lr * m_hat / (sqrt(s / (1 - v.beta2**v.t)) + v.eps))


def diffgrad_eps_hat_equations(v: Variables, options: Options) -> None:
    m, s = _moments(v, options)
    rate = v.lr * sqrt(1 - v.beta2**v.t) / (1 - v.beta1**v.t)
    v.let("p", v.p - rate * m / (sqrt(s) + v.eps))


DIFFGRAD = UpdateRule(
    name="diffgrad",
    title="diffGrad: Adam's step times a sigmoid of the change of the gradient",
    source="Dubey et al. 2020, diffGrad: An Optimization Method for CNNs, Section III (arXiv:1909.11015)",
    equations=diffgrad_equations,
    hyperparameters=(LR, BETA1, BETA2, EPS, WEIGHT_DECAY),
    state=(
        StateVariable("exp_avg"),
        StateVariable("exp_avg_sq", nonnegative=True),
        StateVariable("previous_grad"),
    ),
    options=(MAXIMIZE,),
    notes=(
        "the gradient before the first is zero",
        "the change is that of the gradient with its L2 decay",
    ),
)

DIFFGRAD_EPS_HAT = replace(
    DIFFGRAD,
    name="diffgrad_eps_hat",
    title="diffGrad with epsilon added to the uncorrected root, as its authors' code has it",
    source="Dubey et al. 2020, Section III (arXiv:1909.11015), in the order of computation of the authors' code",
    equations=diffgrad_eps_hat_equations,
    notes=("its epsilon equals that of diffgrad times sqrt(1 - beta2^t)",),
    _steps={},
)
