"""LARS: each parameter has a learning rate of its own, in proportion to its norm over that of its gradient."""

from dataclasses import replace

import sympy
from sympy import And, Piecewise

from reference.hyperparameters import EPS, LR, MAXIMIZE, MOMENTUM, WEIGHT_DECAY
from reference.reductions import norm
from reference.rule import Hyperparameter, Option, Options, StateVariable, UpdateRule, Variables
from reference.rules.common import uphill_or_down

TRUST_COEFFICIENT = Hyperparameter(
    "trust_coefficient", 1e-3, low_open=True, arguments=("trust_coefficient", "eta"), trials=(0.5, 1.0, 0.1)
)
NESTEROV = Option("nesterov", about="take the gradient where the momentum is about to carry the parameter")


def _scaled_gradient(v: Variables, options: Options, eps: sympy.Expr) -> sympy.Expr:
    """The gradient with decay, times the local learning rate."""
    g = uphill_or_down(v, options)
    p_norm = v.let("parameter_norm", norm(v.p))
    g_norm = v.let("gradient_norm", norm(g))
    local = v.trust_coefficient * p_norm / (g_norm + v.weight_decay * p_norm + eps)
    ratio = v.let("trust_ratio", Piecewise((local, And(p_norm > 0, g_norm > 0)), (1, True)))
    return ratio * (g + v.weight_decay * v.p)


def lars_equations(v: Variables, options: Options) -> None:
    velocity = v.let(
        "momentum_buffer", v.momentum * v.momentum_buffer + v.lr * _scaled_gradient(v, options, sympy.S.Zero)
    )
    v.let("p", v.p - velocity)


def lars_lr_outside_equations(v: Variables, options: Options) -> None:
    g = v.let("scaled_gradient", _scaled_gradient(v, options, v.eps))
    b = v.let("momentum_buffer", v.momentum * v.momentum_buffer + g)
    v.let("p", v.p - v.lr * (g + v.momentum * b if options.nesterov else b))


LARS = UpdateRule(
    name="lars",
    title="LARS: momentum, with a learning rate for each parameter from its norm and that of its gradient",
    source="You, Gitman & Ginsburg 2017, Algorithm 1 (arXiv:1708.03888)",
    equations=lars_equations,
    hyperparameters=(LR, MOMENTUM, WEIGHT_DECAY, TRUST_COEFFICIENT),
    state=(StateVariable("momentum_buffer"),),
    options=(MAXIMIZE,),
    notes=(
        "where the norm of the parameter or of its gradient is zero the local rate is 1, as all code has it; the paper "
        "does not say, and a parameter that starts at zero would stay there",
    ),
)

LARS_LR_OUTSIDE = replace(
    LARS,
    name="lars_lr_outside",
    title="LARS with the learning rate outside the momentum, as torch's SGD has it",
    source="You, Gitman & Ginsburg 2017, Algorithm 1 (arXiv:1708.03888), in the form of NVIDIA apex LARC and its heirs",
    equations=lars_lr_outside_equations,
    hyperparameters=(*LARS.hyperparameters, replace(EPS, default=0.0, absent=0.0, trials=(0.5, 0.0, 1e-2))),
    state=(StateVariable("momentum_buffer", needs="momentum"),),
    options=(NESTEROV, MAXIMIZE),
    notes=(
        *LARS.notes,
        "it is lars while lr stays as it is",
        "eps in the divisor is of the code, not of the paper",
        "no momentum_buffer is kept while momentum is 0",
    ),
    _steps={},
)
