"""StableAdamW from averages without bias, and what its clip bounds."""

from __future__ import annotations

import sympy
from sympy import Max, Symbol, sqrt, symbols

from reference.derivations import DerivationStep
from reference.derivations.averages import beta, bias, t
from reference.derivations.tools import on_elements, run, simple_case, symbols_of
from reference.reductions import Mean, rms
from reference.rules.adam import ADAMW
from reference.rules.stable_adamw import ADAMW_CLIPPED, STABLE_ADAMW

v = symbols_of(STABLE_ADAMW)


def _clip_bounds() -> list[DerivationStep]:
    s, k = Symbol("exp_avg_sq", positive=True), Symbol("k", positive=True)
    ratio = on_elements(rms(v.g / sqrt(s)), 3, s)
    large = Symbol("above", positive=True) + 1
    return [
        DerivationStep(
            "the RMS has no units: gradients k times as large, with their second moments, have the same (Section 3.3)",
            ratio.xreplace({Symbol(f"g_{i}", real=True): k * Symbol(f"g_{i}", real=True) for i in range(3)}).xreplace(
                {
                    Symbol(f"exp_avg_sq_{i}", **s.assumptions0): k**2 * Symbol(f"exp_avg_sq_{i}", **s.assumptions0)
                    for i in range(3)
                }
            ),
            ratio,
        ),
        DerivationStep(
            "an RMS above 1 is divided out of the step: that of what is left is 1", large / Max(1, large), 1
        ),
    ]


def stable_adamw() -> list[DerivationStep]:
    """Wortsman et al. 2023 (arXiv:2304.13013), Algorithm 2."""
    step = STABLE_ADAMW.step()
    kept, gradients = symbols("m", real=True), symbols("g1:4", real=True)
    hat = beta * (1 - beta**t) / (1 - beta ** (t + 1))
    whole = STABLE_ADAMW.step().solved("exp_avg_sq")
    clip = Max(1, sqrt(Mean(v.g**2 / Max(v.eps**2, whole))) / v.clip_threshold)
    weights = [sympy.cancel(simple_case(w, beta=v.beta1)) for w in _weights()]
    return [
        *bias("Kingma & Ba 2015, Section 3, equations 1 to 4"),
        DerivationStep(
            "dividing an average by the sum of its weights, at every step, is an average with another beta: "
            "beta (1 - beta^t) / (1 - beta^(t+1)), after t steps (Algorithm 2)",
            (beta * (1 - beta**t) * kept + (1 - beta) * v.g) / (1 - beta ** (t + 1)),
            hat * kept + (1 - hat) * v.g,
        ),
        DerivationStep(
            "so the first average is the first gradient itself, whatever beta is", hat.xreplace({t: sympy.S.Zero}), 0
        ),
        DerivationStep(
            "and after three steps the rule keeps the bias-corrected average of three gradients",
            run(step, gradients)["exp_avg"],
            sum(w * g for w, g in zip(weights, gradients, strict=True)),
        ),
        *_clip_bounds(),
        DerivationStep(
            "Algorithm 2: rate and decay are divided by max(1, RMS), and the second moment of the ratio is at least "
            "eps^2",
            step.solved("p"),
            v.p - v.lr / clip * (v.weight_decay * v.p + step.solved("exp_avg") / (sqrt(whole) + v.eps)),
        ),
    ]


def _weights() -> list[sympy.Expr]:
    return [(1 - beta) * beta ** (3 - k) / (1 - beta**3) for k in (1, 2, 3)]


def adamw_clipped() -> list[DerivationStep]:
    """Wortsman et al. 2023 (arXiv:2304.13013), Section 3.3, on AdamW's own averages."""
    step = ADAMW_CLIPPED.step()
    adamw = ADAMW.step().solved("p")
    decayed = v.p - v.lr * v.weight_decay * v.p
    divisor = sqrt(step.solved("exp_avg_sq") / (1 - v.beta2**v.t)) + v.eps
    clip = Max(1, sqrt(Mean(v.g**2 / divisor**2)) / v.clip_threshold)
    return [
        *bias("Kingma & Ba 2015, Section 3, equations 1 to 4"),
        *_clip_bounds(),
        DerivationStep(
            "AdamW's step is divided by the RMS of the gradient over its divisor, where that is above the threshold, "
            "and its decay is not",
            (step.solved("p") - decayed) * clip,
            adamw - decayed,
        ),
    ]
