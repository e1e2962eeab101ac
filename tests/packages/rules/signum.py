"""Signum with a switch: without momentum it is signSGD and remembers nothing."""

from sympy import Eq, Piecewise

from reference import Hyperparameter, Option, StateVariable, UpdateRule, sign


def equations(v, options):
    g = -v.g if options.maximize else v.g
    p = v.p - v.lr * v.weight_decay * v.p
    if not options.decoupled_weight_decay:
        p, g = v.p, v.let("gradient", g + v.weight_decay * v.p)
    off = Eq(v.momentum, 0)
    average = v.momentum * v.momentum_buffer + (1 - v.momentum) * g
    m = v.let("momentum_buffer", Piecewise((v.momentum_buffer, off), (average, True)))
    v.let("p", p - v.lr * sign(v.let("direction", Piecewise((g, off), (m, True)))))


SIGNUM = UpdateRule(
    name="signum_or_signsgd",
    title="Signum, which is signSGD while momentum is zero",
    source="Bernstein et al. 2018, Algorithms 1 and 2 (arXiv:1802.04434)",
    equations=equations,
    hyperparameters=(
        Hyperparameter("lr", 1e-3, trials=(0.5, 1.0, 0.1)),
        Hyperparameter("momentum", 0.9, high=1.0, trials=(0.5, 0.9, 0.0)),
        Hyperparameter("weight_decay", 0.0, absent=0.0, trials=(0.5, 0.0)),
    ),
    state=(StateVariable("momentum_buffer", needs="momentum"),),
    options=(Option("decoupled_weight_decay", default=True), Option("maximize")),
)
