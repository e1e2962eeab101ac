"""Adamax: Adam with the infinity norm."""

from dataclasses import replace

from sympy import Abs, Max

from reference.hyperparameters import BETA1, BETA2, EPS, LR, MAXIMIZE, WEIGHT_DECAY
from reference.rule import Options, StateVariable, UpdateRule, Variables
from reference.rules.common import decayed_gradient


def adamax_equations(v: Variables, options: Options) -> None:
    g = decayed_gradient(v, options)
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    u = v.let("exp_inf", Max(v.beta2 * v.exp_inf, Abs(g) + v.eps))
    bias_correction = v.let("bias_correction", 1 - v.beta1**v.t)
    v.let("p", v.p - v.lr * m / (bias_correction * u))


ADAMAX = UpdateRule(
    name="adamax",
    title="Adamax: Adam with an exponentially weighted infinity norm",
    source="Kingma & Ba 2015, Algorithm 2 (arXiv:1412.6980)",
    equations=adamax_equations,
    hyperparameters=(replace(LR, default=2e-3), BETA1, BETA2, EPS, WEIGHT_DECAY),
    state=(StateVariable("exp_avg"), StateVariable("exp_inf", nonnegative=True)),
    options=(MAXIMIZE,),
    torch=("torch.optim.Adamax",),
    notes=(
        "eps is added to |g| before the maximum is taken; Algorithm 2 has no epsilon",
        "only the first moment has a bias to correct: a maximum has none",
    ),
)
