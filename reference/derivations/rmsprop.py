"""RMSprop from a running mean square, and its centered form from the variance."""

from __future__ import annotations

import sympy
from sympy import diff, sqrt, symbols

from reference.derivations import DerivationStep
from reference.derivations.averages import unrolled
from reference.derivations.tools import simple_case, symbols_of
from reference.rules.rmsprop import RMSPROP

v = symbols_of(RMSPROP)
mu = sympy.Symbol("mu", positive=True)


def variance() -> list[DerivationStep]:
    """A mean square minus a squared mean, for weights that sum to at most 1."""
    w = symbols("w1:4", positive=True)
    g = symbols("g1:4", real=True)
    total = sum(w)
    mean = sum(a * x for a, x in zip(w, g, strict=True))
    square = sum(a * x**2 for a, x in zip(w, g, strict=True))
    last = 1 - w[0] - w[1]
    spread = sum(a * (x - mean / total) ** 2 for a, x in zip(w, g, strict=True))
    return [
        DerivationStep(
            "for weights that sum to 1 the mean square minus the squared mean is the variance, "
            "here for three gradients (Graves 2013, equations 38 to 40)",
            (square - mean**2).subs(w[2], last),
            sum(a * (x - mean) ** 2 for a, x in zip(w, g, strict=True)).subs(w[2], last),
        ),
        DerivationStep(
            "averages that start at zero have weights of sum W <= 1; the difference then is the "
            "spread plus mean^2 (1 - W)/W, so it is never negative in exact arithmetic",
            square - mean**2,
            spread + mean**2 * (1 - total) / total,
        ),
    ]


def rmsprop() -> list[DerivationStep]:
    """Tieleman & Hinton 2012, Lecture 6.5; Graves 2013 (arXiv:1308.0850), equations 38 to 41."""
    plain, centered = RMSPROP.step(), RMSPROP.step({"centered": True})
    s = v.alpha * v.square_avg + (1 - v.alpha) * v.g**2
    m = v.alpha * v.grad_avg + (1 - v.alpha) * v.g
    with_momentum = {"momentum": mu, "weight_decay": 0}
    buffer = simple_case(centered.solved("momentum_buffer"), **with_momentum)
    moved = simple_case(centered.solved("p"), **with_momentum)
    # Graves' change of the weights carries the rate inside: change = -lr buffer.
    change = mu * (-v.lr * v.momentum_buffer) - v.lr * v.g / (sqrt(s - m**2) + v.eps)
    return [
        unrolled("Tieleman & Hinton 2012, Lecture 6.5, with alpha for beta"),
        DerivationStep(
            "dividing the gradient by the root of its running mean square is the rule's own step "
            "at momentum = weight_decay = 0",
            simple_case(plain.solved("p"), momentum=0, weight_decay=0),
            v.p - v.lr * v.g / (sqrt(s) + v.eps),
        ),
        *variance(),
        DerivationStep(
            "dividing by the standard deviation is the rule's own centered step",
            simple_case(centered.solved("p"), momentum=0, weight_decay=0),
            v.p - v.lr * v.g / (sqrt(s - m**2) + v.eps),
        ),
        DerivationStep(
            "momentum follows equations 40 and 41, with eps outside the root: with constant lr and "
            "change = -lr buffer, the parameter moves by the change",
            moved,
            v.p + change,
        ),
        DerivationStep("and the buffer is the change over -lr", buffer, change / -v.lr),
        DerivationStep(
            "weight decay adds the gradient of (weight_decay / 2) p^2 to the gradient",
            plain.solved("square_avg"),
            v.alpha * v.square_avg + (1 - v.alpha) * (v.g + diff(v.weight_decay / 2 * v.p**2, v.p)) ** 2,
        ),
    ]
