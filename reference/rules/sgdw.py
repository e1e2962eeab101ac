"""SGDW: momentum that weight decay does not enter."""

from sympy import Eq, Piecewise

from reference.hyperparameters import LR, MAXIMIZE, MOMENTUM, WEIGHT_DECAY
from reference.rule import Hyperparameter, Options, StateVariable, UpdateRule, Variables
from reference.rules.common import uphill_or_down
from reference.rules.sgd import DAMPENING, NESTEROV, nesterov_is_undamped

SCHEDULE = Hyperparameter("schedule", 1.0, absent=1.0, arguments=("schedule", "eta"), trials=(0.5, 1.0, 0.1, 2.0))


def sgdw_equations(v: Variables, options: Options) -> None:
    g = uphill_or_down(v, options)
    no_momentum = Eq(v.momentum, 0)
    b = v.let(
        "momentum_buffer",
        Piecewise(
            (v.momentum_buffer, no_momentum),
            (g, v.unset("momentum_buffer")),
            (v.momentum * v.momentum_buffer + (1 - v.dampening) * g, True),
        ),
    )
    shrunk = v.p - v.lr * v.weight_decay * v.p
    if options.nesterov:
        v.let("p", shrunk - v.lr * (g + v.momentum * b))
    else:
        v.let("p", shrunk - v.lr * Piecewise((g, no_momentum), (b, True)))


def sgdw_scheduled_equations(v: Variables, options: Options) -> None:
    g = uphill_or_down(v, options)
    m = v.let("momentum_buffer", v.momentum * v.momentum_buffer + v.schedule * v.lr * g)
    v.let("p", v.p - v.schedule * v.weight_decay * v.p - m)


SGDW = UpdateRule(
    name="sgdw",
    title="SGDW: momentum, and weight decay that shrinks the parameter itself, in torch's conventions",
    source="Loshchilov & Hutter 2019, Algorithm 1 (arXiv:1711.05101)",
    equations=sgdw_equations,
    hyperparameters=(LR, MOMENTUM, DAMPENING, WEIGHT_DECAY),
    state=(StateVariable("momentum_buffer", needs="momentum", unset_at_first=True),),
    options=(NESTEROV, MAXIMIZE),
    constraint=nesterov_is_undamped,
    notes=(
        "the decay is lr * weight_decay * p; in Algorithm 1 the schedule multiplies it and lr does not: sgdw_scheduled",
        "lr multiplies the buffer and is not inside it, and the first buffer is the gradient, as in torch.optim.SGD",
    ),
)

SGDW_SCHEDULED = UpdateRule(
    name="sgdw_scheduled",
    title="SGDW as its paper has it: lr inside the momentum, and a schedule on both momentum and decay",
    source="Loshchilov & Hutter 2019, Algorithm 1, lines 7 to 9 (arXiv:1711.05101)",
    equations=sgdw_scheduled_equations,
    hyperparameters=(LR, SCHEDULE, MOMENTUM, WEIGHT_DECAY),
    state=(StateVariable("momentum_buffer", keys=("momentum_buffer", "velocity")),),
    options=(MAXIMIZE,),
    notes=(
        "the decay is schedule * weight_decay * p, whatever lr is",
        "the velocity starts at zero and carries lr and schedule: an edit of either acts on new gradients only",
    ),
)
