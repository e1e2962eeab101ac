"""ASGD: gradient descent with an average of its iterates beside it."""

from dataclasses import replace

from sympy import Max

from reference.hyperparameters import LR, MAXIMIZE, WEIGHT_DECAY
from reference.rule import Hyperparameter, Options, StateVariable, UpdateRule, Variables
from reference.rules.common import decayed_gradient

LAMBD = Hyperparameter("lambd", 1e-4, absent=0.0, trials=(0.5, 0.1, 0.0, 1.0, 1e-4))
ALPHA = Hyperparameter("alpha", 0.75, absent=0.75, trials=(0.75, 0.5, 1.0, 2.0))
T0 = Hyperparameter("t0", 1e6, absent=0.0, trials=(1.0, 2.0, 0.0, 1e6))


def asgd_equations(v: Variables, options: Options) -> None:
    g = decayed_gradient(v, options)
    p = v.let("p", v.p - v.lambd * v.eta * v.p - v.eta * g)
    v.let("ax", v.ax + v.mu * (p - v.ax))
    v.let("eta", v.lr / (1 + v.lambd * v.lr * v.t) ** v.alpha)
    v.let("mu", 1 / Max(1, v.t - v.t0))


ASGD = UpdateRule(
    name="asgd",
    title="Averaged SGD: gradient descent with a decaying rate, and the mean of its iterates",
    source="Polyak & Juditsky 1992, Acceleration of stochastic approximation by averaging; the "
    "schedules: Xu 2011 (arXiv:1107.2490) and Bottou 2012, Stochastic Gradient Descent Tricks, "
    "Section 5",
    equations=asgd_equations,
    hyperparameters=(replace(LR, default=1e-2), LAMBD, ALPHA, T0, WEIGHT_DECAY),
    state=(
        StateVariable("eta", initial="lr", scalar=True, nonnegative=True),
        StateVariable("mu", initial=1.0, scalar=True, nonnegative=True),
        StateVariable("ax"),
    ),
    options=(MAXIMIZE,),
    torch=("torch.optim.ASGD",),
    notes=(
        "eta and mu are computed at the end of a step, for the next one: an edit of lr, lambd, "
        "alpha or t0 acts one step late, and the first step uses eta = lr",
        "mu is 1/max(1, t - t0) of the step before, so the average begins with iterate "
        "floor(t0) + 2: with t0 = 0 the first iterate is left out of it",
        "the parameter is the last iterate; the average is kept in the state only",
    ),
)
