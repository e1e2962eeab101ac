"""Gradient descent, torch's SGD with momentum, and the heavy ball."""

from dataclasses import replace

from sympy import Eq, Piecewise

from reference.hyperparameters import LR, MAXIMIZE, MOMENTUM, WEIGHT_DECAY
from reference.rule import Hyperparameter, Option, Options, StateVariable, UpdateRule, Variables
from reference.rules.common import decayed_gradient, uphill_or_down

# At 1 the buffer would never see another gradient; beyond, gradients would count backwards.
DAMPENING = Hyperparameter("dampening", 0.0, high=1.0, absent=0.0, trials=(0.5, 0.0, 0.25, 0.9))
NESTEROV = Option("nesterov", about="take the gradient where the momentum is about to carry the parameter")


def gradient_descent_equations(v: Variables, options: Options) -> None:
    v.let("p", v.p - v.lr * uphill_or_down(v, options))


def sgd_equations(v: Variables, options: Options) -> None:
    g = decayed_gradient(v, options)
    no_momentum = Eq(v.momentum, 0)
    b = v.let(
        "momentum_buffer",
        Piecewise(
            (v.momentum_buffer, no_momentum),
            (g, v.unset("momentum_buffer")),
            (v.momentum * v.momentum_buffer + (1 - v.dampening) * g, True),
        ),
    )
    if options.nesterov:
        v.let("p", v.p - v.lr * (g + v.momentum * b))
    else:
        v.let("p", v.p - v.lr * Piecewise((g, no_momentum), (b, True)))


def nesterov_is_undamped(values, options) -> bool:
    """What torch's constructor demands."""
    return not options["nesterov"] or (values["momentum"] > 0 and values["dampening"] == 0)


def heavy_ball_equations(v: Variables, options: Options) -> None:
    velocity = v.let("momentum_buffer", v.momentum * v.momentum_buffer - v.lr * v.g)
    v.let("p", v.p + velocity)


GRADIENT_DESCENT = UpdateRule(
    name="gradient_descent",
    title="Gradient descent: a step against the gradient",
    source="Cauchy 1847, Methode generale pour la resolution des systemes d'equations simultanees",
    equations=gradient_descent_equations,
    hyperparameters=(LR,),
    options=(MAXIMIZE,),
    notes=("torch.optim.SGD is this rule as long as momentum and weight_decay are zero",),
)

SGD = UpdateRule(
    name="sgd",
    title="Stochastic gradient descent with momentum, as torch defines it",
    source="Sutskever et al. 2013, On the importance of initialization and momentum, equations 1 to 4",
    equations=sgd_equations,
    hyperparameters=(LR, MOMENTUM, DAMPENING, WEIGHT_DECAY),
    state=(StateVariable("momentum_buffer", needs="momentum", unset_at_first=True),),
    options=(NESTEROV, MAXIMIZE),
    constraint=nesterov_is_undamped,
    torch=("torch.optim.SGD",),
    notes=(
        "the buffer sums gradients and lr multiplies it afterwards; in the paper lr is inside the "
        "velocity, which is the same only while lr stays",
        "the first buffer is the decayed gradient itself, without dampening",
        "momentum = 0 switches the buffer off, and dampening with it; a buffer from before is kept",
        "nesterov is the look-ahead form with the look-ahead point as the parameter",
        "nesterov needs momentum > 0 and dampening = 0",
    ),
)

HEAVY_BALL = UpdateRule(
    name="heavy_ball",
    title="Heavy ball: classical momentum with lr inside the velocity",
    source="Polyak 1964; Sutskever et al. 2013, equations 1 and 2",
    equations=heavy_ball_equations,
    hyperparameters=(LR, replace(MOMENTUM, default=0.9)),
    state=(StateVariable("momentum_buffer", keys=("momentum_buffer", "velocity")),),
    notes=(
        "the velocity starts at zero and carries lr: an edit of lr acts on new gradients only",
        "with constant lr it equals torch.optim.SGD with the same momentum",
    ),
)
