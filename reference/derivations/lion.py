"""Lion from its definition, and what the sign makes irrelevant."""

from __future__ import annotations

import sympy
from sympy import sign, symbols

from reference.derivations import DerivationStep
from reference.derivations.averages import unrolled
from reference.derivations.tools import run, simple_case, symbols_of
from reference.rules.lion import LION

v = symbols_of(LION)


def lion() -> list[DerivationStep]:
    """Chen et al. 2023 (arXiv:2302.06675), Algorithm 2."""
    step = LION.step()
    m, g = v.exp_avg, v.g
    scale = sympy.Symbol("k", positive=True)
    interpolated = v.beta1 * m + (1 - v.beta1) * g
    beta = sympy.Symbol("beta", nonnegative=True)
    equal = simple_case(step.solved("p"), beta1=beta, beta2=beta, weight_decay=0)
    gradients = symbols("g1:4", real=True)
    kept = run(step, gradients)["exp_avg"]
    return [
        DerivationStep(
            "the sign of the interpolation with beta1, and decay apart from it, are the rule's own step (Algorithm 2)",
            step.solved("p"),
            v.p - v.lr * (sign(interpolated) + v.weight_decay * v.p),
        ),
        DerivationStep(
            "the momentum that is kept is an exponential average with beta2, here after three steps (Algorithm 2)",
            kept,
            sum((1 - v.beta2) * v.beta2 ** (3 - k) * x for k, x in enumerate(gradients, start=1)),
        ),
        unrolled("Kingma & Ba 2015, Section 3, equation 1"),
        DerivationStep(
            "with both betas 0 it is sign descent, p - lr sign(g)",
            simple_case(step.solved("p"), beta1=0, beta2=0, weight_decay=0),
            v.p - v.lr * sign(g),
        ),
        DerivationStep(
            "with equal betas it takes the sign of the momentum that it keeps: Signum (Bernstein "
            "et al. 2018, arXiv:1802.04434, Algorithm 2)",
            equal,
            v.p - v.lr * sign(simple_case(step.solved("exp_avg"), beta2=beta)),
        ),
        DerivationStep(
            "a positive factor on the average, such as a correction of its bias, changes no sign",
            sign(sympy.factor_terms(scale * interpolated)),
            sign(interpolated),
        ),
        DerivationStep(
            "every element moves by lr or not at all: the squared change is lr^2 where the sign is not zero",
            (v.lr * sign(sympy.Symbol("positive", positive=True))) ** 2,
            v.lr**2,
        ),
        DerivationStep(
            "weight decay is decoupled: it subtracts lr weight_decay p (Loshchilov & Hutter 2019)",
            step.solved("p") - simple_case(step.solved("p"), weight_decay=0),
            -v.lr * v.weight_decay * v.p,
        ),
    ]
