"""Reductions: what a rule may ask of a whole parameter, as sympy functions with one meaning in every lowering.

The argument of a reduction is an expression of single elements. A total is one number for the parameter; a mean over
rows or columns of a parameter with two or more dimensions is one number for each row, or column, of its last two. A
complex parameter counts as its real and imaginary parts, which are the last axis then. A parameter without elements
has the total 0 and no mean.
"""

from __future__ import annotations

import math

import sympy
from sympy.core.singleton import Singleton

# in the place of an axis: over all axes but the first
CHANNELS = "channels"
Axis = int | str | None


class Reduction(sympy.Function):
    """Base of the functions of all elements. ``axis`` is the one that is taken together, None for all of them."""

    nargs = 1
    axis: Axis = None
    averages = False
    largest = False
    words = ""

    @classmethod
    def eval(cls, x):
        if x.is_zero or (x.is_number and cls.averages):
            return sympy.sympify(x)

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


class Largest(Reduction):
    """The largest of all elements, which rounds nothing; of none it is minus infinity."""

    largest = True
    words = "largest"


class ChannelTotal(Reduction):
    """The sum over a channel: what has the same first index. Without a dimension there is one channel."""

    axis = CHANNELS
    words = "channel total"


class OfShape(sympy.AtomicExpr):
    """Base of the numbers that the shape of a parameter gives."""

    is_real = True
    is_integer = True
    is_nonnegative = True
    words = ""

    @staticmethod
    def of(shape: tuple[int, ...]) -> int:
        raise NotImplementedError

    def _sympystr(self, printer):
        return self.words

    def _latex(self, printer):
        text = self.words.replace("_", r"\_")
        return rf"\mathrm{{{text}}}"


class Count(OfShape, metaclass=Singleton):
    """The number of elements."""

    is_positive = True
    words = "count"

    @staticmethod
    def of(shape: tuple[int, ...]) -> int:
        return math.prod(shape)


class ChannelCount(OfShape, metaclass=Singleton):
    """The number of elements of a channel."""

    is_positive = True
    words = "channel_count"

    @staticmethod
    def of(shape: tuple[int, ...]) -> int:
        return math.prod(shape[1:])


class Dimensions(OfShape, metaclass=Singleton):
    """The number of dimensions."""

    words = "dimensions"

    @staticmethod
    def of(shape: tuple[int, ...]) -> int:
        return len(shape)


COUNT, CHANNEL_COUNT, DIMENSIONS = Count(), ChannelCount(), Dimensions()
OF_SHAPE = {x.words: x.of for x in (COUNT, CHANNEL_COUNT, DIMENSIONS)}


def norm(x: sympy.Expr) -> sympy.Expr:
    """The Euclidean norm of the tensor."""
    return sympy.sqrt(Total(x**2))


def rms(x: sympy.Expr) -> sympy.Expr:
    """The root of the mean square of the elements."""
    return sympy.sqrt(Mean(x**2))


def count(shape: tuple[int, ...], axis: Axis) -> int:
    """How many elements one reduction takes in, in a tensor of this shape."""
    if isinstance(axis, int):
        return shape[axis]
    return CHANNEL_COUNT.of(shape) if axis == CHANNELS else math.prod(shape)


def grid(shape: tuple[int, ...], axis: Axis) -> tuple[tuple[int, ...], int | None]:
    """A shape of the same elements in the same order, and the axis of it that a reduction takes together."""
    if isinstance(axis, int):
        return shape, axis
    return ((math.prod(shape[:1]), CHANNEL_COUNT.of(shape)), 1) if axis == CHANNELS else (shape, None)


def reduced(xp, x, shape: tuple[int, ...], axis: Axis, largest: bool):
    """The sums of a flat array, or its largest elements, as often as the array needs them: once, or at every element.

    Args:
        xp: numpy, or a namespace like it.
        x: one number for each element of a tensor, or one for all of them.
        shape: of the tensor.
    """
    flat = xp.broadcast_to(x, (math.prod(shape),))
    if largest and not len(flat):
        return -math.inf
    over = xp.max if largest else xp.sum
    if axis is None:
        return over(flat)
    cut, along = grid(shape, axis)
    found = over(flat.reshape(cut), axis=along, keepdims=True)
    return xp.broadcast_to(found, cut).reshape(-1)
