"""Yogi: a second moment that is added to, whichever way it has to go."""

from __future__ import annotations

from sympy import Symbol, sign, sqrt

from reference.derivations import DerivationStep
from reference.derivations.averages import bias, decay, unrolled
from reference.derivations.tools import simple_case, symbols_of
from reference.rules.adam import ADAM
from reference.rules.yogi import YOGI, YOGI_CORRECTED

v = symbols_of(YOGI)
m = v.beta1 * v.exp_avg + (1 - v.beta1) * v.g
s = v.exp_avg_sq - (1 - v.beta2) * sign(v.exp_avg_sq - v.g**2) * v.g**2
ALGORITHM_2 = "Zaheer et al. 2018, Algorithm 2"


def additive() -> list[DerivationStep]:
    """The change of the second moment, Zaheer et al. 2018, Section 3."""
    moment, square, fall = (Symbol(name, positive=True) for name in ("V", "G", "d"))
    adam = simple_case(ADAM.step().solved("exp_avg_sq"), weight_decay=0)
    new = simple_case(YOGI.step().solved("exp_avg_sq"), weight_decay=0)
    return [
        DerivationStep(
            "Adam's second moment changes by (1 - beta2) (g^2 - v): in proportion to its distance from g^2 (Section 3)",
            adam - v.exp_avg_sq,
            (1 - v.beta2) * (v.g**2 - v.exp_avg_sq),
        ),
        DerivationStep(
            f"Yogi keeps the sign of that distance and takes g^2 for its size ({ALGORITHM_2})",
            new - v.exp_avg_sq,
            -(1 - v.beta2) * sign(v.exp_avg_sq - v.g**2) * v.g**2,
        ),
        DerivationStep(
            "so it moves up by (1 - beta2) g^2 where the gradient is large: here g^2 = v + d",
            new.subs(v.g, sqrt(moment + fall)).subs(v.exp_avg_sq, moment),
            moment + (1 - v.beta2) * (moment + fall),
        ),
        DerivationStep(
            "and down by (1 - beta2) g^2, however far it has to go, where it is small: here v = g^2 + d. It stays "
            "positive, being at least beta2 g^2 + d",
            new.subs(v.exp_avg_sq, square + fall).subs(v.g, sqrt(square)),
            v.beta2 * square + fall,
        ),
        DerivationStep(
            "Adam's falls by the share 1 - beta2 of its whole size at once when the gradient is zero, Yogi's stays",
            simple_case(new, g=0),
            v.exp_avg_sq,
        ),
    ]


def yogi() -> list[DerivationStep]:
    """Zaheer et al. 2018, NeurIPS."""
    return [
        unrolled("Kingma & Ba 2015, Section 3, equation 1"),
        *additive(),
        DerivationStep(
            f"the first moment over its root is the rule's own step at weight_decay = 0 ({ALGORITHM_2})",
            simple_case(YOGI.step().solved("p"), weight_decay=0),
            v.p - v.lr * m / (sqrt(s) + v.eps),
        ),
        DerivationStep(
            "from zero the first second moment is (1 - beta2) g^2, as Adam's",
            simple_case(YOGI.step().solved("exp_avg_sq"), weight_decay=0, exp_avg_sq=0, g=Symbol("a", positive=True)),
            (1 - v.beta2) * Symbol("a", positive=True) ** 2,
        ),
    ]


def yogi_corrected() -> list[DerivationStep]:
    """Yogi with Adam's corrections."""
    new = simple_case(YOGI_CORRECTED.step().solved("p"), weight_decay=0)
    a = Symbol("a", positive=True)
    first = simple_case(new, exp_avg=0, exp_avg_sq=0, t=1, g=a, beta2=decay)
    return [
        *bias("Kingma & Ba 2015, Section 3, equations 1 to 4"),
        *additive(),
        DerivationStep(
            f"with Adam's corrections on both moments it is the rule's own step at weight_decay = 0 ({ALGORITHM_2})",
            new,
            v.p - v.lr * (m / (1 - v.beta1**v.t)) / (sqrt(s / (1 - v.beta2**v.t)) + v.eps),
        ),
        DerivationStep(
            "from a second moment of zero the first step is Adam's, here for a gradient a > 0 and beta2 = 1/(1 + r)",
            first,
            v.p - v.lr * a / (a + v.eps),
        ),
    ]
