"""AggMo: the mean of several momentum buffers, each with its own damping."""

from dataclasses import replace

from sympy import Rational

from reference.hyperparameters import BETA1, BETA2, BETA3, LR, MAXIMIZE, WEIGHT_DECAY
from reference.rule import Options, StateVariable, UpdateRule, Variables
from reference.rules.common import decayed_gradient


def aggmo_equations(v: Variables, options: Options) -> None:
    g = decayed_gradient(v, options)
    b1 = v.let("momentum_buffer1", v.beta1 * v.momentum_buffer1 + g)
    b2 = v.let("momentum_buffer2", v.beta2 * v.momentum_buffer2 + g)
    b3 = v.let("momentum_buffer3", v.beta3 * v.momentum_buffer3 + g)
    total = v.let("total", b1 + b2 + b3)
    v.let("p", v.p - Rational(1, 3) * v.lr * total)


AGGMO = UpdateRule(
    name="aggmo",
    title="AggMo: a step along the mean of three momentum buffers of different damping",
    source="Lucas et al. 2019, Aggregated Momentum: Stability Through Passive Damping, equation 2 (arXiv:1804.00325)",
    equations=aggmo_equations,
    hyperparameters=(
        LR,
        replace(BETA1, default=0.0, trials=(0.5, 0.0, 0.25)),
        replace(BETA2, default=0.9, trials=(0.9, 0.75, 0.0)),
        replace(BETA3, trials=(0.99, 0.875, 0.0)),
        WEIGHT_DECAY,
    ),
    state=(StateVariable("momentum_buffer1"), StateVariable("momentum_buffer2"), StateVariable("momentum_buffer3")),
    options=(MAXIMIZE,),
    notes=(
        "three buffers, as in the paper's experiments and the code's default; the paper allows any number",
        "a buffer sums gradients without damping the new one",
    ),
)
