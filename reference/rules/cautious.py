"""Cautious optimizers: elements whose step goes against this gradient stay where they are, and the others go further."""

from dataclasses import replace

import sympy
from sympy import Max, Piecewise, sign, sqrt

from reference.hyperparameters import BETA1, BETA2, EPS, LR, MAXIMIZE, WEIGHT_DECAY
from reference.reductions import COUNT, Mean, Total
from reference.rule import Hyperparameter, Options, StateVariable, UpdateRule, Variables
from reference.rules.common import uphill_or_down

FACTOR = Hyperparameter("cautious_factor", 0.0, high=1.0, absent=0.0, trials=(0.0, 0.25, 0.5))
FLOOR = Hyperparameter(
    "mask_floor", 1e-3, low_open=True, arguments=("mask_floor", "min_scale"), absent=1e-3, trials=(1e-3, 0.75, 0.5)
)


def _masked(v: Variables, product: sympy.Expr) -> sympy.Expr:
    """The mask of what is aligned over its mean, as if one more element were aligned."""
    mask = v.let("mask", Piecewise((1, v.let("alignment", product) > 0), (0, True)))
    return mask * COUNT / v.let("aligned", Total(mask) + 1)


def _masked_by_mean(v: Variables, product: sympy.Expr) -> sympy.Expr:
    """The mask of what is aligned over its mean, or over a small number where that is smaller."""
    mask = v.let("mask", Piecewise((1, v.let("alignment", product) > 0), (v.cautious_factor, True)))
    return mask / v.let("scale", Max(Mean(mask), v.mask_floor))


def _adamw(v: Variables, options: Options, masked) -> None:
    g = uphill_or_down(v, options)
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    s = v.let("exp_avg_sq", v.beta2 * v.exp_avg_sq + (1 - v.beta2) * g**2)
    divisor = v.let("divisor", sqrt(s / (1 - v.beta2**v.t)) + v.eps)
    # code multiplies either the moment or the step by the gradient: both may underflow, at other sizes
    mask = masked(v, m * g / divisor)
    v.let("p", v.p - v.lr * v.weight_decay * v.p - v.lr * mask * m / (1 - v.beta1**v.t) / divisor)


def _lion(v: Variables, options: Options, masked) -> None:
    g = uphill_or_down(v, options)
    c = v.let("interpolation", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    v.let("exp_avg", v.beta2 * v.exp_avg + (1 - v.beta2) * g)
    v.let("p", v.p - v.lr * v.weight_decay * v.p - v.lr * masked(v, c * g) * sign(c))


def cautious_adamw_equations(v: Variables, options: Options) -> None:
    _adamw(v, options, _masked)


def cautious_adamw_mean_equations(v: Variables, options: Options) -> None:
    _adamw(v, options, _masked_by_mean)


def cautious_lion_equations(v: Variables, options: Options) -> None:
    _lion(v, options, _masked)


def cautious_lion_mean_equations(v: Variables, options: Options) -> None:
    _lion(v, options, _masked_by_mean)


CAUTIOUS_ADAMW = UpdateRule(
    name="cautious_adamw",
    title="Cautious AdamW: only elements whose step agrees with this gradient move, and go further by what the others stay",
    source="Liang et al. 2024, Algorithm 2 (arXiv:2411.16085)",
    equations=cautious_adamw_equations,
    hyperparameters=(LR, BETA1, BETA2, EPS, replace(WEIGHT_DECAY, default=1e-2)),
    state=(StateVariable("exp_avg"), StateVariable("exp_avg_sq", nonnegative=True)),
    options=(MAXIMIZE,),
    notes=(
        "steps are scaled by the number of elements over that of the aligned ones plus 1",
        "the decay is decoupled, and not masked",
    ),
)

CAUTIOUS_ADAMW_MEAN = replace(
    CAUTIOUS_ADAMW,
    name="cautious_adamw_mean",
    title="Cautious AdamW whose mask is divided by its mean",
    source="Liang et al. 2024, Section 1 (arXiv:2411.16085), in the form of the authors' code and of timm",
    equations=cautious_adamw_mean_equations,
    hyperparameters=(*CAUTIOUS_ADAMW.hyperparameters, FACTOR, FLOOR),
    notes=(
        "the mean is at least mask_floor, 1e-3 in the authors' code",
        "cautious_factor is what is left of a step that does not agree, 0 in the paper",
        CAUTIOUS_ADAMW.notes[1],
    ),
    _steps={},
)

CAUTIOUS_LION = UpdateRule(
    name="cautious_lion",
    title="Cautious Lion: only elements whose sign agrees with this gradient move, and go further by what the others stay",
    source="Liang et al. 2024, Algorithm 2 (arXiv:2411.16085), on Lion (arXiv:2302.06675)",
    equations=cautious_lion_equations,
    hyperparameters=(replace(LR, default=1e-4), BETA1, replace(BETA2, default=0.99), WEIGHT_DECAY),
    state=(StateVariable("exp_avg", keys=("exp_avg", "momentum", "m")),),
    options=(MAXIMIZE,),
    notes=CAUTIOUS_ADAMW.notes,
)

CAUTIOUS_LION_MEAN = replace(
    CAUTIOUS_LION,
    name="cautious_lion_mean",
    title="Cautious Lion whose mask is divided by its mean",
    source="Liang et al. 2024, Section 1 (arXiv:2411.16085), in the form of timm and lion-pytorch",
    equations=cautious_lion_mean_equations,
    hyperparameters=(*CAUTIOUS_LION.hyperparameters, FACTOR, FLOOR),
    notes=CAUTIOUS_ADAMW_MEAN.notes,
    _steps={},
)
