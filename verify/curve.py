"""The largest error of the parameter beside its allowance, over magnitude: what a report plots of a cell."""

from __future__ import annotations

import numpy as np

# enough to see the shape; looking at every step of a cell would cost as much as judging it
MOST_STEPS = 48
MOST_POINTS = 64


class Curve:
    """For every binade, the element that came nearest to its allowance."""

    def __init__(self) -> None:
        self.steps = 0
        self.nearest: dict[int, tuple[float, float]] = {}

    @property
    def wants_more(self) -> bool:
        return self.steps < MOST_STEPS

    def add(self, value: np.ndarray, difference: np.ndarray, allowance: np.ndarray) -> None:
        """The elements of one step: exact values, errors and allowances."""
        self.steps += 1
        allowance = np.broadcast_to(allowance, value.shape)
        good = np.isfinite(value) & np.isfinite(difference) & np.isfinite(allowance) & (value != 0) & (allowance > 0)
        value, difference, allowance = value[good], difference[good], allowance[good]
        order = np.argsort(difference / allowance)
        binades = np.frexp(value[order])[1]
        # the last one of each binade, which is the nearest to its allowance
        found, last = np.unique(binades[::-1], return_index=True)
        for binade, at in zip(found.tolist(), order[::-1][last].tolist(), strict=True):
            self._keep(binade, (float(difference[at]), float(allowance[at])))

    def _keep(self, binade: int, point: tuple[float, float]) -> None:
        self.nearest[binade] = max(self.nearest.get(binade, point), point, key=_ratio)

    def merge(self, other: Curve) -> None:
        """The points of another curve."""
        self.steps += other.steps
        for binade, point in other.nearest.items():
            self._keep(binade, point)

    def points(self) -> list[list[float]]:
        """``[binade, error, allowance]`` from small to large; a number x of a binade b has 2^(b-1) <= |x| < 2^b.

        Of neighbouring binades only the nearest to its allowance is told, where there are many.
        """
        if not self.nearest:
            return []
        width = 1 + (max(self.nearest) - min(self.nearest)) // MOST_POINTS
        told: dict[int, int] = {}
        for binade, point in sorted(self.nearest.items()):
            other = told.setdefault(binade // width, binade)
            if _ratio(point) > _ratio(self.nearest[other]):
                told[binade // width] = binade
        return [[b, *(float(f"{x:.3g}") for x in self.nearest[b])] for b in told.values()]


def _ratio(point: tuple[float, float]) -> float:
    return point[0] / point[1]
