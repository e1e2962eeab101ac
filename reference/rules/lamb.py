"""LAMB: Adam's step, made as long for each parameter as that parameter is."""

from dataclasses import replace

from sympy import And, Min, Piecewise, sqrt

from reference.hyperparameters import BETA1, BETA2, EPS, LR, MAXIMIZE, WEIGHT_DECAY
from reference.reductions import norm
from reference.rule import Hyperparameter, Option, Options, StateVariable, UpdateRule, Variables
from reference.rules.common import uphill_or_down

BIAS_CORRECTION = Option(
    "bias_correction", default=True, arguments=("bias_correction",), about="correct the moments as Adam does"
)
CLAMP = Hyperparameter("clamp_value", 10.0, low_open=True, arguments=("clamp_value", "clamp"), trials=(10.0, 1.0, 0.25))


def _update(v: Variables, options: Options):
    """Adam's direction with decay, which is what the norm is taken of."""
    g = uphill_or_down(v, options)
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    s = v.let("exp_avg_sq", v.beta2 * v.exp_avg_sq + (1 - v.beta2) * g**2)
    if options.bias_correction:
        m, s = m / (1 - v.beta1**v.t), s / (1 - v.beta2**v.t)
    return v.let("update", m / (sqrt(s) + v.eps) + v.weight_decay * v.p)


def _move(v: Variables, update, size) -> None:
    p_norm, u_norm = v.let("parameter_norm", size), v.let("update_norm", norm(update))
    ratio = v.let("trust_ratio", Piecewise((p_norm / u_norm, And(p_norm > 0, u_norm > 0)), (1, True)))
    v.let("p", v.p - v.lr * ratio * update)


def lamb_equations(v: Variables, options: Options) -> None:
    _move(v, _update(v, options), norm(v.p))


def lamb_clamped_equations(v: Variables, options: Options) -> None:
    _move(v, _update(v, options), Min(norm(v.p), v.clamp_value))


LAMB = UpdateRule(
    name="lamb",
    title="LAMB: Adam's step with decay, scaled to the norm of the parameter",
    source="You et al. 2020, Algorithm 2 (arXiv:1904.00962), with phi(z) = z",
    equations=lamb_equations,
    hyperparameters=(LR, BETA1, BETA2, replace(EPS, default=1e-6), replace(WEIGHT_DECAY, default=0.01)),
    state=(StateVariable("exp_avg"), StateVariable("exp_avg_sq", nonnegative=True)),
    options=(BIAS_CORRECTION, MAXIMIZE),
    notes=(
        "where the norm of the parameter or of the update is zero the ratio is 1, as all code has it; the paper does "
        "not say, and a parameter that starts at zero would stay there",
        "the first version of the paper has no bias correction",
    ),
)

LAMB_CLAMPED = replace(
    LAMB,
    name="lamb_clamped",
    title="LAMB with the norm of the parameter held below a bound",
    source="You et al. 2020, Algorithm 2 (arXiv:1904.00962), with phi(z) = min(z, clamp_value)",
    equations=lamb_clamped_equations,
    hyperparameters=(*LAMB.hyperparameters, CLAMP),
    options=(replace(BIAS_CORRECTION, default=False), MAXIMIZE),
    notes=(LAMB.notes[0], "without bias correction by default, as in the code that brought the bound of 10"),
    _steps={},
)
