"""AdaBound: Adam whose element-wise rates are clipped into a band that closes on that of SGD."""

from dataclasses import replace

from sympy import Max, Min, sqrt

from reference.hyperparameters import BETA1, BETA2, EPS, LR, MAXIMIZE, WEIGHT_DECAY
from reference.rule import Hyperparameter, Option, Options, StateVariable, UpdateRule, Variables
from reference.rules.common import decayed_gradient

# without a rate at the start there is nothing that the final one could be scaled by
START_LR = replace(LR, low_open=True)
FINAL_LR = Hyperparameter("final_lr", 0.1, trials=(0.5, 0.1, 1.0, 0.03))
GAMMA = Hyperparameter("gamma", 1e-3, low_open=True, trials=(0.5, 0.1, 1e-3, 1.0))
AMSBOUND = Option("amsbound", about="divide by the largest second moment so far: AMSBound")


def _moments(v: Variables, options: Options):
    g = decayed_gradient(v, options)
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    s = v.let("exp_avg_sq", v.beta2 * v.exp_avg_sq + (1 - v.beta2) * g**2)
    if options.amsbound:
        s = v.let("max_exp_avg_sq", Max(v.max_exp_avg_sq, s))
    return m, s


def _bounds(v: Variables, final_lr):
    """The band around the final rate, which is open at first and closed in the end."""
    lower = v.let("lower_bound", final_lr * (1 - 1 / (v.gamma * v.t + 1)))
    upper = v.let("upper_bound", final_lr * (1 + 1 / (v.gamma * v.t)))
    return lower, upper


def adabound_equations(v: Variables, options: Options) -> None:
    m, s = _moments(v, options)
    base_lr = v.let("base_lr", v.base_lr)
    lower, upper = _bounds(v, v.let("scaled_final_lr", v.final_lr * v.lr / base_lr))
    rate = v.let("rate", v.lr * sqrt(1 - v.beta2**v.t) / (1 - v.beta1**v.t))
    v.let("p", v.p - Min(Max(rate / (sqrt(s) + v.eps), lower), upper) * m)


def adabound_paper_equations(v: Variables, options: Options) -> None:
    m, s = _moments(v, options)
    lower, upper = _bounds(v, v.final_lr)
    v.let("p", v.p - Min(Max(v.lr / sqrt(s), lower), upper) * m / sqrt(v.t))


MOMENTS = (
    StateVariable("exp_avg"),
    StateVariable("exp_avg_sq", nonnegative=True),
    StateVariable("max_exp_avg_sq", nonnegative=True, option="amsbound"),
)

ADABOUND = UpdateRule(
    name="adabound",
    title="AdaBound: Adam's rate of each element, clipped into a band around a final rate",
    source="Luo et al. 2019, Adaptive Gradient Methods with Dynamic Bound of Learning Rate, Algorithms 2 and 3 "
    "(arXiv:1902.09843), and the authors' code, adabound 0.0.5",
    equations=adabound_equations,
    hyperparameters=(START_LR, BETA1, BETA2, FINAL_LR, GAMMA, EPS, WEIGHT_DECAY),
    state=(StateVariable("base_lr", initial="lr", scalar=True, nonnegative=True), *MOMENTS),
    options=(AMSBOUND, MAXIMIZE),
    notes=(
        "the rate that is clipped has Adam's bias corrections, with epsilon added to the uncorrected root",
        "the step is not divided by sqrt(t), which Algorithm 2 does: adabound_paper",
        "the band is scaled by lr over the lr of the parameter's first step, so that a schedule acts on it too",
    ),
)

ADABOUND_PAPER = replace(
    ADABOUND,
    name="adabound_paper",
    title="AdaBound as its paper has it: no bias correction, no epsilon, and rates that fall as 1 / sqrt(t)",
    source="Luo et al. 2019, Algorithms 2 and 3 (arXiv:1902.09843)",
    equations=adabound_paper_equations,
    hyperparameters=(LR, BETA1, BETA2, FINAL_LR, GAMMA, WEIGHT_DECAY),
    state=MOMENTS,
    notes=("where the second moment is zero the rate is infinite, and clipped to the upper bound",),
    _steps={},
)
