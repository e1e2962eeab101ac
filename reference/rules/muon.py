"""Muon: the step is a matrix whose singular values have all been brought near one."""

from math import inf

from sympy import Max, Rational, sqrt

from reference.hyperparameters import LR
from reference.matrices import OddPolynomial
from reference.reductions import norm
from reference.rule import Hyperparameter, Option, Options, StateVariable, UpdateRule, Variables

# Trials are coefficients under which singular values come together, and rounding errors with them; with the usual
# ones they are spread out, and what bfloat16 rounds away hides much.
COEFFICIENTS = (
    Hyperparameter("a", 3.4445, low=-inf, arguments=("ns_coefficients[0]", "a"), trials=(1.5, 1.0, 3.4445, 2.0)),
    Hyperparameter("b", -4.775, low=-inf, arguments=("ns_coefficients[1]", "b"), trials=(-0.5, -1.25, 0.0, -4.775)),
    Hyperparameter("c", 2.0315, low=-inf, arguments=("ns_coefficients[2]", "c"), trials=(0.25, -1.0, 0.0, 2.0315)),
)
STEPS = Hyperparameter("steps", 5, high=100, integer=True, arguments=("ns_steps", "steps"), trials=(1, 2, 0, 5))
NESTEROV = Option(
    "nesterov", default=True, about="step along the average as it will be if the next gradient is the same"
)
MATCH_RMS_ADAMW = Option(
    "match_rms_adamw",
    arguments=("adjust_lr_fn",),
    values=("original", "match_rms_adamw"),
    about="scale the step to the root mean square of Adam's steps, and not by the shape alone",
)


def muon_equations(v: Variables, options: Options) -> None:
    m = v.let("momentum_buffer", v.momentum * v.momentum_buffer + (1 - v.momentum) * v.g)
    update = v.let("update", v.momentum * m + (1 - v.momentum) * v.g if options.nesterov else m)
    direction = v.let("direction", OddPolynomial(update / Max(norm(update), v.eps), v.a, v.b, v.c, v.steps))
    adjusted = (
        Rational(1, 5) * sqrt(Max(v.rows, v.columns)) if options.match_rms_adamw else sqrt(Max(1, v.rows / v.columns))
    )
    v.let("p", v.p - v.lr * v.weight_decay * v.p - v.lr * adjusted * direction)


MUON = UpdateRule(
    name="muon",
    title="Muon: momentum whose singular values are brought near one",
    source="Jordan et al. 2024 (Muon: An optimizer for hidden layers in neural networks)",
    equations=muon_equations,
    hyperparameters=(
        LR,
        Hyperparameter("weight_decay", 0.1, absent=0.0, trials=(0.5, 0.0, 0.1, 1.0)),
        Hyperparameter("momentum", 0.95, high=1.0, trials=(0.75, 0.95, 0.0, 0.5)),
        *COEFFICIENTS,
        Hyperparameter("eps", 1e-7, trials=(0.5, 2.0, 1e-7)),
        STEPS,
    ),
    state=(StateVariable("momentum_buffer"),),
    options=(NESTEROV, MATCH_RMS_ADAMW),
    torch=("torch.optim.Muon",),
    dimensions=2,
    notes=(
        "torch's documentation has the sum momentum * momentum_buffer + g; its code, as the authors', has the average",
        "the norm divides what it is not below eps, where the authors' code adds eps to it",
        "a matrix with more rows than columns may be transposed first, which changes nothing but the cost",
    ),
)
