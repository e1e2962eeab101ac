"""Reductions: what a rule may ask of a whole parameter, as sympy functions with one meaning in every lowering.

The argument of a reduction is an expression of single elements. A total is one number for the parameter; a mean over
rows or columns of a parameter with two or more dimensions is one number for each row, or column, of its last two. A
complex parameter counts as its real and imaginary parts, which are the last axis then. A parameter without elements
has the total 0 and no mean.
"""

from __future__ import annotations

import math

import sympy


class Reduction(sympy.Function):
    """Base of the functions of all elements. ``axis`` is the one that is summed over, None for all of them."""

    nargs = 1
    axis: int | None = None
    averages = False
    words = ""

    @classmethod
    def eval(cls, x):
        if x.is_zero:
            return sympy.S.Zero

    def _eval_is_real(self):
        return self.args[0].is_real

    def _eval_is_nonnegative(self):
        return self.args[0].is_nonnegative

    def _latex(self, printer, exp=None):
        text = rf"\operatorname{{{self.words}}}\left({printer.doprint(self.args[0])}\right)"
        return text if exp is None else rf"{{{text}}}^{{{exp}}}"


class Total(Reduction):
    """The sum over all elements."""

    words = "total"


class Mean(Reduction):
    """The mean of all elements."""

    averages = True
    words = "mean"


class RowMean(Reduction):
    """The mean of each row: over the last axis, which is kept."""

    axis = -1
    averages = True
    words = "row mean"


class ColumnMean(Reduction):
    """The mean of each column: over the last axis but one, which is kept."""

    axis = -2
    averages = True
    words = "column mean"


class RowTotal(Reduction):
    """The sum of each row: over the last axis, which is kept."""

    axis = -1
    words = "row total"


class ColumnTotal(Reduction):
    """The sum of each column: over the last axis but one, which is kept."""

    axis = -2
    words = "column total"


def norm(x: sympy.Expr) -> sympy.Expr:
    """The Euclidean norm of the tensor."""
    return sympy.sqrt(Total(x**2))


def rms(x: sympy.Expr) -> sympy.Expr:
    """The root of the mean square of the elements."""
    return sympy.sqrt(Mean(x**2))


def count(shape: tuple[int, ...], axis: int | None) -> int:
    """How many elements one sum takes in, in a tensor of this shape."""
    return math.prod(shape) if axis is None else shape[axis]


def summed(xp, x, shape: tuple[int, ...], axis: int | None):
    """The sums of a flat array, as often as the array needs them: once, or at every element that went in.

    Args:
        xp: numpy, or a namespace like it.
        x: one number for each element of a tensor, or one for all of them.
        shape: of the tensor.
    """
    flat = xp.broadcast_to(x, (math.prod(shape),))
    if axis is None:
        return xp.sum(flat)
    grid = flat.reshape(shape)
    return xp.broadcast_to(xp.sum(grid, axis=axis, keepdims=True), shape).reshape(-1)
