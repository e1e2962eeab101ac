"""LAMB from the length of its step, and what that length makes irrelevant."""

from __future__ import annotations

import sympy
from sympy import Min, Symbol, sqrt

from reference.derivations import DerivationStep
from reference.derivations.averages import unrolled
from reference.derivations.tools import branch, on_elements, simple_case, symbols_of
from reference.reductions import norm
from reference.rules.adam import ADAMW
from reference.rules.lamb import LAMB, LAMB_CLAMPED

v = symbols_of(LAMB)
ELEMENTS = 3
# what the norm is taken of, for any moments
R = Symbol("r", real=True)


def _scaled():
    return norm(v.p) / norm(R) * R


def _squared_length(e: sympy.Expr) -> sympy.Expr:
    """The sum of squares over the elements of a tensor."""
    return on_elements(norm(e) ** 2, ELEMENTS, R)


def _steps() -> list[DerivationStep]:
    k = Symbol("k", positive=True)
    return [
        unrolled("Kingma & Ba 2015, Section 3, equation 1"),
        DerivationStep(
            "what is subtracted has lr times the length of the parameter, whatever the update is (You et al. 2020, "
            "Section 3, equation 1, with phi(z) = z); here of three elements",
            sum(on_elements(v.lr * _scaled(), ELEMENTS, R).xreplace(_moved(i)) ** 2 for i in range(ELEMENTS)),
            v.lr**2 * _squared_length(v.p),
        ),
        DerivationStep(
            "a positive factor on the update cancels, such as a correction of both moments that is the same for all "
            "elements",
            on_elements(_scaled().xreplace({R: k * R}), ELEMENTS, R),
            on_elements(_scaled(), ELEMENTS, R),
        ),
    ]


def _moved(i: int) -> dict:
    """Element i in the place of the first, in what stands outside of sums that are written out."""
    names = [Symbol(f"r_{k}", real=True) for k in range(ELEMENTS)]
    return {names[0]: names[i], names[i]: names[0]}


def lamb() -> list[DerivationStep]:
    """You et al. 2020 (arXiv:1904.00962), Algorithm 2."""
    step = LAMB.step()
    m = v.beta1 * v.exp_avg + (1 - v.beta1) * v.g
    s = v.beta2 * v.exp_avg_sq + (1 - v.beta2) * v.g**2
    r = m / (1 - v.beta1**v.t) / (sqrt(s / (1 - v.beta2**v.t)) + v.eps) + v.weight_decay * v.p
    plain = m / (sqrt(s) + v.eps) + v.weight_decay * v.p
    return [
        *_steps(),
        DerivationStep(
            "Algorithm 2: the direction is Adam's with the decay, and the decay is scaled with it",
            branch(step.solved("p"), 0),
            v.p - v.lr * norm(v.p) / norm(r) * r,
        ),
        DerivationStep(
            "without bias correction, as in the first version of the paper",
            branch(LAMB.step({"bias_correction": False}).solved("p"), 0),
            v.p - v.lr * norm(v.p) / norm(plain) * plain,
        ),
        DerivationStep(
            "where a norm is zero it is AdamW's step (Loshchilov & Hutter 2019, Algorithm 2)",
            branch(step.solved("p"), 1),
            ADAMW.step().solved("p"),
        ),
    ]


def lamb_clamped() -> list[DerivationStep]:
    """You et al. 2020 (arXiv:1904.00962), Algorithm 2, with a bound on the norm."""
    step = LAMB_CLAMPED.step()
    phi, bound = symbols_of(LAMB_CLAMPED).clamp_value, Symbol("bound", positive=True)
    plain = simple_case(step.solved("p"), beta1=0, weight_decay=0)
    r = v.g / (sqrt(v.beta2 * v.exp_avg_sq + (1 - v.beta2) * v.g**2) + v.eps)
    large, small = bound + 1, bound / 2
    return [
        *_steps(),
        DerivationStep(
            "phi(z) = min(z, clamp_value) stands for the norm of the parameter (Section 3)",
            branch(plain, 0),
            v.p - v.lr * Min(norm(v.p), phi) / norm(r) * r,
        ),
        DerivationStep("above the bound the length of the step is lr times the bound", Min(large, bound), bound),
        DerivationStep("below it the rule is LAMB itself", Min(small, bound), small),
    ]
