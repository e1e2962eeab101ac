"""MADGRAD: dual averaging with the cube root of squared gradients, and momentum by averaging iterates."""

from dataclasses import replace

from sympy import Eq, Or, Piecewise, Rational, sqrt

from reference.hyperparameters import EPS, LR, MAXIMIZE, MOMENTUM, WEIGHT_DECAY
from reference.rule import Options, StateVariable, UpdateRule, Variables
from reference.rules.adam import DECOUPLED
from reference.rules.common import uphill_or_down


def _averaged(v: Variables, options: Options, lr) -> None:
    g = uphill_or_down(v, options)
    if not options.decoupled_weight_decay:
        g = v.let("gradient", g + v.weight_decay * v.p)
    no_momentum = Eq(v.momentum, 0)
    before = v.let("root_before", v.grad_sum_sq ** Rational(1, 3) + v.eps)
    recovered = v.p + v.s / before
    not_kept = Or(no_momentum, v.unset("x0"))
    origin = v.let("origin", Piecewise((v.p, Eq(v.t, 1)), (recovered, not_kept), (v.x0, True)))
    weight = v.let("weight", lr * sqrt(v.t))
    s = v.let("s", v.s + weight * g)
    squares = v.let("grad_sum_sq", v.grad_sum_sq + weight * g**2)
    v.let("x0", Piecewise((v.x0, no_momentum), (origin, True)))
    z = v.let("z", origin - s / (squares ** Rational(1, 3) + v.eps))
    p = v.let("moved", v.momentum * v.p + (1 - v.momentum) * z)
    v.let("p", p - lr * v.weight_decay * v.p if options.decoupled_weight_decay else p)


def madgrad_equations(v: Variables, options: Options) -> None:
    _averaged(v, options, v.lr)


def madgrad_shifted_equations(v: Variables, options: Options) -> None:
    _averaged(v, options, v.let("shifted_lr", v.lr + v.eps))


MADGRAD = UpdateRule(
    name="madgrad",
    title="MADGRAD: the weighted sum of all gradients over the cube root of that of their squares, from the start",
    source="Defazio & Jelassi 2021, Adaptivity without Compromise, Algorithm 1 (arXiv:2101.11075)",
    equations=madgrad_equations,
    hyperparameters=(
        replace(LR, default=1e-2),
        replace(MOMENTUM, default=0.9, high=1.0, trials=(0.5, 0.9, 0.0)),
        replace(EPS, default=1e-6),
        WEIGHT_DECAY,
    ),
    state=(
        StateVariable("s"),
        StateVariable("grad_sum_sq", nonnegative=True),
        StateVariable("x0", needs="momentum", unset_at_first=True),
    ),
    options=(DECOUPLED, MAXIMIZE),
    notes=(
        "momentum is the paper's 1 - c: the weight of the iterate before",
        "without momentum the starting point is not kept: it is the parameter plus the step that led to it",
        "the authors' code adds epsilon to lr: madgrad_shifted",
    ),
)

MADGRAD_SHIFTED = replace(
    MADGRAD,
    name="madgrad_shifted",
    title="MADGRAD as its authors' code has it: epsilon is added to the learning rate too",
    source="Defazio & Jelassi 2021, Algorithm 1 (arXiv:2101.11075), and the authors' code, madgrad 1.2",
    equations=madgrad_shifted_equations,
    notes=("epsilon is added to lr as well as to the cube root, so a step with lr = 0 still moves",),
    _steps={},
)
