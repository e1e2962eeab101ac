"""SGDW: decay apart from momentum."""

from __future__ import annotations

import sympy
from sympy import diff, symbols

from reference.derivations import DerivationStep
from reference.derivations.tools import run, simple_case, symbols_of
from reference.rules.sgd import SGD
from reference.rules.sgdw import SGDW, SGDW_SCHEDULED

v = symbols_of(SGDW)
w = symbols_of(SGDW_SCHEDULED)
mu = sympy.Symbol("mu", positive=True)


def sgdw() -> list[DerivationStep]:
    """Loshchilov & Hutter 2019 (arXiv:1711.05101), Algorithm 1, in torch's conventions."""
    new = SGDW.step().solved("p")
    with_momentum = simple_case(new, momentum=mu, momentum_buffer_unset=0)
    undecayed = simple_case(SGD.step().solved("p"), momentum=mu, momentum_buffer_unset=0, weight_decay=0)
    first, second = symbols("g1:3", real=True)
    plain = {"momentum": mu, "dampening": 0}
    coupled, decoupled = (run(rule.step(), [first, second], plain)["p"] for rule in (SGD, SGDW))
    shrink = 1 - v.lr * v.weight_decay
    return [
        DerivationStep(
            "decay subtracts lr weight_decay p from what SGD with momentum makes of the bare gradient: the rule's own "
            "step (Algorithm 1, line 9)",
            with_momentum,
            undecayed - v.lr * v.weight_decay * v.p,
        ),
        DerivationStep(
            "without momentum that is L2 decay: the gradient of (weight_decay / 2) p^2 is added to the gradient "
            "(Proposition 1)",
            simple_case(new, momentum=0),
            v.p - v.lr * (v.g + diff(v.weight_decay / 2 * v.p**2, v.p)),
        ),
        DerivationStep(
            "the buffer never sees the decay (Algorithm 1, lines 6 and 8)",
            diff(simple_case(SGDW.step().solved("momentum_buffer"), momentum=mu, momentum_buffer_unset=0), v.p),
            0,
        ),
        DerivationStep(
            "so after two steps the start has shrunk twice and the first gradient once",
            decoupled,
            shrink**2 * v.p - v.lr * shrink * first - v.lr * (mu * first + second),
        ),
        DerivationStep(
            "coupled decay lets momentum repeat the decay of the first step: after two steps they differ by lr "
            "momentum weight_decay p",
            decoupled - coupled,
            v.lr * mu * v.weight_decay * v.p,
        ),
    ]


def sgdw_scheduled() -> list[DerivationStep]:
    """Loshchilov & Hutter 2019 (arXiv:1711.05101), Algorithm 1 as it stands."""
    step = SGDW_SCHEDULED.step()
    velocity = w.momentum * w.momentum_buffer + w.schedule * w.lr * w.g
    torch_form = simple_case(SGDW.step().solved("p"), momentum=mu, momentum_buffer_unset=0, dampening=0)
    b = v.momentum_buffer
    return [
        DerivationStep(
            "the velocity takes in schedule lr g, and the parameter loses it and schedule weight_decay p: the rule's "
            "own step (Algorithm 1, lines 8 and 9)",
            step.solved("p"),
            w.p - velocity - w.schedule * w.weight_decay * w.p,
        ),
        DerivationStep(
            "lr has no part in the decay, so a search for one need not be repeated for the other (Section 2)",
            diff(step.solved("p"), w.p, w.lr),
            0,
        ),
        DerivationStep(
            "with constant lr and schedule the change of variable velocity = schedule lr buffer turns it into sgdw, "
            "whose weight_decay is the one here over lr",
            simple_case(step.solved("p"), momentum=mu, momentum_buffer=w.schedule * w.lr * b),
            torch_form.subs({v.lr: w.schedule * w.lr, v.weight_decay: v.weight_decay / w.lr}, simultaneous=True),
        ),
    ]
