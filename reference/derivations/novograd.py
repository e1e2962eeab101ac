"""NovoGrad from a second moment of whole layers."""

from __future__ import annotations

from sympy import Symbol, symbols

from reference.derivations import DerivationStep
from reference.derivations.tools import on_elements, simple_case, symbols_of
from reference.reductions import Total, norm
from reference.rules.novograd import NOVOGRAD

v = symbols_of(NOVOGRAD)


def novograd() -> list[DerivationStep]:
    """Ginsburg et al. 2019 (arXiv:1905.11286), Section 2.2 and Algorithm 1."""
    step = NOVOGRAD.step()
    first = step.solved("exp_avg_sq").args[0].expr
    later = step.solved("exp_avg_sq").args[1].expr
    k, b = Symbol("k", positive=True), v.beta2
    n1, n2, n3 = symbols("n1:4", nonnegative=True)
    average = b * (b * n1 + (1 - b) * n2) + (1 - b) * n3
    normalised = on_elements(v.g / norm(v.g), 3)
    return [
        DerivationStep("the second moment of a layer starts at the first squared norm", first, Total(v.g**2)),
        DerivationStep(
            "and is an average of squared norms from then on (Section 2.2)",
            later,
            b * v.exp_avg_sq + (1 - b) * Total(v.g**2),
        ),
        DerivationStep(
            "started so, its weights add up to one at every step, here the third: there is no bias to correct",
            simple_case(average, n1=1, n2=1, n3=1),
            1,
        ),
        DerivationStep(
            "at the first step the gradient is divided by its own norm: its scale does not matter",
            on_elements((k * v.g) / norm(k * v.g), 3),
            normalised,
        ),
        DerivationStep(
            "the decay is added after the division, into the momentum (Algorithm 1)",
            step.solved("exp_avg") - simple_case(step.solved("exp_avg"), weight_decay=0),
            v.weight_decay * v.p,
        ),
        DerivationStep(
            "the momentum is a sum and not an average: the step is lr times it",
            step.solved("p"),
            v.p - v.lr * step.solved("exp_avg"),
        ),
    ]
