"""AdEMAMix: Adam with a second, slow average of gradients."""

from dataclasses import replace

from sympy import Min, Piecewise, exp, log, sqrt

from reference.hyperparameters import BETA1, BETA2, BETA3, EPS, LR, MAXIMIZE, WEIGHT_DECAY
from reference.rule import Hyperparameter, Option, Options, StateVariable, UpdateRule, Variables
from reference.rules.common import uphill_or_down

SLOW = replace(BETA3, default=0.9999)
ALPHA = Hyperparameter("alpha", 5.0, trials=(2.0, 0.5, 5.0, 0.0))
ALPHA_WARMUP = Hyperparameter("alpha_warmup", 1.0, low=1.0, absent=1.0, integer=True, trials=(4.0, 1.0, 3.0, 50.0))
BETA3_WARMUP = replace(ALPHA_WARMUP, name="beta3_warmup", trials=(4.0, 1.0, 5.0, 50.0))
SHIFTED = Option("shifted_half_life", about="add 1e-8 to the betas under the logarithms, as the authors' code does")


def _mixed(v: Variables, options: Options, alpha, beta3) -> None:
    g = uphill_or_down(v, options)
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    slow = v.let("exp_avg_slow", beta3 * v.exp_avg_slow + (1 - beta3) * g)
    s = v.let("exp_avg_sq", v.beta2 * v.exp_avg_sq + (1 - v.beta2) * g**2)
    mixture = v.let("mixture", m / (1 - v.beta1**v.t) + alpha * slow)
    denominator = sqrt(s / (1 - v.beta2**v.t)) + v.eps
    v.let("p", v.p - v.lr * v.weight_decay * v.p - v.lr * mixture / denominator)


def ademamix_equations(v: Variables, options: Options) -> None:
    _mixed(v, options, v.alpha, v.beta3)


def half_life_interpolation(fast, slow, share):
    """The decay whose time constant, -1 / log(decay), lies between those of two decays."""
    return exp(1 / ((1 - share) / log(fast) + share / log(slow)))


def ademamix_scheduled_equations(v: Variables, options: Options) -> None:
    alpha = v.let("alpha_now", Min(v.t * v.alpha / v.alpha_warmup, v.alpha))
    shift = 1e-8 if options.shifted_half_life else 0
    rising = half_life_interpolation(v.beta1 + shift, v.beta3 + shift, v.t / v.beta3_warmup)
    beta3 = v.let("beta3_now", Piecewise((rising, v.t < v.beta3_warmup), (v.beta3, True)))
    _mixed(v, options, alpha, beta3)


ADEMAMIX = UpdateRule(
    name="ademamix",
    title="AdEMAMix: Adam's numerator mixed with a slow average of gradients, with decoupled decay",
    source="Pagliardini et al. 2024, The AdEMAMix Optimizer, Section 3 and Algorithm 1 (arXiv:2409.03137)",
    equations=ademamix_equations,
    hyperparameters=(LR, BETA1, BETA2, SLOW, ALPHA, EPS, WEIGHT_DECAY),
    state=(
        StateVariable("exp_avg", keys=("exp_avg", "exp_avg_fast")),
        StateVariable("exp_avg_slow"),
        StateVariable("exp_avg_sq", nonnegative=True),
    ),
    options=(MAXIMIZE,),
    notes=(
        "the slow average has no bias correction",
        "alpha and beta3 are those of this step; their warm-ups are ademamix_scheduled",
    ),
)

ADEMAMIX_SCHEDULED = replace(
    ADEMAMIX,
    name="ademamix_scheduled",
    title="AdEMAMix whose alpha rises linearly, and whose beta3 rises from beta1 with a linear half-life",
    source="Pagliardini et al. 2024, Section 3 and Appendix A.1 (arXiv:2409.03137)",
    equations=ademamix_scheduled_equations,
    hyperparameters=(
        LR,
        replace(BETA1, low_open=True, trials=(0.5, 0.9, 0.25)),
        BETA2,
        replace(SLOW, low_open=True, trials=(0.75, 0.9, 0.99, 0.999)),
        ALPHA,
        ALPHA_WARMUP,
        BETA3_WARMUP,
        EPS,
        WEIGHT_DECAY,
    ),
    options=(SHIFTED, MAXIMIZE),
    notes=(
        "at a warm-up of 1 there is none",
        "the authors' code adds 1e-8 to the betas under the logarithms, which lets beta1 be zero",
    ),
    _steps={},
)
