"""Adafactor: the factors that are nearest to a matrix of second moments, and a decay without bias."""

from __future__ import annotations

import sympy
from sympy import Max, Min, Rational, Symbol, log, sqrt

from reference.derivations import DerivationStep
from reference.derivations.tools import on_elements, run, simple_case, symbols_of
from reference.reductions import ColumnMean, RowMean, rms
from reference.rules.adafactor import ADAFACTOR, ADAFACTOR_PAPER

ROWS, COLUMNS = 2, 3
# what is to be approximated
V = sympy.Matrix(ROWS, COLUMNS, lambda i, j: Symbol(f"v_{i}{j}", positive=True))
U = Symbol("u", real=True)


def _sums() -> tuple[list[sympy.Expr], list[sympy.Expr], sympy.Expr]:
    rows = [sum(V[i, j] for j in range(COLUMNS)) for i in range(ROWS)]
    columns = [sum(V[i, j] for i in range(ROWS)) for j in range(COLUMNS)]
    return rows, columns, sum(rows)


def _divergence(rows, columns) -> sympy.Expr:
    """The generalized Kullback-Leibler divergence of V from an outer product (Lee & Seung 1999)."""
    return sum(
        V[i, j] * log(V[i, j] / (rows[i] * columns[j])) - V[i, j] + rows[i] * columns[j]
        for i in range(ROWS)
        for j in range(COLUMNS)
    )


def factors() -> list[DerivationStep]:
    """Shazeer & Stern 2018, Section 3: rows and columns that minimise the divergence."""
    rows, columns, total = _sums()
    r = [Symbol(f"r_{i}", positive=True) for i in range(ROWS)]
    c = [Symbol(f"c_{j}", positive=True) for j in range(COLUMNS)]
    divergence = _divergence(r, c)
    nearest = dict(zip(r, rows, strict=True)) | {c[j]: columns[j] / total for j in range(COLUMNS)}
    return [
        *(
            DerivationStep(
                f"the divergence of V from an outer product has no slope in {x} where the row factors are the sums of "
                "rows and the column factors those of columns over that of all (Lemma 1; here of a 2 x 3 matrix)",
                sympy.diff(divergence, x).subs(nearest, simultaneous=True),
                0,
            )
            for x in (r[0], c[0])
        ),
        DerivationStep(
            "it is convex in the logarithms of the factors, so that this is where it is least: each term is a linear "
            "function and an exponential, here of the logarithm s of r c",
            sympy.diff(V[0, 0] * (log(V[0, 0]) - Symbol("s")) - V[0, 0] + sympy.exp(Symbol("s")), Symbol("s"), 2),
            sympy.exp(Symbol("s")),
        ),
        DerivationStep(
            "what is an outer product already is kept as it is",
            (rows[0] * columns[0] / total).subs({V[i, j]: r[i] * c[j] for i in range(ROWS) for j in range(COLUMNS)}),
            r[0] * c[0],
        ),
        DerivationStep(
            "with means in the place of sums it is the product of both over the mean of the rows",
            (rows[0] / COLUMNS) * (columns[0] / ROWS) / (total / (ROWS * COLUMNS)),
            rows[0] * columns[0] / total,
        ),
    ]


def _averages(rule, name: str) -> list[DerivationStep]:
    v = symbols_of(rule)
    weight = v.t**v.beta2_decay
    step = rule.step({"factored": False})
    plain = {h.name: 0 for h in rule.hyperparameters if h.name == "eps1"}
    first = run(step, [1, 1, 1], plain | {"beta2_decay": Rational(-1, 2)})[name]
    return [
        DerivationStep(
            "the decay of the second moment rises as 1 - t^c with a negative exponent c (Section 7.1)",
            simple_case(step.solved(name), eps1=0),
            (1 - weight) * getattr(v, name) + weight * v.g**2,
        ),
        DerivationStep(
            "so the first step forgets the zero that it starts from, and the weights add up to one at every step, "
            "here the third with c = -1/2: there is no bias to correct",
            first,
            1,
        ),
    ]


def _clipping(d: sympy.Expr) -> list[DerivationStep]:
    """Section 6: updates that are longer than usual are cut to length."""
    clipped = U / Max(1, rms(U) / d)
    long = {Symbol("u_0", real=True): 4 * d, Symbol("u_1", real=True): 4 * d}
    return [
        DerivationStep(
            "an update whose root mean square is above the threshold is cut to that (Section 6), here two equal "
            "elements of four times the threshold",
            on_elements(clipped, 2, U).subs(long),
            d,
        ),
        DerivationStep(
            "and one below it stays as it is, here at a quarter of it",
            on_elements(clipped, 2, U).subs({x: y / 16 for x, y in long.items()}),
            d / 4,
        ),
    ]


def adafactor() -> list[DerivationStep]:
    """Shazeer & Stern 2018 (arXiv:1804.04235), with the floors that torch has."""
    v = symbols_of(ADAFACTOR)
    step = ADAFACTOR.step()
    weight = v.t**v.beta2_decay
    rows = (1 - weight) * v.row_var + weight * RowMean(v.g**2)
    columns = (1 - weight) * v.col_var + weight * ColumnMean(v.g**2)
    u = v.g / sqrt(Max(rows * columns / Max(ColumnMean(rows), v.eps1), v.eps1**2))
    size = Max(v.eps2, rms(v.p)) * Min(v.lr, 1 / sqrt(v.t))
    return [
        *factors(),
        *_averages(ADAFACTOR, "variance"),
        *_clipping(Symbol("d", positive=True)),
        DerivationStep(
            "Algorithm 4: the step is the clipped update times the relative step size, in proportion to the "
            "parameter; the decay is decoupled",
            step.solved("p"),
            v.p - v.lr * v.weight_decay * v.p - size * u / Max(1, rms(u) / v.d),
        ),
        DerivationStep(
            "Algorithm 5: a vector has its own second moments",
            ADAFACTOR.step({"factored": False}).solved("variance"),
            (1 - weight) * v.variance + weight * v.g**2,
        ),
    ]


def adafactor_paper() -> list[DerivationStep]:
    """Shazeer & Stern 2018 (arXiv:1804.04235), Algorithms 4 and 5."""
    v = symbols_of(ADAFACTOR_PAPER)
    step = ADAFACTOR_PAPER.step()
    weight = v.t**v.beta2_decay
    square = v.g**2 + v.eps1
    rows = (1 - weight) * v.exp_avg_sq_row + weight * RowMean(square)
    columns = (1 - weight) * v.exp_avg_sq_col + weight * ColumnMean(square)
    u = v.g / sqrt(rows * columns / ColumnMean(rows))
    size = Max(v.eps2, rms(v.p)) * Min(Rational(1, 100), 1 / sqrt(v.t))
    return [
        *factors(),
        *_averages(ADAFACTOR_PAPER, "exp_avg_sq"),
        *_clipping(Symbol("d", positive=True)),
        DerivationStep(
            "Algorithm 4, without momentum and decay: the step is the clipped update times the relative step size, in "
            "proportion to the parameter",
            simple_case(step.solved("p"), beta1=0, weight_decay=0),
            v.p - size * u / Max(1, rms(u) / v.d),
        ),
    ]
