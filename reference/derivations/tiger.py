"""Tiger: Lion whose two averages are one."""

from __future__ import annotations

from sympy import sign, symbols

from reference.derivations import DerivationStep
from reference.derivations.averages import unrolled
from reference.derivations.tools import run, simple_case, symbols_of
from reference.rules.lion import LION
from reference.rules.tiger import TIGER

v = symbols_of(TIGER)


def tiger() -> list[DerivationStep]:
    """Su 2023, and Bernstein et al. 2018 (arXiv:1802.04434)."""
    step = TIGER.step()
    new = step.solved("p")
    average = v.beta * v.exp_avg + (1 - v.beta) * v.g
    gradients = symbols("g1:4", real=True)
    return [
        unrolled("Kingma & Ba 2015, Section 3, equation 1"),
        DerivationStep(
            "the sign of the average, and decay beside it, are the rule's own step (Su 2023, equation 1)",
            new,
            v.p - v.lr * (sign(average) + v.weight_decay * v.p),
        ),
        DerivationStep(
            "it is Lion with both betas the same: Lion's interpolation is then what it keeps (Chen et al. 2023, "
            "Algorithm 2)",
            new,
            simple_case(LION.step().solved("p"), beta1=v.beta, beta2=v.beta),
        ),
        DerivationStep(
            "without memory it is sign descent (Bernstein et al. 2018, Algorithm 1)",
            simple_case(new, beta=0, weight_decay=0),
            v.p - v.lr * sign(v.g),
        ),
        DerivationStep(
            "what is kept is an average of bare gradients, here after three steps",
            run(step, gradients)["exp_avg"],
            sum((1 - v.beta) * v.beta ** (3 - k) * x for k, x in enumerate(gradients, start=1)),
        ),
    ]
