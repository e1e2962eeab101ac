"""ADOPT: what must not be in the denominator, and the order of normalising and averaging."""

from __future__ import annotations

import sympy
from sympy import Max, Min, Rational, Symbol, sqrt, symbols

from reference.derivations import DerivationStep
from reference.derivations.averages import unrolled
from reference.derivations.tools import run, simple_case, symbols_of
from reference.rules.adopt import ADOPT, ADOPT_CLIPPED

v = symbols_of(ADOPT)
normalised = v.g / Max(sqrt(v.exp_avg_sq), v.eps)
ALGORITHM_1 = "Taniguchi et al. 2024, Algorithm 1"
ALGORITHM_2 = "Taniguchi et al. 2024, Algorithm 2"


def order() -> list[DerivationStep]:
    """Why the gradient of this step is left out, Taniguchi et al. 2024 (arXiv:2411.02853), Section 3."""
    large, rare = Symbol("C", positive=True), symbols("p", positive=True)
    beta, early, late, before, after = symbols("beta m_1 g_2 v_1 v_2", positive=True)
    adam = ((1 - beta) * late + beta * early) / sqrt(after)
    adopt = (1 - beta) * late / sqrt(after) + beta * early / sqrt(before)
    return [
        DerivationStep(
            "a gradient C with probability p, and -1 otherwise: over its own root, |g|, it counts as a sign, and the "
            "mean step is p - (1 - p), against the mean gradient where C is large (Reddi et al. 2018, Section 3)",
            rare * large / sqrt(large**2) + (1 - rare) * (-1) / sqrt(sympy.Integer(1)),
            2 * rare - 1,
        ),
        DerivationStep(
            "over a root that does not know it, d, the mean step is the mean gradient over d (Section 3)",
            rare * large / before + (1 - rare) * (-1) / before,
            (rare * large - (1 - rare)) / before,
        ),
        DerivationStep(
            "averaging first divides old gradients by the new root; normalising first leaves each its own: they differ "
            "by the old momentum times the difference of the inverse roots",
            adam - adopt,
            beta * early * (1 / sqrt(after) - 1 / sqrt(before)),
        ),
    ]


def _later(step, name: str) -> sympy.Expr:
    """A new value after the second step."""
    return simple_case(step.solved(name), weight_decay=0).subs(v.t, 7)


def _common(step, gradients) -> list[DerivationStep]:
    first = run(step, gradients[:1], {"weight_decay": 0})
    return [
        DerivationStep("the first gradient starts the second moment", first["exp_avg_sq"], gradients[0] ** 2),
        DerivationStep("and does nothing else", first["p"], v.p),
        DerivationStep(
            "the second moment takes the gradient in after the step that it made",
            _later(step, "exp_avg_sq"),
            v.beta2 * v.exp_avg_sq + (1 - v.beta2) * v.g**2,
        ),
    ]


def adopt() -> list[DerivationStep]:
    """Taniguchi et al. 2024, Algorithm 1."""
    step = ADOPT.step()
    g = symbols("a b", positive=True)
    second = run(step, g, {"weight_decay": 0, "eps": 0})
    return [
        unrolled("Kingma & Ba 2015, Section 3, equation 1"),
        *order(),
        *_common(step, g),
        DerivationStep(
            f"later the average of normalised gradients is the step: the rule's own at weight_decay = 0 ({ALGORITHM_1})",
            _later(step, "p"),
            v.p - v.lr * (v.beta1 * v.exp_avg + (1 - v.beta1) * normalised),
        ),
        DerivationStep(
            "the first normalised gradient is the first momentum, so two gradients a and b make the step b / a",
            second["p"],
            v.p - v.lr * g[1] / g[0],
        ),
    ]


def adopt_clipped() -> list[DerivationStep]:
    """Taniguchi et al. 2024, Algorithm 2."""
    step = ADOPT_CLIPPED.step()
    g = symbols("a b", positive=True)
    limit = 6 ** Rational(1, 4)
    second = run(step, g, {"weight_decay": 0})
    return [
        unrolled("Kingma & Ba 2015, Section 3, equation 1"),
        *order(),
        *_common(step, g),
        DerivationStep(
            "later it is the average of clipped ones, here in the seventh step, whose number is 6: the rule's own step "
            f"at weight_decay = 0 ({ALGORITHM_2})",
            _later(step, "p"),
            v.p - v.lr * (v.beta1 * v.exp_avg + (1 - v.beta1) * Min(Max(normalised, -limit), limit)),
        ),
        DerivationStep(
            "the first that moves is clipped at 1, and weighs 1 - beta1",
            second["p"],
            v.p - v.lr * (1 - v.beta1) * Min(1, Max(-1, g[1] / Max(g[0], v.eps))),
        ),
    ]
