"""Functions of matrices in array code: the value through a singular value decomposition, and what rounding may make of it.

The value is U diag(phi(s)) V^T, with numpy's decomposition, which knows nothing of the iteration that subjects use.
The allowance is that of an iteration in any order (reference.lowering.iteration).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy

from reference.lowering.iteration import Iteration, decomposed
from reference.matrices import MOST_ITERATIONS, MatrixFunction, OddPolynomial, singular_values_after
from reference.rule import RuleError

if TYPE_CHECKING:
    from reference.lowering.array import ArrayCode, Node

# what v may hold: unit, smallest and largest number of the precision of matrices, the first two times the factor
PRECISION = "p.matrices"


def lower_matrix_function(code: ArrayCode, e: MatrixFunction) -> Node:
    """A function of a matrix: its argument in the precision of matrices, then the function and its allowance."""
    from reference.lowering.array import Node

    if not isinstance(e, OddPolynomial):
        raise RuleError(f"rule {code.step.rule.name!r}: {type(e).__name__} has no array code")
    numbers = [code.lower(a) for a in e.args[1:]]
    if not all(n.scalar for n in numbers):
        raise RuleError(f"rule {code.step.rule.name!r}: the coefficients of {e} must be numbers, the same for all")
    outer = code.let("(u, tiny, largest)", "s")
    code.emit(f"u, tiny, largest = v.get({PRECISION!r}, {outer})")
    x = _entered(code, e.args[0])
    arguments = ", ".join(n.value for n in numbers)
    value, error = code.name(), code.name("e")
    code.lanes |= {value, error}
    code.emit(f"{value}, {error} = odd_polynomial({x.value}, {x.error}, shape, {arguments}, u, tiny, largest)")
    code.emit(f"u, tiny, largest = {outer}")
    return Node(value, error, False)


def _entered(code: ArrayCode, e: sympy.Expr) -> Node:
    """An expression of elements that are rounded when they enter."""
    from reference.lowering.array import Node

    if code.is_number(e):
        raise RuleError(f"rule {code.step.rule.name!r}: {e} is one number for all elements, and no matrix")
    outside = code.memo
    symbols = sorted((s for s in e.free_symbols if not code.is_number(s)), key=str)
    nodes = {s: code.lower(s) for s in symbols}
    code.memo = {k: n for k, n in outside.items() if n.scalar or isinstance(k, sympy.Symbol)}
    for symbol, n in nodes.items():
        passed = f" + {n.error}" if n.error else ""
        error = code.let(f"u * {code.absolute(n)} + tiny{passed}", "e")
        code.memo[symbol] = Node(n.value, code.guard(n.value, error), False, n.nonnegative)
    found = code.lower(e)
    code.memo = outside
    return found


def odd_polynomial(x, error, shape, a, b, c, steps, u, tiny, largest) -> tuple[np.ndarray, np.ndarray]:
    """Value and allowance at every element of a flat array; without finite bounds the allowance is infinite.

    Args:
        x: the elements of the matrix, and ``error`` what each may be off by.
        shape: of the matrix.
        a, b, c, steps: of the polynomial.
        u, tiny, largest: unit roundoff and smallest number, times the factor, and largest number, of the precision
            that a subject computes in.
    """
    # what is common to all elements comes once
    matrix, entered = (np.broadcast_to(np.asarray(y, dtype=float), math.prod(shape)).reshape(shape) for y in (x, error))
    if not (np.isfinite(matrix).all() and 0 <= steps < MOST_ITERATIONS and steps == int(steps)):
        return np.full(matrix.size, math.nan), np.full(matrix.size, math.inf)
    steps = int(steps)
    left, spectrum, right = decomposition = decomposed(matrix)
    count = len(spectrum)
    value = (left[:, :count] * singular_values_after(spectrum, a, b, c, steps)) @ right[:count]
    if matrix.size == 0 or not np.isfinite(entered).all():
        return value.reshape(-1), np.full(matrix.size, math.inf)
    bound = Iteration(matrix, decomposition, (a, b, c), u, tiny, largest).bound(entered, steps)
    return value.reshape(-1), bound.reshape(-1)


# names that the generated code calls
RUNTIME: dict[str, Any] = {"odd_polynomial": odd_polynomial}
