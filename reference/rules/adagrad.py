"""Adagrad: per-element rates from the sum of squared gradients."""

from dataclasses import replace

from sympy import sqrt

from reference.hyperparameters import EPS, LR, MAXIMIZE, WEIGHT_DECAY
from reference.rule import Hyperparameter, Options, StateVariable, UpdateRule, Variables
from reference.rules.common import decayed_gradient

LR_DECAY = Hyperparameter("lr_decay", 0.0, absent=0.0, trials=(0.5, 0.0, 0.1, 1.0))
INITIAL_ACCUMULATOR_VALUE = Hyperparameter("initial_accumulator_value", 0.0, absent=0.0, trials=(0.25, 0.0, 0.1, 1.0))


def adagrad_equations(v: Variables, options: Options) -> None:
    g = decayed_gradient(v, options)
    s = v.let("sum", v.sum + g**2)
    rate = v.lr / (1 + (v.t - 1) * v.lr_decay)
    v.let("p", v.p - rate * g / (sqrt(s) + v.eps))


ADAGRAD = UpdateRule(
    name="adagrad",
    title="Adagrad: each element divided by the root of its sum of squared gradients",
    source="Duchi, Hazan & Singer 2011, JMLR 12, Section 1.1, diagonal form",
    equations=adagrad_equations,
    hyperparameters=(
        replace(LR, default=1e-2),
        LR_DECAY,
        WEIGHT_DECAY,
        INITIAL_ACCUMULATOR_VALUE,
        replace(EPS, default=1e-10),
    ),
    state=(StateVariable("sum", initial="initial_accumulator_value", nonnegative=True),),
    options=(MAXIMIZE,),
    torch=("torch.optim.Adagrad",),
    notes=(
        "eps is added to the root, as the paper adds its delta",
        "lr_decay divides lr by 1 + (t - 1) lr_decay: the first step has the whole lr; the paper has no such decay",
    ),
)
