"""Gradient descent, momentum and Nesterov's form, by changes of variable."""

from __future__ import annotations

import sympy
from sympy import Derivative, Sum, diff, symbols

from reference.derivations import DerivationStep
from reference.derivations.averages import decay, i, t
from reference.derivations.tools import run, simple_case, symbols_of
from reference.rules.sgd import GRADIENT_DESCENT, HEAVY_BALL, SGD

v = symbols_of(SGD)
# Momentum above zero: at zero the rule keeps no buffer.
mu = sympy.Symbol("mu", positive=True)
lr, p, g, b = v.lr, v.p, v.g, v.momentum_buffer


def _sgd(name: str, unset: int = 0, nesterov: bool = False, **values) -> sympy.Expr:
    """A new value of torch's SGD with momentum mu and without weight decay."""
    step = SGD.step({"nesterov": nesterov})
    values = {"momentum": mu, "weight_decay": 0, "dampening": 0} | values
    return simple_case(step.solved(name), momentum_buffer_unset=unset, **values)


def gradient_descent() -> list[DerivationStep]:
    """Gradient descent from the linear model with a price on distance."""
    x = sympy.Symbol("x", real=True)
    curvature = sympy.Symbol("h", real=True)
    positive_lr = sympy.Symbol("lr", positive=True)
    new = GRADIENT_DESCENT.step().solved("p")
    model = g * (x - p) + (x - p) ** 2 / (2 * positive_lr)
    return [
        DerivationStep(
            "the step minimises the linear model g (x - p) plus the price (x - p)^2 / (2 lr): "
            "there the derivative vanishes (Beck & Teboulle 2003, Mirror descent, Section 3)",
            Derivative(model, x).doit().subs(x, p - positive_lr * g),
            0,
        ),
        DerivationStep("that minimum is the rule's own step", new, p - lr * g),
        DerivationStep(
            "on f(p) = h p^2 / 2 it multiplies p by 1 - lr h, so it converges for 0 < lr h < 2",
            new.subs(g, diff(curvature * p**2 / 2, p)),
            (1 - lr * curvature) * p,
        ),
    ]


def heavy_ball() -> list[DerivationStep]:
    """The heavy ball from Polyak's two-step form, and its kinship with torch's SGD."""
    w = symbols_of(HEAVY_BALL)
    step = HEAVY_BALL.step()
    before, old_lr = symbols("p_before lr_old", real=True)
    velocity = step.solved("momentum_buffer")
    terminal = sympy.Symbol("v_end", real=True)
    positive = simple_case(velocity, momentum=mu)
    return [
        DerivationStep(
            "Polyak's p + momentum (p - p_before) - lr g (Polyak 1964, the method of the heavy "
            "ball), with the last displacement p - p_before as the velocity, is the rule's own "
            "step",
            simple_case(step.solved("p"), momentum_buffer=p - before),
            p + w.momentum * (p - before) - lr * g,
        ),
        DerivationStep(
            "and its velocity is the displacement of this step (Sutskever et al. 2013, equations "
            "1 and 2), which is what the next step starts from",
            velocity,
            step.solved("p") - p,
        ),
        DerivationStep(
            "a constant gradient leads to the velocity that it maintains, -lr g / (1 - momentum): "
            "momentum multiplies the rate in the long run (Goodfellow, Bengio & Courville 2016, "
            "Section 8.3.2)",
            sympy.solve(positive.subs(w.momentum_buffer, terminal) - terminal, terminal)[0],
            -lr * g / (1 - mu),
        ),
        DerivationStep(
            "1 / (1 - momentum) is the sum of the weights momentum^(t-i) that a velocity gives to "
            "its gradients, for t to infinity and momentum = 1/(1 + r) below 1",
            sympy.Limit(Sum(decay ** (t - i), (i, 1, t)).doit(), t, sympy.oo),
            1 / (1 - decay),
        ),
        DerivationStep(
            "with constant lr the change of variable velocity = -lr buffer turns it into torch's SGD",
            simple_case(step.solved("p"), momentum=mu, momentum_buffer=-lr * b),
            _sgd("p"),
        ),
        DerivationStep(
            "after an edit of lr the two differ by (lr - lr_old) momentum buffer, because the "
            "velocity carries the old rate",
            simple_case(step.solved("p"), momentum=mu, momentum_buffer=-old_lr * b) - _sgd("p"),
            (lr - old_lr) * mu * b,
        ),
        DerivationStep(
            "without momentum it is gradient descent",
            simple_case(step.solved("p"), momentum=0),
            GRADIENT_DESCENT.step().solved("p"),
        ),
    ]


def sgd() -> list[DerivationStep]:
    """torch's SGD from classical momentum and Nesterov's look-ahead (Sutskever et al. 2013)."""
    step = SGD.step()
    gradients = symbols("g1:5", real=True)
    momentum = {"momentum": mu, "weight_decay": 0}
    damped = run(step, gradients, momentum)["momentum_buffer"]
    weights = decay ** (t - 1) + (1 - decay) * Sum(decay ** (t - i), (i, 2, t))
    # Classical momentum at theta with velocity -lr b.
    velocity = mu * (-lr * b) - lr * g
    # Nesterov at the look-ahead point p = theta + mu (-lr b), where g was taken.
    theta = p - mu * (-lr * b)
    ahead = theta + velocity + mu * velocity
    return [
        DerivationStep(
            "classical momentum v <- momentum v - lr g, p <- p + v (equations 1 and 2) with "
            "v = -lr b is the rule's own step without dampening",
            p + velocity,
            _sgd("p"),
        ),
        DerivationStep(
            "and its buffer is the velocity over -lr",
            velocity / -lr,
            _sgd("momentum_buffer"),
        ),
        DerivationStep(
            "starting the buffer at the first gradient is starting it at zero, without dampening",
            _sgd("momentum_buffer", unset=1),
            _sgd("momentum_buffer", momentum_buffer=0),
        ),
        DerivationStep(
            "with dampening it is not: the first gradient keeps its whole weight momentum^(t-1), "
            "all others have (1 - dampening) momentum^(t-i), here for t = 4",
            damped,
            mu**3 * gradients[0] + (1 - v.dampening) * sum(mu ** (4 - k) * gradients[k - 1] for k in (2, 3, 4)),
        ),
        DerivationStep(
            "for dampening = momentum = 1/(1 + r) these weights sum to 1 at every t: an average without bias",
            weights,
            1,
        ),
        DerivationStep(
            "Nesterov takes the gradient at p = theta + momentum v (equations 3 and 4); followed "
            "at p itself, p moves to theta' + momentum v', which is the rule's own nesterov step",
            ahead,
            _sgd("p", nesterov=True),
        ),
        DerivationStep(
            "so against plain momentum the new gradient counts once more, ahead of its time",
            _sgd("p", nesterov=True),
            p - lr * (g + mu * (mu * b + g)),
        ),
        DerivationStep(
            "weight decay adds the gradient of (weight_decay / 2) p^2 to the gradient",
            simple_case(step.solved("p"), momentum=0),
            p - lr * (g + diff(v.weight_decay / 2 * p**2, p)),
        ),
        DerivationStep(
            "without momentum and weight decay it is gradient descent, whatever the dampening",
            simple_case(step.solved("p"), momentum=0, weight_decay=0),
            GRADIENT_DESCENT.step().solved("p"),
        ),
    ]
