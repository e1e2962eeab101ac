"""Functions of a whole matrix, as sympy functions with one meaning in every lowering.

The first argument is an expression of single elements: the matrix of its last two axes, with rows and columns as the
parameter has them. The others are numbers. Like a reduction (reference.reductions) such a function has a value at
every element of the parameter.

What stands in the first argument is computed in the precision in which the subject computes functions of matrices,
which may be coarser than that of the parameter: it is rounded to it when it enters. Functions of this kind are lowered
by reference.lowering.spectral, and evaluated in ball arithmetic by reference.lowering.tensor_ball.
"""

from __future__ import annotations

import sympy

# the parameter's own numbers of rows and columns, which equations may use where its shape has two dimensions
ROWS = sympy.Symbol("rows", integer=True, positive=True)
COLUMNS = sympy.Symbol("columns", integer=True, positive=True)

# of a polynomial; more is no optimizer
MOST_ITERATIONS = 1000


class MatrixFunction(sympy.Function):
    """Base of the functions of a whole matrix."""

    def _eval_is_real(self):
        return self.args[0].is_real


class OddPolynomial(MatrixFunction):
    """p(p(... p(X))), with p(X) = a X + b (X X^T) X + c (X X^T)^2 X, taken so many times.

    With X = U diag(s) V^T it is U diag(p(... p(s))) V^T: the polynomial a s + b s^3 + c s^5 acts on singular values
    (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; reference.derivations.muon).

    ``OddPolynomial(X, a, b, c, steps)``; it is real, and X where there are no steps.
    """

    nargs = 5

    @classmethod
    def eval(cls, x, a, b, c, steps):
        if x.is_zero or steps.is_zero:
            return x

    def _latex(self, printer, exp=None):
        x, a, b, c, steps = map(printer.doprint, self.args)
        text = rf"\operatorname{{p}}_{{{a}, {b}, {c}}}^{{({steps})}}\left({x}\right)"
        return text if exp is None else rf"{{{text}}}^{{{exp}}}"


def singular_values_after(s, a, b, c, steps: int):
    """What the polynomial makes of singular values; floats, arrays, balls or symbols."""
    for _ in range(steps):
        square = s * s
        s = s * (a + square * (b + square * c))
    return s
