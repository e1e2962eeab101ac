"""Schedule-Free SGD and AdamW: averaging in place of a learning-rate schedule.

The parameter is y, the point at which gradients are taken: it lies between the iterate z, which is kept, and the
average x of all z, which is not kept and can be had from both.
"""

from dataclasses import replace

from sympy import Eq, Max, Piecewise, sqrt

from reference.hyperparameters import BETA1, BETA2, EPS, LR, MAXIMIZE, MOMENTUM, WEIGHT_DECAY
from reference.rule import Hyperparameter, Options, StateVariable, UpdateRule, Variables
from reference.rules.common import decayed_gradient, uphill_or_down

R = Hyperparameter("r", 0.0, absent=0.0, trials=(0.5, 0.0, 2.0))
WEIGHT_LR_POWER = Hyperparameter("weight_lr_power", 2.0, absent=2.0, trials=(2.0, 0.5, 1.0, 0.0))
# at 0 the average cannot be had from y and z, at 1 z has no part in where gradients are taken
_MOMENTUM = replace(MOMENTUM, default=0.9, low_open=True, high=1.0, absent=None, trials=(0.5, 0.9, 0.25))
_BETA1 = replace(BETA1, low_open=True, trials=(0.5, 0.9, 0.25))

AVERAGING = (
    StateVariable("lr_max", scalar=True, nonnegative=True),
    StateVariable("weight_sum", scalar=True, nonnegative=True),
    StateVariable("z", unset_at_first=True),
)


def _averaged(v: Variables, lr, beta, direction) -> None:
    """One step of z along the direction, and y after the average has taken the new z in."""
    lr_max = v.let("lr_max", Max(v.lr_max, lr))
    weight = v.let("weight", v.t**v.r * lr_max**v.weight_lr_power)
    total = v.let("weight_sum", v.weight_sum + weight)
    nothing_moved = Eq(v.weight_sum, 0) & Eq(v.lr, 0)
    c = v.let("share", Piecewise((0, nothing_moved), (weight / total, True)))
    z = v.let("z_before", Piecewise((v.p, v.unset("z")), (v.z, True)))
    y = v.let("drawn", (1 - c) * v.p + c * z)
    v.let("z", z - lr * direction)
    v.let("p", y + lr * beta * (1 - c) * direction - lr * direction)


def schedule_free_sgd_equations(v: Variables, options: Options) -> None:
    _averaged(v, v.lr, v.momentum, decayed_gradient(v, options))


def _second_moment(v: Variables, g):
    return v.let("exp_avg_sq", v.beta2 * v.exp_avg_sq + (1 - v.beta2) * g**2)


def schedule_free_adamw_equations(v: Variables, options: Options) -> None:
    g = uphill_or_down(v, options)
    s = _second_moment(v, g)
    direction = v.let("direction", g / (sqrt(s / (1 - v.beta2**v.t)) + v.eps) + v.weight_decay * v.p)
    _averaged(v, v.lr, v.beta1, direction)


def schedule_free_adamw_scaled_equations(v: Variables, options: Options) -> None:
    g = uphill_or_down(v, options)
    s = _second_moment(v, g)
    direction = v.let("direction", g / (sqrt(s) + v.eps) + v.weight_decay * v.p)
    _averaged(v, v.let("rate", v.lr * sqrt(1 - v.beta2**v.t)), v.beta1, direction)


SCHEDULE_FREE_SGD = UpdateRule(
    name="schedule_free_sgd",
    title="Schedule-Free SGD: steps of z at gradients taken between z and the average of all z",
    source="Defazio et al. 2024, The Road Less Scheduled, equations 3 to 5 (arXiv:2405.15682)",
    equations=schedule_free_sgd_equations,
    hyperparameters=(
        replace(LR, default=1.0),
        _MOMENTUM,
        WEIGHT_DECAY,
        R,
        WEIGHT_LR_POWER,
    ),
    state=AVERAGING,
    options=(MAXIMIZE,),
    notes=(
        "the parameter is y, as while training; eval() of the authors' code puts x in its place and train() takes it out",
        "an iterate has the weight t^r lr_max^weight_lr_power, with lr_max the largest lr so far, as in the code; "
        "equation 5 weighs all alike",
        "the weight of a warm-up is that of its lr: a schedule of lr is one",
    ),
)

SCHEDULE_FREE_ADAMW = UpdateRule(
    name="schedule_free_adamw",
    title="Schedule-Free AdamW: Schedule-Free steps along gradients over the root of the second moment",
    source="Defazio et al. 2024, Algorithm 1 (arXiv:2405.15682), and the authors' code, schedulefree 1.3",
    equations=schedule_free_adamw_equations,
    hyperparameters=(
        replace(LR, default=2.5e-3),
        _BETA1,
        BETA2,
        EPS,
        WEIGHT_DECAY,
        R,
        WEIGHT_LR_POWER,
    ),
    state=(*AVERAGING, StateVariable("exp_avg_sq", nonnegative=True)),
    options=(MAXIMIZE,),
    notes=(
        "weight decay is taken at y, and moves z and the average as the gradient does",
        "Algorithm 1 weighs an iterate by lr^2, which is weight_lr_power = 2 while lr does not fall",
    ),
)

SCHEDULE_FREE_ADAMW_SCALED = replace(
    SCHEDULE_FREE_ADAMW,
    name="schedule_free_adamw_scaled",
    title="Schedule-Free AdamW with the bias correction in the rate, and so in the weights of the average",
    source="Defazio et al. 2024, Algorithm 1 of the first version (arXiv:2405.15682v1), and schedulefree 1.0",
    equations=schedule_free_adamw_scaled_equations,
    notes=(
        "the rate is lr sqrt(1 - beta2^t), for the decay too, and epsilon is added to the uncorrected root",
        "early iterates weigh less, for their rate is smaller",
    ),
    _steps={},
)
