"""Adadelta: steps that have the units of the parameter."""

from dataclasses import replace

from sympy import sqrt

from reference.hyperparameters import EPS, LR, MAXIMIZE, WEIGHT_DECAY
from reference.rule import Hyperparameter, Options, StateVariable, UpdateRule, Variables
from reference.rules.common import decayed_gradient

RHO = Hyperparameter("rho", 0.9, high=1.0, trials=(0.5, 0.9, 0.0, 0.25, 0.99))


def adadelta_equations(v: Variables, options: Options) -> None:
    g = decayed_gradient(v, options)
    s = v.let("square_avg", v.rho * v.square_avg + (1 - v.rho) * g**2)
    delta = v.let("delta", sqrt(v.acc_delta + v.eps) / sqrt(s + v.eps) * g)
    v.let("acc_delta", v.rho * v.acc_delta + (1 - v.rho) * delta**2)
    v.let("p", v.p - v.lr * delta)


ADADELTA = UpdateRule(
    name="adadelta",
    title="Adadelta: the gradient times the ratio of root mean squares of steps and gradients",
    source="Zeiler 2012, Algorithm 1 (arXiv:1212.5701)",
    equations=adadelta_equations,
    hyperparameters=(
        replace(LR, default=1.0, absent=1.0),
        RHO,
        replace(EPS, default=1e-6),
        WEIGHT_DECAY,
    ),
    state=(
        StateVariable("square_avg", nonnegative=True),
        StateVariable("acc_delta", nonnegative=True),
    ),
    options=(MAXIMIZE,),
    torch=("torch.optim.Adadelta",),
    notes=(
        "lr multiplies the step that is taken, not the one that is accumulated; the paper has no lr",
        "eps is inside both roots (equation 9)",
    ),
)
