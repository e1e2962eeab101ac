"""What L-BFGS does with the points and gradients it is shown; a variant differs from it in one of these.

Sources. Nocedal & Wright 2006: the update (6.17), the scaling (7.20), the two loops (Algorithm 7.4), the strong Wolfe
conditions (3.7). Where the book leaves a choice, torch.optim.LBFGS (which follows minFunc) is taken: the length
min(1, 1/|g|_1) lr of the first step, pairs with y's <= 1e-10 are left out, c1 = 1e-4 and c2 = 0.9.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flint import arb

from reference.quasi_newton.enclosure import Arithmetic, Number, Vector, at_most, below, largest_of
from reference.quasi_newton.inverse_hessian import Pair, dense, two_loop

Direction = Callable[[Vector, Sequence[Pair], Number, Arithmetic], Vector]
LEAST_CURVATURE = 1e-10


@dataclass(frozen=True)
class Settings:
    """What the user of the optimizer chose; see the arguments of torch.optim.LBFGS."""

    lr: float = 1.0
    max_iter: int = 20
    max_eval: float = 25
    tolerance_grad: float = 1e-7
    tolerance_change: float = 1e-9
    history_size: int = 100
    strong_wolfe: bool = False


def first_length(g: Vector, lr: Number, a: Arithmetic) -> Number:
    """min(1, 1/|g|_1) lr: before any curvature is known, no step is longer than lr in the 1-norm."""
    size = a.total([abs(x) for x in g])
    one_over = a.rounded(1 / size)
    if at_most(size, 1):
        return lr
    if at_most(1, size):
        return a.rounded(one_over * lr)
    return a.rounded(one_over.min(1) * lr)


def length(g: Vector, lr: Number, a: Arithmetic) -> Number:
    """lr: once there is a curvature, -H g has the length of a step."""
    return lr


def pair(points: Sequence[Vector], gradients: Sequence[Vector], lr: Number, a: Arithmetic) -> Pair:
    """s and y of the last step: of the points at which the last two iterations began."""
    s = [a.displacement(new, old) for new, old in zip(points[-1], points[-2], strict=True)]
    return Pair(s, changed(gradients[-1], gradients[-2], a))


def changed(new: Vector, old: Vector, a: Arithmetic) -> Vector:
    return [a.rounded(x - y) for x, y in zip(new, old, strict=True)]


def curvature(pair: Pair, a: Arithmetic) -> Number:
    """What must exceed LEAST_CURVATURE for a pair to be remembered."""
    return a.dot(pair.y, pair.s)


def scaling(pairs: Sequence[Pair], a: Arithmetic) -> Number:
    """gamma of the newest pair: its size lies between the reciprocals of the eigenvalues of the Hessian (7.20)."""
    s, y = pairs[-1]
    return a.rounded(a.dot(y, s) / a.dot(y, y))


def newest(pairs: Sequence[Pair], size: int) -> Sequence[Pair]:
    return pairs[-size:]


def largest(g: Vector) -> Number:
    """The size of a gradient that tolerance_grad is compared with."""
    return largest_of([abs(x) for x in g])


class Undecided(Exception):
    """Rounding leaves open what the history is."""


@dataclass(frozen=True)
class Conventions:
    """One way to do it.

    Args:
        name, sentence: what is different, for a variant.
        directions: forms of -H g. The first gives the exact value; an implementation may compute any of them.
        first_length, length: the step along the direction, in the very first iteration and later.
        pair, curvature, least_curvature, scaling, remembered: how the history is kept; without
            a least curvature every pair is.
        forgets: whether every call of step() begins anew.
        size: of a gradient, for its tolerance.
        armijo, wolfe: c1 and c2 of the strong Wolfe conditions; None where a condition is not asked for.
    """

    name: str = "lbfgs"
    sentence: str = ""
    directions: tuple[Direction, ...] = (dense, two_loop)
    first_length: Callable[[Vector, Number, Arithmetic], Number] = first_length
    length: Callable[[Vector, Number, Arithmetic], Number] = length
    pair: Callable[[Sequence[Vector], Sequence[Vector], Number, Arithmetic], Pair] = pair
    curvature: Callable[[Pair, Arithmetic], Number] = curvature
    least_curvature: float | None = LEAST_CURVATURE
    scaling: Callable[[Sequence[Pair], Arithmetic], Number] = scaling
    remembered: Callable[[Sequence[Pair], int], Sequence[Pair]] = newest
    forgets: bool = False
    size: Callable[[Vector], Number] = largest
    armijo: float | None = 1e-4
    wolfe: float | None = 0.9

    @property
    def of_search(self) -> bool:
        """Whether it is different in what a line search must reach, and in nothing else."""
        return (self.armijo, self.wolfe) != (CONVENTIONS.armijo, CONVENTIONS.wolfe)

    def takes(self, pair: Pair, a: Arithmetic) -> bool:
        """Whether a pair is remembered.

        Raises:
            Undecided: that depends on rounding.
        """
        if self.least_curvature is None:
            return True
        curvature = self.curvature(pair, a)
        taken = below(a.rounded(arb(self.least_curvature)), curvature)
        if taken is None and curvature.is_finite():
            raise Undecided
        return bool(taken)  # nan exceeds nothing


CONVENTIONS = Conventions()
