"""NovoGrad: the gradient over its norm, with one second moment for each parameter."""

from dataclasses import replace

from sympy import Piecewise, sqrt

from reference.hyperparameters import BETA1, BETA2, EPS, LR, MAXIMIZE, WEIGHT_DECAY
from reference.reductions import Total
from reference.rule import Options, StateVariable, UpdateRule, Variables
from reference.rules.common import uphill_or_down


def novograd_equations(v: Variables, options: Options) -> None:
    g = uphill_or_down(v, options)
    square = v.let("squared_norm", Total(g**2))
    average = v.beta2 * v.exp_avg_sq + (1 - v.beta2) * square
    s = v.let("exp_avg_sq", Piecewise((square, v.unset("exp_avg_sq")), (average, True)))
    m = v.let("exp_avg", v.beta1 * v.exp_avg + g / (sqrt(s) + v.eps) + v.weight_decay * v.p)
    v.let("p", v.p - v.lr * m)


NOVOGRAD = UpdateRule(
    name="novograd",
    title="NovoGrad: momentum of gradients divided by the root of an average of their squared norms",
    source="Ginsburg et al. 2019, Algorithm 1 (arXiv:1905.11286)",
    equations=novograd_equations,
    hyperparameters=(LR, replace(BETA1, default=0.95), replace(BETA2, default=0.98), EPS, WEIGHT_DECAY),
    state=(
        StateVariable("exp_avg"),
        StateVariable("exp_avg_sq", common="all", nonnegative=True, unset_at_first=True),
    ),
    options=(MAXIMIZE,),
    notes=("the average of squared norms starts at the first of them, so that it needs no bias correction",),
)
