"""StableAdamW: AdamW whose rate falls for a parameter while its gradients outgrow their second moment."""

from dataclasses import replace

from sympy import Max, sqrt

from reference.hyperparameters import BETA1, BETA2, EPS, LR, MAXIMIZE, WEIGHT_DECAY
from reference.reductions import rms
from reference.rule import Hyperparameter, Options, StateVariable, UpdateRule, Variables
from reference.rules.common import uphill_or_down

CLIP = Hyperparameter(
    "clip_threshold",
    1.0,
    low_open=True,
    arguments=("clip_threshold", "clipping_threshold", "clip_thresh"),
    absent=1.0,
    trials=(0.5, 1.0, 0.125, 2.0),
)


def stable_adamw_equations(v: Variables, options: Options) -> None:
    g = uphill_or_down(v, options)
    beta1, beta2 = (
        v.let(f"{name}_hat", beta * (1 - beta ** (v.t - 1)) / (1 - beta**v.t))
        for name, beta in (("beta1", v.beta1), ("beta2", v.beta2))
    )
    m = v.let("exp_avg", beta1 * v.exp_avg + (1 - beta1) * g)
    s = v.let("exp_avg_sq", beta2 * v.exp_avg_sq + (1 - beta2) * g**2)
    excess = v.let("rms", rms(g / sqrt(Max(s, v.eps**2))))
    clip = v.let("clip", Max(1, excess / v.clip_threshold))
    v.let("p", v.p - v.lr / clip * v.weight_decay * v.p - v.lr / clip * m / (sqrt(s) + v.eps))


def adamw_clipped_equations(v: Variables, options: Options) -> None:
    g = uphill_or_down(v, options)
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    s = v.let("exp_avg_sq", v.beta2 * v.exp_avg_sq + (1 - v.beta2) * g**2)
    divisor = v.let("divisor", sqrt(s / (1 - v.beta2**v.t)) + v.eps)
    clip = v.let("clip", Max(1, v.let("rms", rms(g / divisor)) / v.clip_threshold))
    v.let("p", v.p - v.lr * v.weight_decay * v.p - v.lr / clip * m / (1 - v.beta1**v.t) / divisor)


STABLE_ADAMW = UpdateRule(
    name="stable_adamw",
    title="StableAdamW: AdamW with each parameter's rate divided by the RMS of its gradient in units of its second moment",
    source="Wortsman et al. 2023, Algorithm 2 (arXiv:2304.13013)",
    equations=stable_adamw_equations,
    hyperparameters=(LR, BETA1, replace(BETA2, default=0.99), EPS, replace(WEIGHT_DECAY, default=1e-2), CLIP),
    state=(StateVariable("exp_avg"), StateVariable("exp_avg_sq", nonnegative=True)),
    options=(MAXIMIZE,),
    notes=(
        "the bias is corrected in the betas, so that the moments that are kept have none",
        "the rate is never raised, and the decay falls with it",
        "clip_threshold is of the authors' code; the paper divides by max(1, RMS)",
    ),
)

ADAMW_CLIPPED = replace(
    STABLE_ADAMW,
    name="adamw_clipped",
    title="AdamW with update clipping beside its own bias corrections",
    source="Wortsman et al. 2023, Section 3.3 (arXiv:2304.13013), in the form of timm's adamwlegacy, clipping_threshold",
    equations=adamw_clipped_equations,
    hyperparameters=(LR, BETA1, BETA2, EPS, replace(WEIGHT_DECAY, default=1e-2), CLIP),
    notes=("the RMS is that of the gradient over AdamW's divisor, and the decay does not fall with the rate",),
    _steps={},
)
