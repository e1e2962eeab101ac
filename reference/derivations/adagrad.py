"""Adagrad: the scaling that makes the online regret bound smallest."""

from __future__ import annotations

import sympy
from sympy import Derivative, diff, sqrt, symbols

from reference.derivations import DerivationStep
from reference.derivations.tools import run, simple_case, symbols_of
from reference.rules.adagrad import ADAGRAD

v = symbols_of(ADAGRAD)


def adagrad() -> list[DerivationStep]:
    """Duchi, Hazan & Singer 2011, JMLR 12."""
    step = ADAGRAD.step()
    gradients = symbols("g1:5", real=True)
    squares, price, scale, earlier = symbols("S lambda s R", positive=True)
    s = v.sum + v.g**2
    constant = sympy.Symbol("g", positive=True)
    plain = {"weight_decay": 0, "lr_decay": 0, "eps": 0, "initial_accumulator_value": 0}
    return [
        DerivationStep(
            "the regret of scaling an element by 1/s is bounded by sum(g^2)/s plus the size of s; "
            "with a price on that size the best s is proportional to the root of S = sum(g^2) "
            "(Section 3)",
            Derivative(squares / scale + price * scale, scale).doit().subs(scale, sqrt(squares / price)),
            0,
        ),
        DerivationStep(
            "using the sum so far instead of the whole sum costs at most a factor of 2: by "
            "induction sum g_t^2/sqrt(S_t) <= 2 sqrt(S_t), since the slack grows by a square "
            "(Lemma 4)",
            2 * sqrt(squares) - 2 * sqrt(earlier) - (squares - earlier) / sqrt(squares),
            (sqrt(squares) - sqrt(earlier)) ** 2 / sqrt(squares),
        ),
        DerivationStep(
            "the rule's accumulator is the initial value plus the sum of squares, here after four steps",
            run(step, gradients, {"weight_decay": 0})["sum"],
            v.initial_accumulator_value + sum(g**2 for g in gradients),
        ),
        DerivationStep(
            "dividing the gradient by its root gives the rule's own step at weight_decay = "
            "lr_decay = 0 (Section 1.1; the paper's delta is eps)",
            simple_case(step.solved("p"), weight_decay=0, lr_decay=0),
            v.p - v.lr * v.g / (sqrt(s) + v.eps),
        ),
        DerivationStep(
            "so the step after t equal gradients is lr / sqrt(t), whatever their size: here the sum of the first three",
            run(step, [constant] * 3, plain)["p"],
            v.p - v.lr * (1 + 1 / sqrt(2) + 1 / sqrt(3)),
        ),
        DerivationStep(
            "lr_decay leaves the first step alone",
            simple_case(step.solved("p"), t=1),
            simple_case(step.solved("p"), lr_decay=0),
        ),
        DerivationStep(
            "weight decay adds the gradient of (weight_decay / 2) p^2 to the gradient",
            step.solved("sum"),
            v.sum + (v.g + diff(v.weight_decay / 2 * v.p**2, v.p)) ** 2,
        ),
    ]
