"""LARS from the ratio of norms that it keeps, and where the learning rate stands."""

from __future__ import annotations

from sympy import Limit, Symbol, diff, oo, sqrt, symbols

from reference.derivations import DerivationStep
from reference.derivations.tools import branch, on_elements, run, simple_case, symbols_of
from reference.reductions import norm
from reference.rules.lars import LARS, LARS_LR_OUTSIDE

v = symbols_of(LARS)
ELEMENTS = 3


def _local_rate():
    return v.trust_coefficient * norm(v.p) / (norm(v.g) + v.weight_decay * norm(v.p))


def _steps() -> list[DerivationStep]:
    p_norm, g_norm, k = symbols("P G k", positive=True)
    local = v.trust_coefficient * p_norm / (g_norm + v.weight_decay * p_norm)
    square = on_elements(norm(v.g) ** 2, ELEMENTS)
    return [
        DerivationStep(
            "a norm is the root of the sum of squares, here of three elements",
            square,
            sum(x**2 for x in symbols("g_0:3", real=True)),
        ),
        DerivationStep(
            "the norm grows in proportion, so that units of the loss cancel in the ratio of update to gradient",
            on_elements(norm(k * v.g), ELEMENTS),
            k * sqrt(square),
        ),
        DerivationStep(
            "without decay the local rate makes the update of a layer a fixed part, trust_coefficient, of its norm "
            "(You et al. 2017, Section 4, equation 6)",
            simple_case(local, weight_decay=0) * g_norm,
            v.trust_coefficient * p_norm,
        ),
        DerivationStep(
            "with decay it is so for a gradient along the parameter, where norms add up, and less for all others",
            local * (g_norm + v.weight_decay * p_norm),
            v.trust_coefficient * p_norm,
        ),
        DerivationStep(
            "a larger gradient moves the layer no further",
            Limit(local * (g_norm + v.weight_decay * p_norm), g_norm, oo),
            v.trust_coefficient * p_norm,
        ),
        DerivationStep(
            "the decay is the derivative of weight_decay / 2 times the square of the norm (Section 2)",
            diff(v.weight_decay / 2 * on_elements(norm(v.p) ** 2, ELEMENTS), Symbol("p_0", real=True)),
            v.weight_decay * Symbol("p_0", real=True),
        ),
    ]


def lars() -> list[DerivationStep]:
    """You, Gitman & Ginsburg 2017 (arXiv:1708.03888), Section 4, equation 6, and Algorithm 1."""
    step = LARS.step()
    own = branch(step.solved("p"), 0)
    velocity = v.momentum * v.momentum_buffer + v.lr * _local_rate() * (v.g + v.weight_decay * v.p)
    return [
        *_steps(),
        DerivationStep("Algorithm 1: the velocity takes in lr times the local rate", own, v.p - velocity),
        DerivationStep(
            "where a norm is zero the rate is lr alone: momentum with an L2 penalty",
            branch(step.solved("p"), 1),
            v.p - v.momentum * v.momentum_buffer - v.lr * (v.g + v.weight_decay * v.p),
        ),
    ]


def lars_lr_outside() -> list[DerivationStep]:
    """The same with the learning rate outside, as long as it stays the same."""
    gradients = symbols("g1:4", real=True)
    inside, outside = (
        run(rule.step(), gradients, {"eps": 0}, case=1)["momentum_buffer"] for rule in (LARS, LARS_LR_OUTSIDE)
    )
    nesterov = branch(LARS_LR_OUTSIDE.step({"nesterov": True}).solved("p"), 1)
    g = v.g + v.weight_decay * v.p
    return [
        *_steps(),
        DerivationStep(
            "after steps with one learning rate the buffer is the velocity of Algorithm 1 divided by it, here after "
            "three steps in which a norm was zero",
            inside,
            v.lr * outside,
        ),
        DerivationStep(
            "Nesterov's form looks ahead from the buffer",
            nesterov,
            v.p - v.lr * (g + v.momentum * (v.momentum * v.momentum_buffer + g)),
        ),
    ]
