"""Quasi-hyperbolic momentum: a weighted mean, and what it recovers."""

from __future__ import annotations

import sympy
from sympy import diff, sqrt, symbols

from reference.derivations import DerivationStep
from reference.derivations.averages import bias, unrolled
from reference.derivations.tools import run, simple_case, symbols_of
from reference.rules.adam import ADAM
from reference.rules.qhm import QHADAM, QHADAM_WEIGHTED, QHM
from reference.rules.sgd import GRADIENT_DESCENT, SGD

v = symbols_of(QHM)
w = symbols_of(QHADAM)
mu = sympy.Symbol("mu", positive=True)
SECTION_3 = "Ma & Yarats 2019, Section 3"


def _momentum(name: str, nesterov: bool = False) -> sympy.Expr:
    """torch's SGD with momentum mu, whose buffer sums what QHM's averages."""
    step = SGD.step({"nesterov": nesterov})
    b = v.momentum_buffer / (1 - mu)
    new = simple_case(step.solved(name), momentum=mu, weight_decay=0, dampening=0, momentum_buffer_unset=0)
    return simple_case(new, momentum_buffer=b, lr=v.lr * (1 - mu))


def qhm() -> list[DerivationStep]:
    """Ma & Yarats 2019 (arXiv:1810.06801), Section 3."""
    step = QHM.step()
    undecayed = simple_case(step.solved("p"), weight_decay=0)
    average = v.momentum * v.momentum_buffer + (1 - v.momentum) * v.g
    gradients = symbols("g1:5", real=True)
    buffer = run(step, gradients[:3], {"weight_decay": 0})["momentum_buffer"]
    moves = run(step, gradients, {"weight_decay": 0})["p"] - run(step, gradients[:3], {"weight_decay": 0})["p"]
    return [
        unrolled(SECTION_3),
        DerivationStep(
            "nu of a step along the average and 1 - nu of a plain one is the rule's own step (Section 3)",
            undecayed,
            v.nu * (v.p - v.lr * average) + (1 - v.nu) * (v.p - v.lr * v.g),
        ),
        DerivationStep(
            "nu = 0 is gradient descent (Section 3)",
            simple_case(undecayed, nu=0),
            GRADIENT_DESCENT.step().solved("p"),
        ),
        DerivationStep(
            "nu = 1 is momentum: torch's SGD at the rate lr (1 - momentum), with the buffer over 1 - momentum "
            "(Section 3)",
            simple_case(undecayed, nu=1, momentum=mu),
            _momentum("p"),
        ),
        DerivationStep(
            "and so is its buffer",
            simple_case(step.solved("momentum_buffer"), weight_decay=0, momentum=mu) / (1 - mu),
            _momentum("momentum_buffer"),
        ),
        DerivationStep(
            "nu = momentum is Nesterov's method, in the form that torch has (Section 4.2, NAG)",
            simple_case(undecayed, nu=mu, momentum=mu),
            _momentum("p", nesterov=True),
        ),
        DerivationStep(
            "the weights of past gradients are those of momentum times nu, save the newest, which is more by "
            "1 - nu: here the fourth step (Section 3, the quasi-hyperbolic discount)",
            moves,
            -v.lr * v.nu * (v.momentum * buffer + (1 - v.momentum) * gradients[3]) - v.lr * (1 - v.nu) * gradients[3],
        ),
        DerivationStep(
            "weight decay adds the gradient of (weight_decay / 2) p^2 to the gradient",
            step.solved("momentum_buffer"),
            v.momentum * v.momentum_buffer + (1 - v.momentum) * (v.g + diff(v.weight_decay / 2 * v.p**2, v.p)),
        ),
    ]


m = w.beta1 * w.exp_avg + (1 - w.beta1) * w.g
s = w.beta2 * w.exp_avg_sq + (1 - w.beta2) * w.g**2


def _step_of(first: sympy.Expr, second: sympy.Expr) -> sympy.Expr:
    """QHAdam's step from averages without bias."""
    numerator = (1 - w.nu1) * w.g + w.nu1 * first
    return w.p - w.lr * numerator / (sqrt((1 - w.nu2) * w.g**2 + w.nu2 * second) + w.eps)


def qhadam() -> list[DerivationStep]:
    """Ma & Yarats 2019 (arXiv:1810.06801), Section 4."""
    undecayed = simple_case(QHADAM.step().solved("p"), weight_decay=0)
    return [
        *bias("Kingma & Ba 2015, Section 3, equations 1 to 4"),
        DerivationStep(
            "both corrected averages, each mixed with what is new in it, are the rule's own step at weight_decay = 0 "
            "(Ma & Yarats 2019, Section 4)",
            undecayed,
            _step_of(m / (1 - w.beta1**w.t), s / (1 - w.beta2**w.t)),
        ),
        DerivationStep(
            "nu1 = nu2 = 1 is Adam",
            simple_case(undecayed, nu1=1, nu2=1),
            simple_case(ADAM.step().solved("p"), weight_decay=0),
        ),
        DerivationStep(
            "nu1 = nu2 = 0 is sign descent, but for epsilon",
            simple_case(undecayed, nu1=0, nu2=0),
            w.p - w.lr * w.g / (sympy.Abs(w.g) + w.eps),
        ),
        DerivationStep(
            "without momentum, beta1 = 0, nu1 does not matter",
            diff(simple_case(undecayed, beta1=0), w.nu1),
            0,
        ),
    ]


def qhadam_weighted() -> list[DerivationStep]:
    """The averages without bias that the authors' code keeps."""
    u = symbols_of(QHADAM_WEIGHTED)
    step = QHADAM_WEIGHTED.step()
    gradients = symbols("g1:4", real=True)
    after = run(step, gradients, {"weight_decay": 0})
    total = 1 + u.beta1 + u.beta1**2
    share1, share2 = 1 / (1 + u.beta1 * u.beta1_weight), 1 / (1 + u.beta2 * u.beta2_weight)
    decay = sympy.Symbol("beta", positive=True)
    return [
        DerivationStep(
            "the weight is a geometric sum, here after three steps (the authors' code)",
            after["beta1_weight"],
            total,
        ),
        DerivationStep(
            "which is the bias of an exponential average over its newest weight: (1 - beta^3) / (1 - beta) "
            "(Kingma & Ba 2015, Section 3)",
            sympy.cancel((1 - decay**3) / (1 - decay)),
            1 + decay + decay**2,
        ),
        DerivationStep(
            "an average whose share of the new is one over the sum of the weights has no bias: its weights are "
            "beta^(t-i) over that sum, here after three steps",
            after["exp_avg"],
            (u.beta1**2 * gradients[0] + u.beta1 * gradients[1] + gradients[2]) / total,
        ),
        DerivationStep(
            "with them the step is that of qhadam, without a correction: the rule's own step at weight_decay = 0",
            simple_case(step.solved("p"), weight_decay=0),
            _step_of((1 - share1) * u.exp_avg + share1 * u.g, (1 - share2) * u.exp_avg_sq + share2 * u.g**2),
        ),
    ]
