"""SGDP and AdamP: what a step does to the norm of a weight whose scale does not matter is taken out of it."""

from dataclasses import replace

import sympy
from sympy import Abs, Max, Or, Piecewise, sqrt

from reference.hyperparameters import BETA1, BETA2, EPS, LR, MAXIMIZE, MOMENTUM, WEIGHT_DECAY
from reference.reductions import CHANNEL_COUNT, COUNT, DIMENSIONS, ChannelTotal, Largest, Total
from reference.rule import Hyperparameter, Option, Options, StateVariable, UpdateRule, Variables
from reference.rules.common import uphill_or_down

DELTA = Hyperparameter("delta", 0.1, trials=(4.0, 1.0, 0.5, 0.1))
DECAY_RATIO = Hyperparameter("wd_ratio", 0.1, trials=(0.25, 0.5, 0.0, 1.0))
NESTEROV = Option("nesterov", about="step with the gradient that momentum is about to take in")
DAMPENING = Hyperparameter("dampening", 0.0, high=1.0, absent=0.0, trials=(0.0, 0.5))


def _projected(v: Variables, g: sympy.Expr, step: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """The step without its part along the parameter, in the first view in which parameter and gradient are nearly
    orthogonal, and the factor of the decay."""
    close, rest = [], []
    for view, total, count, worst in (
        ("channel", ChannelTotal, CHANNEL_COUNT, Largest),
        ("layer", Total, COUNT, lambda cosine: cosine),
    ):
        p_norm = v.let(f"{view}_norm", sqrt(total(v.p**2)))
        g_norm = v.let(f"{view}_gradient_norm", sqrt(total(g**2)))
        cosine = v.let(f"{view}_cosine", worst(Abs(total(v.p * g)) / (Max(p_norm, v.eps) * Max(g_norm, v.eps))))
        close.append(cosine < v.delta / sqrt(count))
        unit = v.let(f"{view}_unit", v.p / (p_norm + v.eps))
        rest.append(step - unit * total(unit * step))
    vector = DIMENSIONS < 2
    cases = Piecewise((step, vector), (rest[0], close[0]), (rest[1], close[1]), (step, True))
    return v.let("projected", cases), v.let("decay_ratio", Piecewise((1, vector), (v.wd_ratio, Or(*close)), (1, True)))


def adamp_equations(v: Variables, options: Options) -> None:
    g = uphill_or_down(v, options)
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    s = v.let("exp_avg_sq", v.beta2 * v.exp_avg_sq + (1 - v.beta2) * g**2)
    ahead = v.beta1 * m + (1 - v.beta1) * g if options.nesterov else m
    step = v.let("step", ahead / (sqrt(s / (1 - v.beta2**v.t)) + v.eps))
    projected, ratio = _projected(v, g, step)
    v.let("p", v.p - v.lr * v.weight_decay * ratio * v.p - v.lr * projected / (1 - v.beta1**v.t))


def sgdp_equations(v: Variables, options: Options) -> None:
    g = uphill_or_down(v, options)
    b = v.let("momentum_buffer", v.momentum * v.momentum_buffer + (1 - v.dampening) * g)
    projected, ratio = _projected(v, g, v.let("step", g + v.momentum * b if options.nesterov else b))
    v.let("p", v.p - v.lr * v.weight_decay / (1 - v.momentum) * ratio * v.p - v.lr * projected)


_NOTES = (
    "a channel is what has the same first index; a parameter without two dimensions is never projected",
    "the cosine of every channel must be below delta / sqrt(elements of a channel), or that of the whole below "
    "delta / sqrt(elements), as in the authors' code, whose norms are at least eps",
    "the decay is multiplied by wd_ratio where a step was projected",
)

ADAMP = UpdateRule(
    name="adamp",
    title="AdamP: Adam's step without what only changes the norm of a weight",
    source="Heo et al. 2021, Algorithm 2 (arXiv:2006.08217), with the views of the authors' code, adamp 0.3.0",
    equations=adamp_equations,
    hyperparameters=(LR, BETA1, BETA2, EPS, WEIGHT_DECAY, DELTA, DECAY_RATIO),
    state=(StateVariable("exp_avg"), StateVariable("exp_avg_sq", nonnegative=True)),
    options=(NESTEROV, MAXIMIZE),
    notes=_NOTES,
)

SGDP = replace(
    ADAMP,
    name="sgdp",
    title="SGDP: momentum without what only changes the norm of a weight",
    source="Heo et al. 2021, Algorithm 1 (arXiv:2006.08217), with the views of the authors' code, adamp 0.3.0",
    equations=sgdp_equations,
    hyperparameters=(
        LR,
        replace(MOMENTUM, high=1.0),
        DAMPENING,
        WEIGHT_DECAY,
        EPS,
        DELTA,
        DECAY_RATIO,
    ),
    state=(StateVariable("momentum_buffer", keys=("momentum_buffer", "momentum")),),
    notes=(*_NOTES, "the decay is divided by 1 - momentum", "the first gradient is dampened too"),
    _steps={},
)
