"""Adafactor: second moments of a matrix from those of its rows and columns, and steps in proportion to the parameter."""

from __future__ import annotations

import math
from dataclasses import replace

import sympy
from sympy import Max, Min, Rational, sqrt

from reference.hyperparameters import BETA1, LR, MAXIMIZE, WEIGHT_DECAY
from reference.reductions import ColumnMean, RowMean, rms
from reference.rule import Hyperparameter, Option, Options, StateVariable, UpdateRule, Variables
from reference.rules.common import uphill_or_down

BETA2_DECAY = Hyperparameter(
    "beta2_decay",
    -0.8,
    low=-math.inf,
    high=0.0,
    high_closed=True,
    arguments=("beta2_decay", "decay_rate"),
    trials=(-0.8, -0.5, -1.0, -0.25, -2.0),
)
EPS1 = Hyperparameter("eps1", 1e-30, arguments=("eps[0]", "eps1"), trials=(1e-3, 0.1, 1e-8, 1e-30))
EPS2 = Hyperparameter("eps2", 1e-3, arguments=("eps[1]", "eps2"), trials=(1e-3, 0.5, 0.0625, 0.0))
THRESHOLD = Hyperparameter("d", 1.0, low=1.0, arguments=("d", "clip_threshold"), trials=(1.0, 1.5, 3.0))
FACTORED = Option(
    "factored", default=True, about="two or more dimensions: the last two are factored", of_shape=lambda s: len(s) > 1
)
EPS1_OF_DTYPE = Option(
    "eps1_of_dtype",
    arguments=("eps[0]", "eps1"),
    about="eps1 is the machine epsilon of the parameter's dtype",
    as_none=True,
)
STATE = (
    StateVariable("row_var", common="rows", nonnegative=True, option="factored"),
    StateVariable("col_var", common="columns", nonnegative=True, option="factored"),
    StateVariable("variance", nonnegative=True, unless="factored"),
)


def adafactor_equations(v: Variables, options: Options) -> None:
    eps1 = v.machine_epsilon if options.eps1_of_dtype else v.eps1
    g = uphill_or_down(v, options)
    size = v.let("step_size", Max(v.eps2, rms(v.p)) * Min(v.lr, 1 / sqrt(v.t)))
    new = v.let("weight", v.t**v.beta2_decay)
    if options.factored:
        rows = v.let("row_var", (1 - new) * v.row_var + new * RowMean(g**2))
        columns = v.let("col_var", (1 - new) * v.col_var + new * ColumnMean(g**2))
        product = v.let("product", rows * columns)
        variance = v.let("variance_estimate", product / Max(ColumnMean(rows), eps1))
    else:
        variance = v.let("variance", (1 - new) * v.variance + new * g**2)
    update = v.let("update", g / sqrt(Max(variance, eps1**2)))
    v.let("p", v.p - v.lr * v.weight_decay * v.p - size * update / Max(1, rms(update) / v.d))


ADAFACTOR = UpdateRule(
    name="adafactor",
    title="Adafactor: second moments of a matrix from those of its rows and columns, steps in proportion to it",
    source="Shazeer & Stern 2018, Algorithms 4 and 5 (arXiv:1804.04235), as torch has them",
    equations=adafactor_equations,
    hyperparameters=(replace(LR, default=1e-2), BETA2_DECAY, EPS1, EPS2, THRESHOLD, WEIGHT_DECAY),
    state=STATE,
    options=(EPS1_OF_DTYPE, FACTORED, MAXIMIZE),
    torch=("torch.optim.Adafactor",),
    notes=(
        "eps1 is a floor of the mean of the rows, and its square one of the second moment; the paper adds it to the "
        "squared gradient",
        "the root mean square is that of the parameter before it decays",
        "lr stands for the 0.01 of the paper's relative step size min(0.01, 1 / sqrt(t))",
    ),
)

SCALE_PARAMETER = Option(
    "scale_parameter", default=True, arguments=("scale_parameter",), about="steps in proportion to the parameter"
)
RELATIVE_STEP = Option(
    "relative_step", default=True, arguments=("relative_step",), about="the paper's step size in the place of lr"
)


def factored_average(v: Variables, names: tuple[str, str], new: sympy.Expr, x: sympy.Expr) -> sympy.Expr:
    """The average of ``x`` over all steps, known by its rows and columns alone; ``new`` is the weight of this step."""
    row, column = (getattr(v, name) for name in names)
    rows = v.let(names[0], (1 - new) * row + new * RowMean(x))
    columns = v.let(names[1], (1 - new) * column + new * ColumnMean(x))
    return rows / ColumnMean(rows) * columns


def adafactor_paper_equations(v: Variables, options: Options) -> None:
    g = uphill_or_down(v, options)
    rate = v.lr
    if options.relative_step:
        rate = Min(Rational(1, 100), 1 / sqrt(v.t))
    size = v.let("step_size", Max(v.eps2, rms(v.p)) * rate if options.scale_parameter else rate)
    new, square = v.let("weight", v.t**v.beta2_decay), v.let("square", g**2 + v.eps1)
    if options.factored:
        variance = factored_average(v, ("exp_avg_sq_row", "exp_avg_sq_col"), new, square)
    else:
        variance = v.let("exp_avg_sq", (1 - new) * v.exp_avg_sq + new * square)
    update = v.let("update", g / sqrt(v.let("variance", variance)))
    moved = size * update / Max(1, rms(update) / v.d)
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * moved)
    v.let("p", v.p - size * v.weight_decay * v.p - m)


ADAFACTOR_PAPER = UpdateRule(
    name="adafactor_paper",
    title="Adafactor as its paper has it, with the momentum and the decay that its users have added",
    source="Shazeer & Stern 2018, Algorithms 4 and 5 (arXiv:1804.04235), and the code of fairseq and transformers",
    equations=adafactor_paper_equations,
    hyperparameters=(
        replace(LR, default=1e-2),
        replace(BETA1, default=0.0, absent=0.0, arguments=("beta1", "betas[0]")),
        BETA2_DECAY,
        replace(EPS1, trials=(0.1, 1e-3, 1e-8, 1e-30)),
        EPS2,
        replace(THRESHOLD, low=0.0, low_open=True, arguments=("clip_threshold", "d"), trials=(1.0, 0.5, 2.0)),
        WEIGHT_DECAY,
    ),
    state=(
        StateVariable("exp_avg_sq_row", common="rows", nonnegative=True, option="factored"),
        StateVariable("exp_avg_sq_col", common="columns", nonnegative=True, option="factored"),
        StateVariable("exp_avg_sq", nonnegative=True, unless="factored"),
        StateVariable("exp_avg"),
    ),
    options=(SCALE_PARAMETER, RELATIVE_STEP, FACTORED, MAXIMIZE),
    notes=(
        "lr counts only without relative_step; the paper knows no other step size than the relative one",
        "the paper has neither momentum nor decay; in the code the momentum is that of whole steps, and the decay is "
        "scaled as they are",
    ),
)
