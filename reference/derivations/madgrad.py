"""MADGRAD: dual averaging, the cube root, and momentum as an average of iterates."""

from __future__ import annotations

import sympy
from sympy import Derivative, Rational, diff, sqrt, symbols

from reference.derivations import DerivationStep
from reference.derivations.tools import run, simple_case, symbols_of
from reference.rules.madgrad import MADGRAD, MADGRAD_SHIFTED

v = symbols_of(MADGRAD)
mu = sympy.Symbol("mu", positive=True)
THIRD = Rational(1, 3)
ALGORITHM_1 = "Defazio & Jelassi 2021, Algorithm 1"


def cube_root() -> list[DerivationStep]:
    """The denominator, Defazio & Jelassi 2021 (arXiv:2101.11075), Section 3."""
    squares, price, scale = symbols("S c d", positive=True)
    return [
        DerivationStep(
            "the sum of squares S over the scale d, with a price c d on it, is smallest at the square root of S / c: "
            "that is Adagrad (Duchi et al. 2011, Section 3)",
            Derivative(squares / scale + price * scale, scale).doit().subs(scale, sqrt(squares / price)),
            0,
        ),
        DerivationStep(
            "with a price c d^2 it is smallest at the cube root of S / (2 c) (Section 3.2)",
            Derivative(squares / scale + price * scale**2, scale).doit().subs(scale, (squares / (2 * price)) ** THIRD),
            0,
        ),
    ]


def dual_averaging() -> list[DerivationStep]:
    """z from all gradients at once, and the average of z, Section 3."""
    x, start, total, scale, g, rate = symbols("x x0 s d g rate", positive=True)
    theta, before, momentum = symbols("theta theta_before mu", real=True)
    model = total * x + scale * (x - start) ** 2 / 2
    c = 1 - momentum
    old_z = (theta - momentum * before) / c
    return [
        DerivationStep(
            "dual averaging minimises the linear model of all gradients, s x, and a price d (x - x0)^2 / 2 on the "
            "distance from the start: there the derivative vanishes (Nesterov 2009)",
            Derivative(model, x).doit().subs(x, start - total / scale),
            0,
        ),
        DerivationStep(
            "with a constant d, averaging iterates with weight c is momentum 1 - c at the rate c rate / d: "
            "z = z_before - rate g / d makes the heavy ball of p (Section 3.1; Polyak 1964)",
            momentum * theta + c * (old_z - rate * g / scale),
            theta + momentum * (theta - before) - c * rate * g / scale,
        ),
    ]


def _stepped(lr) -> sympy.Expr:
    """The parameter after a later step with momentum mu, without decay."""
    weight = lr * sqrt(v.t)
    s, squares = v.s + weight * v.g, v.grad_sum_sq + weight * v.g**2
    return mu * v.p + (1 - mu) * (v.x0 - s / (squares**THIRD + v.eps))


def _common(rule, lr) -> list[DerivationStep]:
    step = rule.step()
    later = simple_case(step.solved("p"), momentum=mu, weight_decay=0, x0_unset=0)
    weights = {"weight_decay": 0, "momentum": mu}
    g = symbols("g1:4", real=True)
    after = run(step, g, weights)
    old_root = v.grad_sum_sq**THIRD + v.eps
    without = simple_case(step.solved("p"), momentum=0, weight_decay=0)
    return [
        *cube_root(),
        *dual_averaging(),
        DerivationStep(
            f"all of it is the rule's own step at weight_decay = 0, here the seventh ({ALGORITHM_1})",
            later.subs(v.t, 7),
            _stepped(lr).subs(v.t, 7),
        ),
        DerivationStep(
            "the gradient of step k has the weight lr sqrt(k), here after three steps",
            after["s"],
            lr * (g[0] + sqrt(2) * g[1] + sqrt(3) * g[2]),
        ),
        DerivationStep("the start is kept for ever", after["x0"], v.p),
        DerivationStep(
            "without momentum the parameter is z, and the start is had from it: from p = x0 - s / root the step is "
            "that from x0",
            without.subs(v.t, 7).subs(v.p, v.x0 - v.s / old_root),
            _stepped(lr).subs({mu: 0, v.t: 7}),
        ),
        DerivationStep(
            "weight decay adds the gradient of (weight_decay / 2) p^2 to the gradient",
            step.solved("s"),
            v.s + lr * sqrt(v.t) * (v.g + diff(v.weight_decay / 2 * v.p**2, v.p)),
        ),
    ]


def madgrad() -> list[DerivationStep]:
    """Defazio & Jelassi 2021."""
    return _common(MADGRAD, v.lr)


def madgrad_shifted() -> list[DerivationStep]:
    """Defazio & Jelassi 2021, as the authors' code computes it."""
    later, shifted = (
        simple_case(rule.step().solved("p"), momentum=mu, x0_unset=0).subs(v.t, 7)
        for rule in (MADGRAD, MADGRAD_SHIFTED)
    )
    return [
        *_common(MADGRAD_SHIFTED, v.lr + v.eps),
        DerivationStep(
            "it is madgrad at the rate lr + eps",
            shifted,
            simple_case(later, lr=v.lr + v.eps),
        ),
    ]
