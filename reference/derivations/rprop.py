"""Rprop from the agreement of signs, case by case."""

from __future__ import annotations

import sympy
from sympy import Max, Min, symbols

from reference.derivations import DerivationStep
from reference.derivations.tools import run, simple_case, symbols_of
from reference.rules.rprop import RPROP

v = symbols_of(RPROP)
a, b, c = symbols("a b c", positive=True)


def _limited(size: sympy.Expr) -> sympy.Expr:
    return Min(Max(size, v.step_size_min), v.step_size_max)


def rprop() -> list[DerivationStep]:
    """Riedmiller & Braun 1993, equations 4 and 5; Igel & Huesken 2000, iRprop-."""
    step = RPROP.step()
    p, size, kept = (step.solved(name) for name in ("p", "step_size", "prev"))
    free = {"step_size_min": 0, "step_size_max": sympy.oo}
    return [
        DerivationStep(
            "while the gradient keeps its sign the step grows by eta_plus (equation 4), here for "
            "two positive gradients",
            simple_case(size, g=a, prev=b),
            _limited(v.eta_plus * v.step_size),
        ),
        DerivationStep(
            "for two negative ones as well",
            simple_case(size, g=-a, prev=-b),
            _limited(v.eta_plus * v.step_size),
        ),
        DerivationStep(
            "when the sign flips a minimum was passed, and the step shrinks by eta_minus (equation 4)",
            simple_case(size, g=-a, prev=b),
            _limited(v.eta_minus * v.step_size),
        ),
        DerivationStep(
            "where the gradient before was zero it stays as it is, and so it does where the new one is",
            simple_case(size, g=a, prev=0) + simple_case(size, g=0, prev=b),
            2 * _limited(v.step_size),
        ),
        DerivationStep(
            "the parameter moves by the step, against the sign of the gradient (equation 5)",
            simple_case(p, g=-a, prev=-b),
            v.p + _limited(v.eta_plus * v.step_size),
        ),
        DerivationStep(
            "but it stays where the sign has flipped, for sign(0) = 0: iRprop- instead of taking "
            "the last step back (the exception to equation 5)",
            simple_case(p, g=-a, prev=b),
            v.p,
        ),
        DerivationStep(
            "and the gradient is remembered as zero, so that the next step is not adapted (Igel & "
            "Huesken 2000, iRprop-)",
            simple_case(kept, g=-a, prev=b),
            0,
        ),
        DerivationStep(
            "only signs count: other units of the loss change nothing",
            simple_case(p, g=c * a, prev=c * b),
            simple_case(p, g=a, prev=b),
        ),
        DerivationStep(
            "from the initial step lr four gradients of one sign move the parameter by the "
            "geometric sum lr (1 + eta_plus + eta_plus^2 + eta_plus^3): the first has nothing to "
            "agree with",
            run(step, [a, b, c, a], free)["p"],
            v.p - v.lr * (1 + v.eta_plus + v.eta_plus**2 + v.eta_plus**3),
        ),
        DerivationStep(
            "after a flip the size rests for one step: gradients of signs + + - - - take it from "
            "lr through the factors 1, eta_plus, eta_minus, 1 and eta_plus",
            run(step, [a, b, -a, -b, -c], free)["step_size"],
            v.lr * v.eta_plus**2 * v.eta_minus,
        ),
    ]
