"""Hostile numbers: the pools from which parameters and gradients are filled.

A lane is one scalar element followed through a program. Drawing thousands of single floats is slow,
so each dtype has one fixed pool and a fill is a slice of it.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch

from reference.rounding import PRECISIONS
from verify.program import POOL_SIZE, TAME, Filling
from verify.spectra import matrix_of

DTYPES = {
    name: getattr(torch, name) for name in ("float64", "float32", "bfloat16", "float16", "complex64", "complex128")
}


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def fill(filling: Filling, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """A new contiguous CPU tensor with the values that ``filling`` describes."""
    real = dtype.to_real() if dtype.is_complex else dtype
    count = math.prod(shape) * (2 if dtype.is_complex else 1)
    if filling.spectrum and filling.values is None and len(shape) == 2 and not dtype.is_complex:
        return torch.from_numpy(matrix_of(filling.start, shape)).to(dtype, copy=True)
    if filling.values is not None:
        source = torch.tensor(filling.values, dtype=torch.float64).to(real)
        flat = source.repeat(-(-count // len(source)))[:count]
    else:
        pool = pool_of(dtype_name(real))
        start = filling.start % POOL_SIZE
        if start + count <= POOL_SIZE:
            flat = pool[start : start + count]
        else:
            flat = pool.roll(-start).repeat(-(-count // POOL_SIZE))[:count]
    if dtype.is_complex:
        flat = torch.view_as_complex(flat.clone().reshape(-1, 2))
    # a tensor of its own, and no view of one: optimizers may call detach_() on a gradient
    made = flat.reshape(shape).clone()
    if filling.sparse and filling.values is None:
        # a zero has no entry: others are missing in the next step
        rows = made.view(-1) if filling.sparse == "elements" or not shape else made
        rows[(torch.arange(len(rows)) + filling.start) % 3 == 0] = 0
    return made


@lru_cache
def pool_of(dtype: str) -> torch.Tensor:
    """The pool of a real dtype: every kind of number that has broken an optimizer.

    Zeros of both signs, ties and small integers, ordinary numbers, numbers over all binades whose
    squares stay in range, every binade up to the ends of the format, and subnormals.
    """
    precision = PRECISIONS[dtype]
    rng = np.random.default_rng(20260101)
    exponent = np.log2(precision.largest)
    normal_exponent = np.log2(precision.smallest) + precision.digits - 1
    n = POOL_SIZE

    def binades(low: float, high: float) -> np.ndarray:
        return rng.choice([-1.0, 1.0], n) * np.exp2(rng.uniform(low, high, n))

    ordinary = rng.standard_normal(n)
    # every few binades around one, where eps, |g| and |p| meet
    near_one = binades(-8, 4)
    squares_fit = binades(normal_exponent / 2 + 2, exponent / 2 - 2)
    any_binade = binades(normal_exponent, exponent - 1)
    subnormal = rng.choice([-1.0, 1.0], n) * precision.smallest * rng.integers(1, 2 ** min(precision.digits - 1, 50), n)
    dyadic = rng.integers(-8, 9, n) * np.exp2(rng.integers(-3, 3, n))
    zeros = rng.choice([0.0, -0.0], n)
    kinds = [ordinary, near_one, squares_fit, any_binade, subnormal, dyadic, zeros]
    tame = rng.choice(len(kinds), n, p=[0.31, 0.34, 0.20, 0.0, 0.02, 0.10, 0.03])
    wild = rng.choice(len(kinds), n, p=[0.10, 0.10, 0.20, 0.40, 0.10, 0.05, 0.05])
    chosen = np.where(np.arange(n) < TAME, tame, wild)
    values = np.choose(chosen, kinds)
    tensor = torch.from_numpy(values).to(DTYPES[dtype])
    return torch.where(torch.isfinite(tensor), tensor, torch.ones_like(tensor))


def as_float64(tensor: torch.Tensor) -> np.ndarray:
    """A flat float64 copy of a tensor; a complex one as real and imaginary parts in turn."""
    tensor = tensor.detach()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    flat = tensor.reshape(-1)
    if flat.dtype == torch.float64:
        return flat.cpu().numpy().copy()
    return flat.to("cpu", torch.float64).numpy()


def real_shape(tensor: torch.Tensor) -> tuple[int, ...]:
    """The shape of what :func:`as_float64` makes flat: a complex tensor has a last axis of two."""
    return (*tensor.shape, 2) if tensor.is_complex() else tuple(tensor.shape)
