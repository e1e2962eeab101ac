"""Functions to minimise: each takes all parameters as one real vector, and coefficients that say its shape.

They need only torch, so that a script can hold one of them (verify.quasi_newton.script). What they compute is no
part of any claim: an optimizer is judged by the losses and gradients that it was really given.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def quadratic(x: Tensor, c: Tensor) -> Tensor:
    """Curvatures c along directions that are no axes; a negative one makes a saddle."""
    z = x + 0.5 * x.roll(1)
    return 0.5 * (c * z * z).sum()


def rosenbrock(x: Tensor, c: Tensor) -> Tensor:
    """A curved valley (Rosenbrock 1960)."""
    return ((1 - x) ** 2).sum() + (c[1:] * (x[1:] - x[:-1] ** 2) ** 2).sum()


def himmelblau(x: Tensor, c: Tensor) -> Tensor:
    """Four minima for every two elements (Himmelblau 1972)."""
    a, b = x, x.roll(1)
    return (c * ((a * a + b - 11) ** 2 + (a + b * b - 7) ** 2)).sum() / 64


def quartic(x: Tensor, c: Tensor) -> Tensor:
    """Curvature that grows with the distance."""
    z = x - 0.5 * x.roll(1)
    return (c * (0.25 * z**4 + 0.5 * z * z)).sum()


def waves(x: Tensor, c: Tensor) -> Tensor:
    """Curvature of both signs."""
    return (c * torch.sin(x)).sum() + 0.125 * (x * x).sum()


def linear(x: Tensor, c: Tensor) -> Tensor:
    """No curvature: the gradient never changes."""
    return (c * x).sum()


def absolute(x: Tensor, c: Tensor) -> Tensor:
    """Kinks, and no curvature between them."""
    return (c * (x - 0.5 * x.roll(1)).abs()).sum()


def constant(x: Tensor, c: Tensor) -> Tensor:
    """A gradient of zero, everywhere."""
    return (c * (0 * x + 1)).sum()


def logarithm(x: Tensor, c: Tensor) -> Tensor:
    """A barrier at zero, infinite on it and nan beyond."""
    return (c * (x - x.log())).sum()


OBJECTIVES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    f.__name__: f for f in (quadratic, rosenbrock, himmelblau, quartic, waves, linear, absolute, constant, logarithm)
}
