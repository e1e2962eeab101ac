"""diffGrad: friction from the change of the gradient."""

from __future__ import annotations

import sympy
from sympy import Abs, Limit, Rational, Symbol, exp, oo, sqrt, tanh

from reference.derivations import DerivationStep
from reference.derivations.averages import bias
from reference.derivations.tools import simple_case, symbols_of
from reference.rules.adam import ADAM, ADAM_EPS_HAT
from reference.rules.diffgrad import DIFFGRAD, DIFFGRAD_EPS_HAT

v = symbols_of(DIFFGRAD)
SECTION_3 = "Dubey et al. 2020, Section III"
friction = 1 / (1 + exp(-Abs(v.previous_grad - v.g)))


def sigmoid() -> list[DerivationStep]:
    """The friction coefficient, Dubey et al. 2020 (arXiv:1909.11015), Section III."""
    x = Symbol("x", positive=True)
    value = 1 / (1 + exp(-x))
    return [
        DerivationStep(
            f"where the gradient stays, the step is half of Adam's ({SECTION_3})",
            value.subs(x, 0),
            Rational(1, 2),
        ),
        DerivationStep("where it changes without limit, it is all of it", Limit(value, x, oo), 1),
        DerivationStep(
            "the friction is (1 + tanh(x / 2)) / 2, so it lies between the two",
            (value - (1 + tanh(x / 2)) / 2).rewrite(exp),
            0,
        ),
        DerivationStep(
            "and it grows with the change: its derivative is value (1 - value), which is positive",
            sympy.Derivative(value, x),
            value * (1 - value),
        ),
    ]


def _steps(rule, adam, what: str) -> list[DerivationStep]:
    new = simple_case(rule.step().solved("p"), weight_decay=0)
    plain = simple_case(adam.step().solved("p"), weight_decay=0)
    return [
        *bias("Kingma & Ba 2015, Section 3, equations 1 to 4"),
        *sigmoid(),
        DerivationStep(
            f"the friction times the change of the parameter in {what} is the rule's own step at weight_decay = 0 "
            f"({SECTION_3})",
            new,
            v.p + friction * (plain - v.p),
        ),
        DerivationStep(
            "the moments are Adam's: friction acts on the step alone",
            simple_case(rule.step().solved("exp_avg"), weight_decay=0),
            simple_case(adam.step().solved("exp_avg"), weight_decay=0),
        ),
        DerivationStep(
            "equal gradients move the parameter half as far as they do in Adam",
            2 * (simple_case(new, previous_grad=v.g) - v.p),
            plain - v.p,
        ),
        DerivationStep(
            "what is remembered is the gradient with its decay",
            rule.step().solved("previous_grad"),
            v.g + v.weight_decay * v.p,
        ),
    ]


def diffgrad() -> list[DerivationStep]:
    """Dubey et al. 2020, from Adam's Algorithm 1."""
    return _steps(DIFFGRAD, ADAM, "Adam")


def diffgrad_eps_hat() -> list[DerivationStep]:
    """Dubey et al. 2020, as the authors' code computes it."""
    corrected = simple_case(DIFFGRAD.step().solved("p"), weight_decay=0)
    hatted = simple_case(DIFFGRAD_EPS_HAT.step().solved("p"), weight_decay=0)
    return [
        *_steps(DIFFGRAD_EPS_HAT, ADAM_EPS_HAT, "Adam's epsilon-hat form"),
        DerivationStep(
            "its epsilon is that of diffgrad times sqrt(1 - beta2^t) (Kingma & Ba 2015, Section 2)",
            simple_case(hatted, eps=v.eps * sqrt(1 - v.beta2**v.t)),
            corrected,
        ),
    ]
