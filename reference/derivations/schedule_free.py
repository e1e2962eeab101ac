"""Schedule-Free: the average of all z, which the parameter holds without keeping it."""

from __future__ import annotations

import sympy
from sympy import Symbol, diff, sqrt, symbols

from reference.derivations import DerivationStep
from reference.derivations.tools import run, simple_case, symbols_of
from reference.rules.schedule_free import SCHEDULE_FREE_ADAMW, SCHEDULE_FREE_ADAMW_SCALED, SCHEDULE_FREE_SGD
from reference.rules.sgd import GRADIENT_DESCENT

PAPER = "Defazio et al. 2024"
v = symbols_of(SCHEDULE_FREE_SGD)
w = symbols_of(SCHEDULE_FREE_ADAMW)
beta, share, lr = symbols("beta c lr", positive=True)
x, y, z, g = symbols("x y z g", real=True)
# y without keeping x: the average follows from the two that are kept
y_next = (1 - share) * y + share * z + lr * beta * (1 - share) * g - lr * g


def averaging() -> list[DerivationStep]:
    """The three sequences, Defazio et al. 2024 (arXiv:2405.15682), Section 3."""
    z_next = z - lr * g
    x_next = (1 - share) * x + share * z_next
    total, weight, z_new = symbols("total weight z_new", positive=True)
    return [
        DerivationStep(
            "x is what y = (1 - beta) z + beta x leaves of y (equation 3)",
            sympy.solve((1 - beta) * z + beta * x - y, x)[0],
            (y - (1 - beta) * z) / beta,
        ),
        DerivationStep(
            "the step of z and the average of x (equations 4 and 5), followed at y, need x no more: that is how y moves",
            ((1 - beta) * z_next + beta * x_next).subs(x, (y - (1 - beta) * z) / beta),
            y_next,
        ),
        DerivationStep(
            "moving an average by weight / (total + weight) of the way gives the mean with that weight added "
            "(equation 5; with equal weights c is 1 / t)",
            (1 - weight / (total + weight)) * x + weight / (total + weight) * z_new,
            (total * x + weight * z_new) / (total + weight),
        ),
    ]


def _moved(u, momentum, rate, direction) -> sympy.Expr:
    """The parameter after a later step, with the weights of the rule."""
    largest = sympy.Max(u.lr_max, rate)
    weight = u.t**u.r * largest**u.weight_lr_power
    c = weight / (u.weight_sum + weight)
    values = {share: c, beta: momentum, lr: rate, y: u.p, z: u.z, g: direction}
    return y_next.subs(values, simultaneous=True)


def _later_step(rule, u, **values) -> sympy.Expr:
    positive = Symbol("W", positive=True)
    new = simple_case(rule.step().solved("p"), z_unset=0, weight_sum=positive, **values)
    return new.subs(positive, u.weight_sum)


def schedule_free_sgd() -> list[DerivationStep]:
    """Defazio et al. 2024, Section 3."""
    step = SCHEDULE_FREE_SGD.step()
    first, second = symbols("g1:3", real=True)
    rate = Symbol("lr", positive=True)
    plain = {"weight_decay": 0, "r": 0, "weight_lr_power": 0, "lr": rate}
    after = run(step, [first, second], plain)
    z1, z2 = v.p - rate * first, v.p - rate * (first + second)
    one = run(step, [first], plain)
    return [
        *averaging(),
        DerivationStep(
            "with the direction of the gradient that is the rule's own step at weight_decay = 0",
            _later_step(SCHEDULE_FREE_SGD, v, weight_decay=0),
            _moved(v, v.momentum, v.lr, v.g),
        ),
        DerivationStep(
            "z itself does gradient descent (equation 4)",
            simple_case(step.solved("z"), z_unset=0, weight_decay=0),
            GRADIENT_DESCENT.step().solved("p").subs(v.p, v.z),
        ),
        DerivationStep("with equal weights the first average is the first z, and so is y", one["p"], z1),
        DerivationStep(
            "and after two steps y lies between z and the mean of both z",
            after["p"],
            (1 - v.momentum) * z2 + v.momentum * (z1 + z2) / 2,
        ),
        DerivationStep(
            "weight decay adds the gradient of (weight_decay / 2) y^2, taken at y",
            simple_case(step.solved("z"), z_unset=0),
            v.z - v.lr * (v.g + diff(v.weight_decay / 2 * v.p**2, v.p)),
        ),
    ]


second_moment = w.beta2 * w.exp_avg_sq + (1 - w.beta2) * w.g**2


def schedule_free_adamw() -> list[DerivationStep]:
    """Defazio et al. 2024, Algorithm 1."""
    direction = w.g / (sqrt(second_moment) / sqrt(1 - w.beta2**w.t) + w.eps)
    fall, rate = symbols("d gamma", positive=True)
    return [
        *averaging(),
        DerivationStep(
            "along the gradient over the corrected root, and decay at y, that is the rule's own step (Algorithm 1)",
            _later_step(SCHEDULE_FREE_ADAMW, w),
            _moved(w, w.beta1, w.lr, direction + w.weight_decay * w.p),
        ),
        DerivationStep(
            "an lr that has risen is its own maximum, so that weight_lr_power = 2 gives Algorithm 1's weight",
            sympy.Max(rate, rate + fall) ** 2,
            (rate + fall) ** 2,
        ),
    ]


def schedule_free_adamw_scaled() -> list[DerivationStep]:
    """Defazio et al. 2024, first version."""
    rate = w.lr * sqrt(1 - w.beta2**w.t)
    direction = w.g / (sqrt(second_moment) + w.eps) + w.weight_decay * w.p
    corrected = w.g / (sqrt(second_moment) / sqrt(1 - w.beta2**w.t))
    return [
        *averaging(),
        DerivationStep(
            "the correction of the second moment is in the rate (Algorithm 1 of the first version): the rule's own "
            "step",
            _later_step(SCHEDULE_FREE_ADAMW_SCALED, w),
            _moved(w, w.beta1, rate, direction),
        ),
        DerivationStep(
            "with eps = 0 the gradient's own step is that of the corrected root (Kingma & Ba 2015, Section 2)",
            rate * w.g / sqrt(second_moment),
            w.lr * corrected,
        ),
    ]
