"""SGDW: momentum that weight decay does not enter."""

from sympy import Eq, Piecewise

from reference import Hyperparameter, Option, StateVariable, UpdateRule


def equations(v, options):
    g = -v.g if options.maximize else v.g
    off = Eq(v.momentum, 0)
    m = v.let(
        "momentum_buffer",
        Piecewise(
            (v.momentum_buffer, off),
            (g, v.unset("momentum_buffer")),
            (v.momentum * v.momentum_buffer + (1 - v.dampening) * g, True),
        ),
    )
    shrunk = v.p - v.lr * v.weight_decay * v.p
    if options.nesterov:
        v.let("p", shrunk - v.lr * (g + v.momentum * m))
    else:
        v.let("p", shrunk - v.lr * Piecewise((g, off), (m, True)))


SGDW = UpdateRule(
    name="sgdw",
    title="SGDW: momentum, and weight decay that shrinks the parameter itself",
    source="Loshchilov & Hutter 2019, Algorithm 1 (arXiv:1711.05101)",
    equations=equations,
    hyperparameters=(
        Hyperparameter("lr", 1e-3, trials=(1.0, 0.5, 0.1)),
        Hyperparameter("momentum", 0.0, high=1.0, absent=0.0, trials=(0.9, 0.5, 0.0)),
        Hyperparameter("dampening", 0.0, high=1.0, absent=0.0, trials=(0.5, 0.0)),
        Hyperparameter("weight_decay", 0.0, absent=0.0, trials=(0.5, 0.0, 0.1)),
    ),
    state=(StateVariable("momentum_buffer", needs="momentum", unset_at_first=True),),
    options=(Option("nesterov"), Option("maximize")),
    constraint=lambda values, options: not options["nesterov"] or (values["momentum"] > 0 and values["dampening"] == 0),
    notes=(
        "the decay is lr * weight_decay * p, with the paper's schedule multiplier inside lr",
        "lr multiplies the buffer and is not inside it, and the first buffer is the gradient: torch's conventions",
    ),
)
