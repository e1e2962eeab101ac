"""AdaBelief: Adam that divides by how far gradients are from their average."""

from dataclasses import replace

from sympy import Max, Piecewise, sqrt

from reference.hyperparameters import BETA1, BETA2, EPS, LR, MAXIMIZE, WEIGHT_DECAY
from reference.rule import Options, StateVariable, UpdateRule, Variables
from reference.rules.adam import AMSGRAD, DECOUPLED
from reference.rules.common import decay
from reference.rules.radam import rectification


def _moments(v: Variables, options: Options, kept, added):
    """Parameter, average of gradients, and the variance around it with eps kept in it or added after it."""
    p, g = decay(v, options)
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    s = v.let("exp_avg_var", v.beta2 * v.exp_avg_var + (1 - v.beta2) * (g - m) ** 2 + kept)
    if options.amsgrad:
        s = v.let("max_exp_avg_var", Max(v.max_exp_avg_var, s))
    return p, m, s + added


def _adam_step(v: Variables, p, m, s) -> None:
    m_hat = m / (1 - v.beta1**v.t)
    v.let("p", p - v.lr * m_hat / (sqrt(s / (1 - v.beta2**v.t)) + v.eps))


def adabelief_equations(v: Variables, options: Options) -> None:
    _adam_step(v, *_moments(v, options, kept=v.eps, added=0))


def adabelief_eps_not_kept_equations(v: Variables, options: Options) -> None:
    _adam_step(v, *_moments(v, options, kept=0, added=v.eps))


def adabelief_rectified_equations(v: Variables, options: Options) -> None:
    p, m, s = _moments(v, options, kept=v.eps, added=0)
    bias_correction1 = v.let("bias_correction1", 1 - v.beta1**v.t)
    bias_correction2 = v.let("bias_correction2", 1 - v.beta2**v.t)
    rho_inf = v.let("rho_inf", 2 / (1 - v.beta2) - 1)
    rho = v.let("rho", rho_inf - 2 * v.t * v.beta2**v.t / bias_correction2)
    tractable = rho >= 5
    r = v.let("rectification", Piecewise((rectification(rho, rho_inf), tractable), (1, True)))
    change = v.lr * m / bias_correction1
    adapted = change * r * sqrt(bias_correction2) / (sqrt(s) + v.eps)
    v.let("p", p - Piecewise((adapted, tractable), (change, True)))


ADABELIEF = UpdateRule(
    name="adabelief",
    title="AdaBelief: the step is divided by the root of the gradients' mean squared surprise",
    source="Zhuang et al. 2020, AdaBelief Optimizer, Algorithm 2 (arXiv:2010.07468)",
    equations=adabelief_equations,
    hyperparameters=(LR, BETA1, BETA2, replace(EPS, default=1e-16), WEIGHT_DECAY),
    state=(
        StateVariable("exp_avg"),
        StateVariable("exp_avg_var", nonnegative=True),
        StateVariable("max_exp_avg_var", nonnegative=True, option="amsgrad"),
    ),
    options=(AMSGRAD, DECOUPLED, MAXIMIZE),
    notes=(
        "eps is added to the variance that is kept, at every step, and to the root",
        "the deviation is from the average of this step, which the gradient is in",
        "amsgrad is of the authors' code, not of the paper",
    ),
)

ADABELIEF_EPS_NOT_KEPT = replace(
    ADABELIEF,
    name="adabelief_eps_not_kept",
    title="AdaBelief whose variance is kept without epsilon",
    source="Zhuang et al. 2020, Algorithm 2 (arXiv:2010.07468), as adabelief-pytorch 0.0.5 and labml-nn compute it",
    equations=adabelief_eps_not_kept_equations,
    notes=("eps is added to the variance where it is used, and to the root; it does not accumulate",),
    _steps={},
)

ADABELIEF_RECTIFIED = replace(
    ADABELIEF,
    name="adabelief_rectified",
    title="AdaBelief with RAdam's rectification, the default of the authors' code",
    source="Zhuang et al. 2020 (arXiv:2010.07468), the authors' code, adabelief-pytorch 0.2.0; rectification: "
    "Liu et al. 2020, Algorithm 2 (arXiv:1908.03265)",
    equations=adabelief_rectified_equations,
    options=(AMSGRAD, replace(DECOUPLED, default=True), MAXIMIZE),
    notes=(
        "adaptation starts at rho >= 5; torch's RAdam starts it at rho > 5",
        "eps is added to the variance that is kept, and to the uncorrected root",
    ),
    _steps={},
)
