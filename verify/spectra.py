"""Matrices with chosen singular values and random singular vectors."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

# of the largest singular value; the rest of a spectrum is between
KINDS = ("equal", "near", "spread", "graded", "rank one")


@lru_cache(maxsize=4096)
def matrix_of(start: int, shape: tuple[int, int]) -> np.ndarray:
    """A matrix that ``start`` chooses: kind of spectrum, size and vectors; the same one every time."""
    rng = np.random.default_rng(start)
    kind = KINDS[start % len(KINDS)]
    count = min(shape)
    spectrum = {
        "equal": np.ones(count),
        "near": 1 + rng.uniform(-0.125, 0.125, count),
        "spread": np.linspace(1, 0.25, count),
        "graded": np.exp2(-2.0 * np.arange(count)),
        "rank one": (np.arange(count) == 0).astype(float),
    }[kind]
    left, right = (np.linalg.qr(rng.standard_normal((side, count)))[0] for side in shape)
    # times a power of two, so that some are shorter than an eps
    return (left * spectrum) @ right.T * np.exp2(rng.integers(-2, 3))
