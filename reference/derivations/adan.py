"""Adan: Nesterov's momentum, from gradients at the iterates alone."""

from __future__ import annotations

import sympy
from sympy import Symbol, sqrt, symbols

from reference.derivations import DerivationStep
from reference.derivations.averages import bias
from reference.derivations.tools import run, simple_case, symbols_of
from reference.rules.adan import ADAN, ADAN_PAPER

v = symbols_of(ADAN)
b1, b2, b3 = v.beta1, v.beta2, v.beta3
difference = v.g - v.pre_grad
m = b1 * v.exp_avg + (1 - b1) * v.g
d = b2 * v.exp_avg_diff + (1 - b2) * difference
n = b3 * v.exp_avg_sq + (1 - b3) * (v.g + b2 * difference) ** 2
ALGORITHM_1 = "Xie et al. 2022, Algorithm 1"


def look_ahead() -> list[DerivationStep]:
    """Nesterov's momentum estimate, Xie et al. 2022 (arXiv:2208.06677), Section 3.1."""
    momentum, rate, theta, velocity, slope, offset = symbols("mu rate theta m slope offset", real=True)
    before, velocity_before = symbols("theta_before m_before", real=True)
    b = Symbol("beta", real=True)
    g1, g2, g3 = symbols("g1:4", real=True)

    def gradient(x):
        return slope * x + offset

    ahead = theta - rate * momentum * velocity
    other = b * (b * (1 - b) * g1 + (1 - b) * (g2 + b * (g2 - g1))) + (1 - b) * (g3 + b * (g3 - g2))
    plain = b * (b * (1 - b) * g1 + (1 - b) * g2) + (1 - b) * g3
    differences = b * (1 - b) * (g2 - g1) + (1 - b) * (g3 - g2)
    return [
        DerivationStep(
            "on a quadratic the gradient a momentum step ahead is the gradient here and momentum times the change of "
            "the gradient along the last step: no gradient need be taken ahead (Section 3.1, equation 3)",
            gradient(ahead),
            gradient(theta)
            + momentum
            * (gradient(theta) - gradient(before))
            .subs({theta: before - rate * velocity_before})
            .subs(velocity_before, velocity),
        ),
        DerivationStep(
            "the average of g + beta (g - g before) is the average of g and beta times that of the differences: Adan "
            "keeps them apart, here three steps (Section 3.1, equation 5)",
            other,
            plain + b * differences,
        ),
    ]


def _update(first, second, third) -> sympy.Expr:
    return v.lr * (first + b2 * second) / (sqrt(third) + v.eps)


def adan() -> list[DerivationStep]:
    """Xie et al. 2022, with the corrections of the authors' code."""
    step = ADAN.step()
    own = simple_case(step.solved("p"), pre_grad_unset=0)
    corrected = _update(m / (1 - b1**v.t), d / (1 - b2**v.t), n / (1 - b3**v.t))
    kept = Symbol("x", real=True)
    proximal = v.weight_decay / 2 * kept**2 + (kept - (v.p - corrected)) ** 2 / (2 * Symbol("lr", positive=True))
    first = run(step, [v.g], {"weight_decay": 0})
    return [
        *bias("Kingma & Ba 2015, Section 3, equations 1 to 4"),
        *look_ahead(),
        DerivationStep(
            f"all three averages over the sums of their weights, and the parameter divided by 1 + lr weight_decay, are "
            f"the rule's own step ({ALGORITHM_1}, lines 3 to 7)",
            own,
            (v.p - corrected) / (1 + v.lr * v.weight_decay),
        ),
        DerivationStep(
            "that division is the proximal step of (weight_decay / 2) p^2: there the derivative vanishes (Section 3.2)",
            sympy.diff(proximal, kept).subs(
                kept, (v.p - corrected) / (1 + Symbol("lr", positive=True) * v.weight_decay)
            ),
            0,
        ),
        DerivationStep(
            "no_prox shrinks the parameter before the step",
            simple_case(ADAN.step({"no_prox": True}).solved("p"), pre_grad_unset=0),
            (1 - v.lr * v.weight_decay) * v.p - corrected,
        ),
        DerivationStep("the first difference is none", first["exp_avg_diff"], 0),
        DerivationStep(
            "the gradient that is remembered is this one",
            step.solved("pre_grad"),
            v.g,
        ),
    ]


def adan_paper() -> list[DerivationStep]:
    """Xie et al. 2022 as it stands."""
    step = ADAN_PAPER.step()
    a = Symbol("a", positive=True)
    first = run(step, [a], {"weight_decay": 0})
    return [
        *look_ahead(),
        DerivationStep(
            f"the averages as they are give the rule's own step ({ALGORITHM_1}, lines 3 to 7)",
            simple_case(step.solved("p"), pre_grad_unset=0),
            (v.p - _update(m, d, n)) / (1 + v.lr * v.weight_decay),
        ),
        DerivationStep(f"the first moment starts at the first gradient ({ALGORITHM_1}, line 9)", first["exp_avg"], a),
        DerivationStep("so does the root of the second", sqrt(first["exp_avg_sq"]), a),
        DerivationStep(
            "so the first step is lr g / (|g| + eps), here for g = a > 0",
            first["p"],
            v.p - v.lr * a / (a + v.eps),
        ),
    ]
