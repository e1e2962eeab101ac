"""CAME: Adafactor with momentum, which counts for less where it disagrees with the updates that it averages."""

from __future__ import annotations

from dataclasses import replace

from sympy import Max, sqrt

from reference.hyperparameters import BETA1, BETA2, BETA3, LR, MAXIMIZE, WEIGHT_DECAY
from reference.reductions import rms
from reference.rule import Options, StateVariable, UpdateRule, Variables
from reference.rules.adafactor import EPS1, FACTORED, THRESHOLD, factored_average
from reference.rules.common import uphill_or_down


def came_equations(v: Variables, options: Options) -> None:
    g = uphill_or_down(v, options)
    square = v.let("square", g**2 + v.eps1)
    if options.factored:
        variance = factored_average(v, ("exp_avg_sq_row", "exp_avg_sq_col"), 1 - v.beta2, square)
    else:
        variance = v.let("exp_avg_sq", v.beta2 * v.exp_avg_sq + (1 - v.beta2) * square)
    update = v.let("update", g / sqrt(v.let("variance", variance)))
    clipped = v.let("clipped_update", update / Max(1, rms(update) / v.clip_threshold))
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * clipped)
    step = m
    if options.factored:
        surprise = v.let("surprise", (clipped - m) ** 2 + v.eps2)
        residual = factored_average(v, ("exp_avg_res_row", "exp_avg_res_col"), 1 - v.beta3, surprise)
        step = m / sqrt(v.let("residual", residual))
    v.let("p", v.p - v.lr * v.weight_decay * v.p - v.lr * step)


CAME = UpdateRule(
    name="came",
    title="CAME: Adafactor with momentum that counts for less where it disagrees with the updates it averages",
    source="Luo et al. 2023, CAME: Confidence-guided Adaptive Memory Efficient Optimization, Algorithm 2 "
    "(arXiv:2307.02047), and the authors' code",
    equations=came_equations,
    hyperparameters=(
        replace(LR, default=2e-4),
        BETA1,
        BETA2,
        replace(BETA3, default=0.9999),
        replace(EPS1, trials=(0.1, 1e-3, 1e-8, 1e-30)),
        replace(EPS1, name="eps2", default=1e-16, arguments=("eps[1]", "eps2"), trials=(0.25, 1e-2, 1e-6, 1e-16)),
        replace(THRESHOLD, name="clip_threshold", low=0.0, low_open=True, arguments=(), trials=(1.0, 0.5, 2.0)),
        WEIGHT_DECAY,
    ),
    state=(
        StateVariable("exp_avg"),
        StateVariable("exp_avg_sq_row", common="rows", nonnegative=True, option="factored"),
        StateVariable("exp_avg_sq_col", common="columns", nonnegative=True, option="factored"),
        StateVariable("exp_avg_sq", nonnegative=True, unless="factored"),
        StateVariable("exp_avg_res_row", common="rows", nonnegative=True, option="factored"),
        StateVariable("exp_avg_res_col", common="columns", nonnegative=True, option="factored"),
    ),
    options=(FACTORED, MAXIMIZE),
    notes=(
        "the averages start at zero and are not corrected",
        "a vector has no confidence: its step is lr times the momentum, as in the authors' code; the paper speaks of "
        "matrices alone",
        "the decay is of the code, not of the paper's algorithm",
    ),
)
