"""AggMo: one step for several momenta at once."""

from __future__ import annotations

import sympy
from sympy import diff, symbols

from reference.derivations import DerivationStep
from reference.derivations.tools import run, simple_case, symbols_of
from reference.rules.aggmo import AGGMO
from reference.rules.sgd import GRADIENT_DESCENT, SGD

v = symbols_of(AGGMO)
BUFFERS = (v.momentum_buffer1, v.momentum_buffer2, v.momentum_buffer3)
BETAS = (v.beta1, v.beta2, v.beta3)


def _momentum(beta: sympy.Expr, buffer: sympy.Expr) -> sympy.Expr:
    """torch's SGD with momentum after its first step, from this buffer."""
    mu = sympy.Symbol("mu", positive=True)
    values = {"weight_decay": 0, "dampening": 0, "momentum_buffer_unset": 0}
    return simple_case(SGD.step().solved("p"), momentum=mu, momentum_buffer=buffer, **values).subs(mu, beta)


def aggmo() -> list[DerivationStep]:
    """Lucas et al. 2019 (arXiv:1804.00325)."""
    step = AGGMO.step()
    undecayed = simple_case(step.solved("p"), weight_decay=0)
    mu = sympy.Symbol("mu", positive=True)
    gradients = symbols("g1:4", real=True)
    buffer = run(step, gradients, {"weight_decay": 0})["momentum_buffer2"]
    lone = simple_case(undecayed, beta1=0, momentum_buffer1=0, beta2=0, momentum_buffer2=0)
    return [
        DerivationStep(
            "the mean of the steps of three momenta is the rule's own step (Lucas et al. 2019, equation 2)",
            undecayed,
            sum(_momentum(beta, buffer) for beta, buffer in zip(BETAS, BUFFERS, strict=True)) / 3,
        ),
        DerivationStep(
            "a buffer gives a gradient of k steps ago the weight beta^k, here after three steps (equation 2)",
            buffer,
            v.beta2**2 * gradients[0] + v.beta2 * gradients[1] + gradients[2],
        ),
        DerivationStep(
            "equal betas are classical momentum (Section 3)",
            simple_case(undecayed, beta1=mu, beta2=mu, beta3=mu).subs(dict.fromkeys(BUFFERS, BUFFERS[0])),
            _momentum(mu, BUFFERS[0]),
        ),
        DerivationStep(
            "all betas zero are gradient descent",
            simple_case(undecayed, beta1=0, beta2=0, beta3=0),
            GRADIENT_DESCENT.step().solved("p"),
        ),
        DerivationStep(
            "one beta beside zeros is quasi-hyperbolic: the plain gradient counts more than momentum alone gives it "
            "(Ma & Yarats 2019, Section 4)",
            lone,
            v.p - v.lr / 3 * (2 * v.g + v.beta3 * v.momentum_buffer3 + v.g),
        ),
        DerivationStep(
            "weight decay adds the gradient of (weight_decay / 2) p^2 to the gradient",
            step.solved("momentum_buffer3"),
            v.beta3 * v.momentum_buffer3 + v.g + diff(v.weight_decay / 2 * v.p**2, v.p),
        ),
    ]
