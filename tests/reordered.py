"""An implementation of any rule that nobody wrote: the sympy tree, evaluated in a random order.

It shares nothing with the generated code. Terms and factors are taken in any order, coefficients one
by one or together, p - c p sometimes as p (1 - c) and exponential averages sometimes as lerp.
"""

from __future__ import annotations

import math
import random

import numpy as np
import sympy

from reference.matrices import COLUMNS, ROWS, OddPolynomial
from reference.reductions import OfShape, Reduction, grid

Value = np.ndarray | np.floating

COMPARISONS = {"==": np.equal, "!=": np.not_equal, ">": np.greater, ">=": np.greater_equal, "<": np.less}


class Reordered:
    """Evaluates one step in floating point.

    Args:
        step: the assignments.
        seed: decides every order.
        elements: dtype of what differs between elements.
        scalars: dtype of what does not.
    """

    def __init__(self, step, seed: int, elements: type, scalars: type):
        self.step = step
        self.random = random.Random(seed)
        self.elements, self.scalars = elements, scalars
        self.known: dict[sympy.Basic, Value] = {}

    def run(self, values: dict) -> dict[str, Value]:
        """New values by name. ``values`` holds arrays for elements and numbers for scalars."""
        self.shape = values.get("p.shape", ())
        for symbol in self.step.is_scalar:
            if symbol.name in values:
                value = values[symbol.name]
                dtype = self.elements if isinstance(value, np.ndarray) else self.scalars
                self.known[symbol] = dtype(value)
        if len(self.shape) > 1:
            self.known |= {side: self.scalars(n) for side, n in zip((ROWS, COLUMNS), self.shape[-2:], strict=True)}
        with np.errstate(all="ignore"):
            for a in self.step.assignments:
                self.known[a.symbol] = self.value(a.expression)
        return {name: self.known[self.step.new_symbol(name)] for name in self.step.outputs}

    def value(self, e: sympy.Basic) -> Value:
        if e in self.known:
            return self.known[e]
        if isinstance(e, OfShape):
            return self.scalars(e.of(self.shape))
        if e.is_number:
            return self.scalars(float(e))
        if isinstance(e, sympy.Add):
            return self.added(self.rewritten(e))
        if isinstance(e, sympy.Mul):
            return self.multiplied(e.args)
        if isinstance(e, sympy.Pow):
            return self.power(e)
        if isinstance(e, sympy.Piecewise):
            return self.chosen(list(e.args))
        if isinstance(e, Reduction):
            return self.reduced(e)
        if isinstance(e, OddPolynomial):
            return self.polynomial(e)
        arguments = [self.value(a) for a in self.shuffled(e.args)]
        if isinstance(e, sympy.Max | sympy.Min):
            choose = np.maximum if isinstance(e, sympy.Max) else np.minimum
            result = arguments[0]
            for other in arguments[1:]:
                result = self.together(choose, result, other)
            return result
        return {sympy.Abs: np.abs, sympy.sign: np.sign, sympy.exp: np.exp, sympy.log: np.log}[type(e)](*arguments)

    # -- orders ------------------------------------------------------------------------------

    def shuffled(self, items) -> list:
        items = list(items)
        self.random.shuffle(items)
        return items

    def together(self, operation, a: Value, b: Value) -> Value:
        """A scalar that meets elements is rounded to their dtype first."""
        if np.ndim(a) or np.ndim(b):
            a, b = self.elements(a), self.elements(b)
        return operation(a, b)

    def added(self, terms: list[Value]) -> Value:
        first, *rest = self.shuffled(terms)
        for term in rest:
            first = self.together(np.add, first, term)
        return first

    def multiplied(self, factors) -> Value:
        result = None
        for factor in self.shuffled(factors):
            divides = isinstance(factor, sympy.Pow) and factor.exp.is_number and factor.exp.is_negative
            value = self.value(1 / factor if divides else factor)
            if divides:
                result = self.together(np.divide, self.scalars(1.0) if result is None else result, value)
            else:
                result = value if result is None else self.together(np.multiply, result, value)
        return result

    def reduced(self, e: Reduction) -> Value:
        """A sum in a random order, one by one or by halves; that of low-precision elements is kept in float32."""
        wide = np.float32 if self.elements is np.float16 else self.elements
        cut, along = grid(self.shape, e.axis)
        terms = np.broadcast_to(self.value(e.args[0]), (math.prod(self.shape),)).astype(wide).reshape(cut)
        rows = terms.reshape(1, -1) if along is None else np.moveaxis(terms, along, -1).reshape(-1, cut[along])
        order = self.random.sample(range(rows.shape[1]), rows.shape[1])
        add = np.maximum.reduce if e.largest else np.add.reduce if self.random.random() < 0.5 else self.one_by_one
        sums = np.array([add(row[order]) for row in rows])
        if e.averages:
            sums = sums / wide(rows.shape[1])
        sums = sums.astype(self.elements)
        if along is None:
            return sums[0]
        kept = [n for k, n in enumerate(cut) if k != along % len(cut)]
        return np.broadcast_to(np.expand_dims(sums.reshape(kept), along), cut).reshape(-1)

    def polynomial(self, e: OddPolynomial) -> Value:
        """An iteration of either side's products, by Horner's scheme or not; or one on singular values in float32."""
        x, *numbers = (self.value(a) for a in e.args)
        x = np.broadcast_to(x, (math.prod(self.shape),)).reshape(self.shape).astype(self.elements)
        a, b, c = map(self.elements, numbers[:3])
        form, turned = self.random.randrange(3), self.random.random() < 0.5
        if form == 2:
            wide = np.promote_types(self.elements, np.float32)
            left, s, right = np.linalg.svd(x.astype(wide), full_matrices=False)
            for _ in range(int(numbers[3])):
                s = s * (wide.type(a) + s * s * (wide.type(b) + s * s * wide.type(c)))
            return ((left * s) @ right).astype(self.elements).reshape(-1)
        x = x.T if turned else x
        for _ in range(int(numbers[3])):
            gram = x @ x.T
            x = a * x + (gram @ (b * x + c * (gram @ x)) if form else (b * gram + c * (gram @ gram)) @ x)
        return (x.T if turned else x).reshape(-1)

    @staticmethod
    def one_by_one(terms: np.ndarray) -> np.floating:
        total = terms.dtype.type(0)
        for x in terms:
            total = total + x
        return total

    def power(self, e: sympy.Pow) -> Value:
        if e.exp.is_number and e.exp.is_negative:
            return self.together(np.divide, self.scalars(1.0), self.value(1 / e))
        base = self.value(e.base)
        if not np.ndim(base):
            return np.power(base, self.value(e.exp))
        if e.exp.q > 2:
            return np.power(base, self.elements(float(e.exp)))
        result = np.sqrt(base) if e.exp.q == 2 else None
        for _ in range(int(e.exp)):
            result = base if result is None else result * base
        return result

    def chosen(self, branches: list) -> Value:
        (expression, condition), *rest = branches
        if condition == sympy.true:
            return self.value(expression)
        test = self.holds(condition)
        if not np.ndim(test):
            return self.value(expression) if test else self.chosen(rest)
        return np.where(test, self.elements(self.value(expression)), self.elements(self.chosen(rest)))

    def holds(self, condition) -> Value:
        if isinstance(condition, sympy.And | sympy.Or):
            join = np.logical_and if isinstance(condition, sympy.And) else np.logical_or
            return join.reduce([self.holds(c) for c in condition.args])
        return self.together(COMPARISONS[condition.rel_op], self.value(condition.lhs), self.value(condition.rhs))

    # -- other forms of a sum ----------------------------------------------------------------

    def split(self, term: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
        """A term as scalar coefficient and the rest."""
        factors = sympy.Mul.make_args(term)
        scalar = [all(self.step.is_scalar[s] for s in f.free_symbols) for f in factors]
        return (
            sympy.Mul(*(f for f, is_scalar in zip(factors, scalar, strict=True) if is_scalar)),
            sympy.Mul(*(f for f, is_scalar in zip(factors, scalar, strict=True) if not is_scalar)),
        )

    def rewritten(self, e: sympy.Add) -> list[Value]:
        """The terms as written, or contracted, or the two terms of a lerp."""
        parts = [self.split(a) for a in e.args]
        if any(rest == 1 for _, rest in parts) or self.random.random() < 0.5:
            return [self.value(a) for a in e.args]
        if len(parts) == 2 and sympy.expand(parts[0][0] + parts[1][0] - 1) == 0:
            (_, old), (weight, new) = sorted(parts, key=lambda part: isinstance(part[0], sympy.Add))
            start = self.value(old)
            return [start, self.together(np.multiply, self.value(weight), self.value(new) - start)]
        sums: dict[sympy.Expr, list[sympy.Expr]] = {}
        for coefficient, rest in parts:
            sums.setdefault(rest, []).append(coefficient)
        return [
            self.together(np.multiply, self.added([self.value(c) for c in coefficients]), self.value(rest))
            if len(coefficients) > 1
            else self.value(sympy.Mul(coefficients[0], rest))
            for rest, coefficients in sums.items()
        ]
