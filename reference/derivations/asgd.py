"""ASGD: a running mean, and rates that fall as the theory asks."""

from __future__ import annotations

import sympy
from sympy import diff, symbols

from reference.derivations import DerivationStep
from reference.derivations.tools import run, simple_case, symbols_of
from reference.rules.asgd import ASGD

v = symbols_of(ASGD)


def running_mean() -> list[DerivationStep]:
    """The mean of k values from the mean of k - 1."""
    total, x = symbols("S x", real=True)
    k = sympy.Symbol("k", positive=True)
    mean = total / (k - 1)
    return [
        DerivationStep(
            "moving the mean of k - 1 iterates by 1/k of the way to a new one gives the mean of k "
            "(Polyak & Juditsky 1992, the average of the trajectory; Bottou 2012, Section 5)",
            mean + (x - mean) / k,
            (total + x) / k,
        ),
    ]


def rate() -> list[DerivationStep]:
    """The rate of the iterates, Xu 2011 (arXiv:1107.2490) and Bottou 2012, Section 5."""
    steps = sympy.Symbol("n", nonnegative=True)
    lr = sympy.Symbol("lr", positive=True)
    rate = lr / (1 + v.lambd * lr * steps)
    return [
        DerivationStep(
            "with alpha = 1 the rate lr / (1 + lambd lr n)^alpha is the one whose inverse grows by "
            "lambd in every step, as for plain SGD on a loss of curvature lambd (Bottou 2012)",
            1 / rate.subs(steps, steps + 1),
            1 / rate + v.lambd,
        ),
    ]


def asgd() -> list[DerivationStep]:
    """torch's ASGD with its schedules."""
    step = ASGD.step()
    gradients = symbols("g1:5", real=True)
    simple = {"weight_decay": 0, "lambd": 0, "t0": 0}
    iterates = [run(step, gradients[:k], simple)["p"] for k in range(1, 5)]
    start = {"weight_decay": 0, "t0": 2}
    return [
        *running_mean(),
        *rate(),
        DerivationStep(
            "lambd adds the gradient of (lambd / 2) p^2, and weight_decay another: the rule's own step",
            step.solved("p"),
            v.p - v.eta * (v.g + diff((v.lambd + v.weight_decay) / 2 * v.p**2, v.p)),
        ),
        DerivationStep(
            "the rate of the first step is lr, which is the schedule after no steps",
            run(step, gradients[:1], {"weight_decay": 0})["p"],
            v.p - v.lr * v.lambd * v.p - v.lr * gradients[0],
        ),
        DerivationStep(
            "and after three steps it is the schedule at 3",
            run(step, gradients[:3])["eta"],
            v.lr / (1 + 3 * v.lambd * v.lr) ** v.alpha,
        ),
        DerivationStep(
            "until the average starts it is the last iterate, here after three steps with t0 = 2",
            run(step, gradients[:3], start)["ax"],
            run(step, gradients[:3], start)["p"],
        ),
        DerivationStep(
            "with t0 = 0 the average after four steps is the mean of the iterates 2, 3 and 4: the "
            "weight of a step is computed at the end of the one before, and the first iterate "
            "falls out",
            run(step, gradients, simple)["ax"],
            sum(iterates[1:]) / 3,
        ),
        DerivationStep(
            "the average never acts on the parameter",
            diff(step.solved("p"), v.ax),
            0,
        ),
        DerivationStep(
            "nor does it matter where it started: mu is 1 in the first step",
            simple_case(step.solved("ax"), mu=1),
            step.solved("p"),
        ),
    ]
