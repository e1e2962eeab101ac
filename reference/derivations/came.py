"""CAME: how far the momentum is from the updates that it averages, and factors for that."""

from __future__ import annotations

from sympy import Max, Symbol, sqrt

from reference.derivations import DerivationStep
from reference.derivations.adafactor import factors
from reference.derivations.averages import unrolled
from reference.derivations.tools import simple_case, symbols_of
from reference.reductions import ColumnMean, RowMean, rms
from reference.rules.came import CAME

v = symbols_of(CAME)


def _estimate(rows, columns):
    return rows * columns / ColumnMean(rows)


def came() -> list[DerivationStep]:
    """Luo et al. 2023 (arXiv:2307.02047), Algorithm 2."""
    step = CAME.step()
    x, m = Symbol("x", real=True), Symbol("m", real=True)
    square = v.g**2 + v.eps1
    rows = v.beta2 * v.exp_avg_sq_row + (1 - v.beta2) * RowMean(square)
    columns = v.beta2 * v.exp_avg_sq_col + (1 - v.beta2) * ColumnMean(square)
    u = v.g / sqrt(_estimate(rows, columns))
    clipped = u / Max(1, rms(u) / v.clip_threshold)
    momentum = v.beta1 * v.exp_avg + (1 - v.beta1) * clipped
    surprise = (clipped - momentum) ** 2 + v.eps2
    own_rows = v.beta3 * v.exp_avg_res_row + (1 - v.beta3) * RowMean(surprise)
    own_columns = v.beta3 * v.exp_avg_res_col + (1 - v.beta3) * ColumnMean(surprise)
    vector = CAME.step({"factored": False})
    return [
        unrolled("Kingma & Ba 2015, Section 3, equation 1"),
        *factors(),
        DerivationStep(
            "the distance of an update from the new average is beta1 times that from the old one (Section 3.2)",
            x - (v.beta1 * m + (1 - v.beta1) * x),
            v.beta1 * (x - m),
        ),
        DerivationStep(
            "the instability is the square of that distance, known by its rows and columns",
            step.solved("exp_avg_res_row"),
            own_rows,
        ),
        DerivationStep(
            "Algorithm 2: the momentum is divided by the root of the instability, as the gradient is by that of the "
            "second moment",
            simple_case(step.solved("p"), weight_decay=0),
            v.p - v.lr * momentum / sqrt(_estimate(own_rows, own_columns)),
        ),
        DerivationStep(
            "a vector moves along its momentum",
            vector.solved("p"),
            v.p - v.lr * v.weight_decay * v.p - v.lr * vector.solved("exp_avg"),
        ),
    ]
