"""Lion: the sign of an interpolation between momentum and gradient."""

from dataclasses import replace

from sympy import sign

from reference.hyperparameters import BETA1, BETA2, LR, MAXIMIZE, WEIGHT_DECAY
from reference.rule import Options, StateVariable, UpdateRule, Variables
from reference.rules.common import uphill_or_down


def lion_equations(v: Variables, options: Options) -> None:
    g = uphill_or_down(v, options)
    c = v.let("interpolation", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    v.let("exp_avg", v.beta2 * v.exp_avg + (1 - v.beta2) * g)
    v.let("p", v.p - v.lr * v.weight_decay * v.p - v.lr * sign(c))


LION = UpdateRule(
    name="lion",
    title="Lion: the sign of momentum interpolated with the gradient, with decoupled decay",
    source="Chen et al. 2023, Symbolic Discovery of Optimization Algorithms, Algorithm 2 (arXiv:2302.06675)",
    equations=lion_equations,
    hyperparameters=(replace(LR, default=1e-4), BETA1, replace(BETA2, default=0.99), WEIGHT_DECAY),
    state=(StateVariable("exp_avg", keys=("exp_avg", "momentum", "m")),),
    options=(MAXIMIZE,),
    notes=(
        "beta1 weighs the interpolation whose sign is taken, beta2 the momentum that is kept",
        "weight decay is decoupled: lr * weight_decay * p",
    ),
)
