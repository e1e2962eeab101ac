"""SGDP and AdamP from weights whose scale does not matter."""

from __future__ import annotations

import sympy
from sympy import Function, Symbol, sqrt, symbols

from reference.derivations import DerivationStep
from reference.derivations.averages import bias, unrolled
from reference.derivations.tools import branch, on_elements, simple_case, symbols_of
from reference.reductions import Total, norm
from reference.rules.adamp import ADAMP, SGDP

v, w = symbols_of(ADAMP), symbols_of(SGDP)
STEP = Symbol("step", real=True)


def _geometry() -> list[DerivationStep]:
    x, y, k = symbols("x_0:2", real=True), Symbol("y", real=True), Symbol("k", positive=True)
    f = Function("f")(x[0] / x[1])  # of two weights, what does not change when both are multiplied by one number
    unit = v.p / norm(v.p)
    rest = STEP - unit * Total(unit * STEP)
    elements = [on_elements(rest, 2, STEP).xreplace(_moved(i)) for i in range(2)]
    p = symbols("p_0:2", real=True)
    return [
        DerivationStep(
            "where the scale of a weight does not matter, its gradient is orthogonal to it (Heo et al. 2021, Section 2); "
            "here for two elements",
            x[0] * sympy.diff(f, x[0]) + x[1] * sympy.diff(f, x[1]),
            0,
        ),
        DerivationStep(
            "what is left of a step without its part along the weight is orthogonal to it (equation 8)",
            sum(z * e for z, e in zip(p, elements, strict=True)),
            0,
        ),
        DerivationStep(
            "and is the same for a weight that is k times as long",
            on_elements(rest, 2, STEP).xreplace({z: k * z for z in p}),
            on_elements(rest, 2, STEP),
        ),
        DerivationStep(
            "the cosine of two random directions has the variance 1 / n, which is why it is compared with "
            "delta / sqrt(n) (Section 3.1); here n = 2, for a direction at the angle y",
            sympy.integrate(sympy.cos(y) ** 2, (y, 0, 2 * sympy.pi)) / (2 * sympy.pi),
            sympy.Rational(1, 2),
        ),
    ]


def _moved(i: int) -> dict:
    """Element i in the place of the first, in what stands outside of sums that are written out."""
    found: dict[Symbol, Symbol] = {}
    for name in ("step", "p"):
        first, other = (Symbol(f"{name}_{k}", real=True) for k in (0, i))
        found |= {first: other, other: first}
    return found


def adamp() -> list[DerivationStep]:
    """Heo et al. 2021 (arXiv:2006.08217), Algorithm 2."""
    step = ADAMP.step()
    m = v.beta1 * v.exp_avg + (1 - v.beta1) * v.g
    s = v.beta2 * v.exp_avg_sq + (1 - v.beta2) * v.g**2
    adam = m / (1 - v.beta1**v.t) / (sqrt(s / (1 - v.beta2**v.t)) + v.eps)
    return [
        *bias("Kingma & Ba 2015, Section 3, equations 1 to 4"),
        *_geometry(),
        DerivationStep(
            "where nothing is projected it is AdamW (Loshchilov & Hutter 2019, Algorithm 2)",
            branch(branch(step.solved("p"), -1), -1),
            v.p - v.lr * (adam + v.weight_decay * v.p),
        ),
    ]


def sgdp() -> list[DerivationStep]:
    """Heo et al. 2021 (arXiv:2006.08217), Algorithm 1."""
    step = SGDP.step()
    plain = branch(branch(step.solved("p"), -1), -1)
    return [
        unrolled("Kingma & Ba 2015, Section 3, equation 1"),
        *_geometry(),
        DerivationStep(
            "where nothing is projected the step is that of momentum from zero",
            simple_case(plain, weight_decay=0),
            w.p - w.lr * (w.momentum * w.momentum_buffer + (1 - w.dampening) * w.g),
        ),
        DerivationStep(
            "and the decay is what momentum makes of lr weight_decay p at every step, in the long run",
            simple_case(plain, weight_decay=0) - plain,
            w.lr * w.weight_decay * w.p / (1 - w.momentum),
        ),
    ]
