"""AdaBound: a band that turns Adam into SGD."""

from __future__ import annotations

import sympy
from sympy import Limit, Max, Min, Symbol, oo, sqrt

from reference.derivations import DerivationStep
from reference.derivations.averages import bias, unrolled
from reference.derivations.tools import run, simple_case, symbols_of
from reference.rules.adabound import ADABOUND, ADABOUND_PAPER
from reference.rules.adam import ADAM_EPS_HAT

v = symbols_of(ADABOUND)
w = symbols_of(ADABOUND_PAPER)
m = v.beta1 * v.exp_avg + (1 - v.beta1) * v.g
s = v.beta2 * v.exp_avg_sq + (1 - v.beta2) * v.g**2
ALGORITHM_2 = "Luo et al. 2019, Algorithm 2"


def band() -> list[DerivationStep]:
    """Bounds of the rate, Luo et al. 2019 (arXiv:1902.09843), Section 4."""
    final, gamma, t = (Symbol(name, positive=True) for name in ("final", "gamma", "t"))
    lower, upper = final * (1 - 1 / (gamma * t + 1)), final * (1 + 1 / (gamma * t))
    return [
        DerivationStep("before the first step the lower bound would be zero (Section 4)", lower.subs(t, 0), 0),
        DerivationStep("and the upper one without limit: nothing is clipped", Limit(1 / upper, t, 0), 0),
        DerivationStep("in the long run the lower bound rises to the final rate", Limit(lower, t, oo), final),
        DerivationStep("and the upper one falls to it: what is left is SGD at that rate", Limit(upper, t, oo), final),
        DerivationStep(
            "the lower bound rises at every step, by final gamma / ((1 + gamma t) (1 + gamma (t + 1)))",
            lower.subs(t, t + 1) - lower,
            final * gamma / ((1 + gamma * t) * (1 + gamma * (t + 1))),
        ),
        DerivationStep(
            "with gamma = 1 - beta2 the bounds are as wide as the second moment is old (Section 4, the bounds of the "
            "experiments, with final = 0.1)",
            lower.subs({final: sympy.Rational(1, 10), gamma: Symbol("c", positive=True)}),
            sympy.Rational(1, 10) - sympy.Rational(1, 10) / (Symbol("c", positive=True) * t + 1),
        ),
    ]


def _clipped(rate: sympy.Expr, final: sympy.Expr) -> sympy.Expr:
    return Min(Max(rate, final * (1 - 1 / (v.gamma * v.t + 1))), final * (1 + 1 / (v.gamma * v.t)))


def adabound() -> list[DerivationStep]:
    """Luo et al. 2019 with the corrections of the authors' code."""
    new = simple_case(ADABOUND.step().solved("p"), weight_decay=0)
    rate = v.lr * sqrt(1 - v.beta2**v.t) / (1 - v.beta1**v.t) / (sqrt(s) + v.eps)
    adam = simple_case(ADAM_EPS_HAT.step().solved("p"), weight_decay=0, lr=v.lr)
    return [
        *bias("Kingma & Ba 2015, Section 3, equations 1 to 4"),
        *band(),
        DerivationStep(
            "unclipped the rate times the first moment is Adam's step in its epsilon-hat form (Kingma & Ba 2015, "
            "Section 2)",
            v.p - rate * m,
            adam,
        ),
        DerivationStep(
            f"clipped into the band it is the rule's own step at weight_decay = 0 ({ALGORITHM_2}, lines 7 to 9)",
            new,
            v.p - _clipped(rate, v.final_lr * v.lr / v.base_lr) * m,
        ),
        DerivationStep(
            "base_lr is the lr of the first step and stays so: an lr that has been halved halves the band",
            run(ADABOUND.step(), [1, 1])["base_lr"],
            v.lr,
        ),
        DerivationStep(
            "amsbound has the largest second moment so far instead (Algorithm 3)",
            simple_case(ADABOUND.step({"amsbound": True}).solved("max_exp_avg_sq"), weight_decay=0),
            Max(Symbol("max_exp_avg_sq", nonnegative=True), s),
        ),
    ]


def adabound_paper() -> list[DerivationStep]:
    """Luo et al. 2019 as it stands."""
    new = simple_case(ADABOUND_PAPER.step().solved("p"), weight_decay=0)
    return [
        unrolled("Kingma & Ba 2015, Section 3, equation 1"),
        *band(),
        DerivationStep(
            f"the rate lr / sqrt(v), clipped and over sqrt(t), times the moment is the rule's own step at weight_decay "
            f"= 0 ({ALGORITHM_2}, lines 7 to 9)",
            new,
            w.p - _clipped(w.lr / sqrt(s), w.final_lr) * m / sqrt(w.t),
        ),
        DerivationStep(
            "where the band has closed only the final rate is left",
            Min(Max(w.lr / sqrt(s), w.final_lr), w.final_lr),
            w.final_lr,
        ),
    ]
