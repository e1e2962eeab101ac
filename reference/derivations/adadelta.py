"""Adadelta: an update that has the units of the parameter."""

from __future__ import annotations

import sympy
from sympy import Rational, diff, sqrt, symbols

from reference.derivations import DerivationStep
from reference.derivations.averages import unrolled
from reference.derivations.tools import simple_case, symbols_of
from reference.rules.adadelta import ADADELTA
from reference.rules.rmsprop import RMSPROP
from reference.rules.sgd import GRADIENT_DESCENT

v = symbols_of(ADADELTA)
# One unit of the parameter and one of the loss; a gradient then has units LOSS / UNIT.
UNIT, LOSS = symbols("X F", positive=True)


def _rescaled(change: sympy.Expr, **state) -> sympy.Expr:
    """The change of the parameter when parameter and loss are measured in other units."""
    return simple_case(change, g=LOSS / UNIT * v.g, p=UNIT * v.p, **state)


def adadelta() -> list[DerivationStep]:
    """Zeiler 2012 (arXiv:1212.5701)."""
    step = ADADELTA.step()
    descent = GRADIENT_DESCENT.step().solved("p") - v.p
    rms = simple_case(RMSPROP.step().solved("p"), weight_decay=0, eps=0, momentum=0) - v.p
    curvature = sympy.Symbol("h", positive=True)
    newton = -v.g / curvature
    own = simple_case(step.solved("p"), weight_decay=0, lr=1) - v.p
    pure = simple_case(own, eps=0)
    s = v.rho * v.square_avg + (1 - v.rho) * v.g**2
    delta = sqrt(v.acc_delta + v.eps) / sqrt(s + v.eps) * v.g
    square_avg = symbols_of(RMSPROP).square_avg
    return [
        unrolled("Zeiler 2012, equation 8, with rho for beta"),
        DerivationStep(
            "measured in other units the change of gradient descent scales as loss over "
            "parameter, not as a parameter (equation 11)",
            _rescaled(descent),
            LOSS / UNIT * descent,
        ),
        DerivationStep(
            "the change of a gradient over its root mean square does not scale at all (equation 10)",
            _rescaled(rms, square_avg=(LOSS / UNIT) ** 2 * square_avg),
            rms,
        ),
        DerivationStep(
            "Newton's does scale as a parameter, for a curvature has units loss / parameter^2 (equation 12)",
            simple_case(newton, g=LOSS / UNIT * v.g, h=LOSS / UNIT**2 * curvature),
            UNIT * newton,
        ),
        DerivationStep(
            "so the inverse curvature is a step over a gradient (equation 13)",
            -newton / v.g,
            1 / curvature,
        ),
        DerivationStep(
            "estimating it as RMS[steps before] / RMS[gradients] gives equation 14: the rule's "
            "own step at lr = 1 and weight_decay = 0",
            own,
            -delta,
        ),
        DerivationStep(
            "with eps = 0 that scales as a parameter, as it was meant to",
            _rescaled(
                pure,
                square_avg=(LOSS / UNIT) ** 2 * v.square_avg,
                acc_delta=UNIT**2 * v.acc_delta,
            ),
            UNIT * pure,
        ),
        DerivationStep(
            "the accumulated step is an average of squares as well (Algorithm 1, line 6)",
            simple_case(step.solved("acc_delta"), weight_decay=0),
            v.rho * v.acc_delta + (1 - v.rho) * delta**2,
        ),
        DerivationStep(
            "lr is no part of what is accumulated",
            sympy.Derivative(step.solved("acc_delta"), v.lr),
            0,
        ),
        DerivationStep(
            "the first step is sqrt(eps) / sqrt((1 - rho) g^2 + eps) times the gradient: eps starts the motion",
            simple_case(own, acc_delta=0, square_avg=0),
            -sqrt(v.eps) * v.g / ((1 - v.rho) * v.g**2 + v.eps) ** Rational(1, 2),
        ),
        DerivationStep(
            "weight decay adds the gradient of (weight_decay / 2) p^2 to the gradient",
            step.solved("square_avg"),
            v.rho * v.square_avg + (1 - v.rho) * (v.g + diff(v.weight_decay / 2 * v.p**2, v.p)) ** 2,
        ),
    ]
