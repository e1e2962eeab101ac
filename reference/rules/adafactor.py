"""Adafactor: second moments of a matrix from those of its rows and columns, and steps in proportion to the parameter."""

from __future__ import annotations

import math
from dataclasses import replace

from sympy import Max, Min, sqrt

from reference.hyperparameters import LR, MAXIMIZE, WEIGHT_DECAY
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
    new = v.t**v.beta2_decay
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
