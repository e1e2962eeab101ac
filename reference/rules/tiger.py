"""Tiger: the sign of one momentum."""

from dataclasses import replace

from sympy import sign

from reference.hyperparameters import BETA1, LR, MAXIMIZE, WEIGHT_DECAY
from reference.rule import Options, StateVariable, UpdateRule, Variables
from reference.rules.common import uphill_or_down

BETA = replace(BETA1, name="beta", default=0.965, arguments=("beta", "betas[0]", "momentum"))


def tiger_equations(v: Variables, options: Options) -> None:
    g = uphill_or_down(v, options)
    m = v.let("exp_avg", v.beta * v.exp_avg + (1 - v.beta) * g)
    v.let("p", v.p - v.lr * v.weight_decay * v.p - v.lr * sign(m))


TIGER = UpdateRule(
    name="tiger",
    title="Tiger: the sign of an average of gradients, with decoupled decay",
    source="Su 2023, Tiger: A Tight-fisted Optimizer (kexue.fm/archives/9512), equation 1; without decay it is "
    "Signum: Bernstein et al. 2018, Algorithm 2 (arXiv:1802.04434)",
    equations=tiger_equations,
    hyperparameters=(LR, BETA, WEIGHT_DECAY),
    state=(StateVariable("exp_avg", keys=("exp_avg", "momentum_buffer", "m")),),
    options=(MAXIMIZE,),
    notes=("the rates that the author's code gives to biases and to scales are for the caller's param groups",),
)
