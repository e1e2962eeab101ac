"""What rounding may make of an iterated polynomial of a matrix.

A subject computes the iterates one by one. In each of them the terms a X, b (X X^T) X and c (X X^T)^2 X are rounded 3, 5
and 7 times (products, coefficients and sums; X X^T enters the last one twice), and every matrix product accumulates
(see reference.rounding). Each such error passes through the iterations that follow: to first order by their derivative
at the exact iterate, and what is beyond first order is bounded in the Frobenius norm and passes on as an error of its
own. All iterates have the singular vectors U, V of the matrix. The derivative in a direction H multiplies U^T H V, its
symmetric part by the divided differences (f(s) - f(t)) / (s - t) of the singular values, its antisymmetric part by
(f(s) + f(t)) / (s + t), and what is beyond the shorter side by f(s) / s (Daleckii & Krein 1965; for singular values
Noferini 2017, "A formula for the Fréchet derivative of a generalized matrix function"). The divided difference of a
composition is the product of those of its steps.

A subject may as well decompose the matrix and apply the polynomial to its singular values: in float32 or finer, for
there are no decompositions in less. Then two reflections for each singular value and the products with U and V each
round the whole matrix, in norm (Higham 2002, Accuracy and Stability of Numerical Algorithms, Lemma 19.3), before the
polynomial and after it.

An element is then off by at most the sum of the sizes of its row of the derivative times what the elements may be off
by; of an error that is known by its norm alone, and in matrices of more than ``SMALL`` elements, the norm is passed on,
which magnifies by the largest of the divided differences.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from reference.matrices import singular_values_after
from reference.rounding import ACCUMULATOR, FACTOR

# elements of a matrix whose derivative, a matrix of the square of this size, is written out
SMALL = 256


def decomposed(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Singular vectors and values; of a small matrix all vectors."""
    left, spectrum, right = np.linalg.svd(matrix, full_matrices=matrix.size <= SMALL)
    return left, spectrum, right


class Iteration:
    """The iterates of a matrix, and what their rounding adds up to.

    Args:
        matrix: the first iterate.
        decomposition: its singular vectors and values, as :func:`decomposed` gives them.
        coefficients: a, b and c.
        u, tiny, largest: of the precision that a subject computes in; the first two times the factor.
    """

    def __init__(self, matrix: np.ndarray, decomposition, coefficients, u: float, tiny: float, largest: float):
        left, self.spectrum, right = decomposition
        self.turned = matrix.shape[0] > matrix.shape[1]
        self.x = matrix.T if self.turned else matrix
        self.left, self.right = (right.T, left.T) if self.turned else (left, right)
        self.coefficients, self.u, self.tiny, self.largest = coefficients, u, tiny, largest

    def bound(self, entered: np.ndarray, steps: int) -> np.ndarray:
        """How far every element may be off after so many iterations, if it was off by ``entered`` before."""
        errors = [_Error(entered.T if self.turned else entered, self._turning(), len(self.spectrum))]
        a, b, c = self.coefficients
        for _ in range(steps):
            off = sum(e.size() for e in errors)
            own = self._rounding(off)
            factors = self._divided_differences()
            for e in errors:
                e.passes(factors)
            errors.append(own)
            self.spectrum = singular_values_after(self.spectrum, a, b, c, 1)
            self.x = (self.left[:, : len(self.spectrum)] * self.spectrum) @ self.right[: len(self.spectrum)]
            if not sum(e.size() for e in errors) < self.largest:  # nan too
                return np.full(entered.shape, math.inf)
        errors.append(_Error(np.zeros(self.x.shape), self._turning(), len(self.spectrum)))
        total = sum(e.size() for e in errors)
        if self.x.size > SMALL:
            return np.full(entered.shape, total)
        basis = np.einsum("ik,lj->ijkl", self.left, self.right).reshape(self.x.size, self.x.size)
        found = np.minimum(sum(e.at_elements(basis) for e in errors), total)
        return found.T if self.turned else found

    def _turning(self) -> float:
        """What a decomposition may be off by at its beginning, and at its end."""
        rotations = 2 * len(self.spectrum) + 3
        return rotations * min(self.u, FACTOR * ACCUMULATOR.unit) * float(np.linalg.norm(self.spectrum))

    def _rounding(self, off: float) -> _Error:
        """What one iteration rounds away, and what is beyond first order of what the matrix is off by."""
        a, b, c = map(abs, self.coefficients)
        x = np.abs(self.x)
        gram = x @ x.T
        cubic = gram @ x
        quintic = gram @ cubic
        unit = min(self.u, FACTOR * ACCUMULATOR.unit)
        short, long = ((n - 1) * unit for n in x.shape)
        # X X^T sums over the long side, once in the third power and twice in the fifth; the other products over the short
        third, fifth = 5 * self.u + long + short, 7 * self.u + 2 * long + 2 * short
        at = 3 * self.u * a * x + third * b * cubic + fifth * c * quintic
        two = np.abs(self.spectrum).max(initial=0.0) + off
        beyond = (3 * b * two + 10 * c * two**3) * off**2
        beyond += (3 * self.u * a + 3 * third * b * two**2 + 5 * fifth * c * two**4) * off * math.sqrt(len(x))
        lost = self.tiny * math.sqrt(x.size) * (3 + two + x.shape[1] * two * (b + 2 * c * two**2))
        # powers are met whether or not their coefficient is zero
        met = (a * x, max(b, 1.0) * gram, max(b, 1.0) * cubic, max(c, 1.0) * (gram @ gram), max(c, 1.0) * quintic)
        if not max(float(np.max(y)) for y in met) + off < self.largest:
            beyond = math.inf
        return _Error(at, beyond + lost, len(self.spectrum))

    def _divided_differences(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the polynomial between all pairs: of one sign, of opposite signs, and with zero."""
        a, b, c = self.coefficients
        s, t = self.spectrum[:, None], self.spectrum[None, :]

        def between(s, t) -> Any:
            return a + b * (s * s + s * t + t * t) + c * (s**4 + s**3 * t + s**2 * t**2 + s * t**3 + t**4)

        return between(s, t), between(s, -t), between(self.spectrum, 0.0)


class _Error:
    """What an iterate is off by: at each element, and in norm; with what it has been multiplied by since."""

    def __init__(self, elements: np.ndarray, norm: float, count: int):
        self.elements, self.norm = elements, norm
        self.even, self.odd, self.outer = np.ones((count, count)), np.ones((count, count)), np.ones(count)

    def passes(self, factors: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        """Through one more iteration."""
        even, odd, outer = factors
        self.even, self.odd, self.outer = self.even * even, self.odd * odd, self.outer * outer

    def size(self) -> float:
        """In the Frobenius norm."""
        outer = self.outer if self.elements.shape[0] != self.elements.shape[1] else 0.0
        magnified = max(float(np.abs(p).max(initial=0.0)) for p in (self.even, self.odd, np.asarray(outer)))
        return magnified * (float(np.linalg.norm(self.elements)) + self.norm)

    def at_elements(self, basis: np.ndarray) -> np.ndarray:
        """At each element, given the products of all singular vectors."""
        rows, columns = self.elements.shape
        # in the basis of the singular vectors an entry is multiplied, and takes a part of the one across the diagonal
        own = np.repeat(self.outer[:, None], columns, axis=1)
        across = np.zeros((rows, columns))
        own[:, :rows] = (self.even + self.odd) / 2
        across[:, :rows] = (self.even - self.odd) / 2
        place = np.arange(rows * columns).reshape(rows, columns)
        place[:, :rows] = place[:, :rows].T.copy()
        derivative = (basis * own.reshape(-1) + basis[:, place.reshape(-1)] * across.reshape(-1)) @ basis.T
        found = np.abs(derivative) @ self.elements.reshape(-1) + np.linalg.norm(derivative, axis=1) * self.norm
        return found.reshape(rows, columns)
