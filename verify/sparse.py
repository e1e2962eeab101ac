"""Sparse gradients: the forms in which the values of a gradient are given as a sparse tensor.

The form never changes the values, and what is zero has no entry, so that a program may be cut down to one lane and
still say the same of it. An embedding's gradient has one entry for every token of the batch, not coalesced: ``twice``
and ``parts`` are like that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from verify.lanes import as_float64, real_shape


def in_form(values: torch.Tensor, form: str) -> torch.Tensor:
    """A gradient as a sparse tensor with the same values.

    Args:
        values: the dense gradient.
        form: ``"rows"`` (coalesced, an entry for every row that is not zero), ``"elements"`` (an entry for every
            element that is not zero), ``"stored"`` (an entry for every row, zero or not, the last row first),
            ``"twice"`` (every row that is not zero twice, out of order: its double, less itself) or
            ``"parts"`` (three times, and partial sums are rounded).
    """
    dims = min(1, values.ndim)
    if form == "elements" or not dims:
        return values.to_sparse()
    if form == "rows":
        return values.to_sparse(dims)
    if form == "stored":
        rows = torch.arange(len(values), device=values.device).flip(0)
        return _uncoalesced(rows, values[rows], values.shape)
    rows = values.to_sparse(dims).indices()[0]
    own = values[rows]
    if form == "twice":
        double = torch.where(torch.isfinite(2 * own), 2 * own, torch.zeros_like(own))
        again = rows.flip(0)
        return _uncoalesced(torch.cat([rows, again]), torch.cat([double, (own - double).flip(0)]), values.shape)
    third = torch.where(torch.isfinite(own), own / 3, torch.zeros_like(own))
    return _uncoalesced(torch.cat([rows] * 3), torch.cat([third, own, -third]), values.shape)


def _uncoalesced(rows: torch.Tensor, values: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    return torch.sparse_coo_tensor(rows.reshape(1, -1), values, shape, check_invariants=False)


@dataclass(frozen=True)
class Entries:
    """The entries of a sparse gradient, element by element and flat; each part of a complex number for itself.

    Args:
        times: how many entries an element has.
        sums: their exact sum, rounded once.
        sizes: the sum of their absolute values.
    """

    times: np.ndarray
    sums: np.ndarray
    sizes: np.ndarray


def entries_of(gradient: torch.Tensor) -> Entries:
    """The entries of a sparse gradient."""
    rows, values, count = _entries(gradient)
    width = values.shape[1]
    times, sums, sizes = np.bincount(rows, minlength=count), np.zeros((count, width)), np.zeros((count, width))
    np.add.at(sums, rows, values)
    np.add.at(sizes, rows, np.abs(values))
    for row in np.nonzero(times > 1)[0]:
        sums[row] = [_exact_sum(column) for column in values[rows == row].T]
    return Entries(np.repeat(times, width), sums.ravel(), sizes.ravel())


def _entries(gradient: torch.Tensor) -> tuple[np.ndarray, np.ndarray, int]:
    """Where every entry is among the places that there are, its values, and how many places there are."""
    lead = tuple(gradient.shape[: gradient.sparse_dim()])
    count = math.prod(lead)
    width = math.prod(real_shape(gradient)[len(lead) :])
    indices = gradient._indices().cpu().numpy()
    values = as_float64(gradient._values()).reshape(indices.shape[1], width)
    rows = np.ravel_multi_index(tuple(indices), lead) if lead and count else np.zeros(len(values), int)
    return rows, values, count


def readings_of(gradient: torch.Tensor) -> dict[str, np.ndarray]:
    """What some take several entries of an element for, in place of their sum: in words, and as a gradient."""
    if not gradient.is_sparse or gradient._nnz() == 0:
        return {}
    rows, values, count = _entries(gradient)
    entries = entries_of(gradient)
    if entries.times.max() < 2:
        return {}
    first, last = np.zeros((count, values.shape[1])), np.zeros((count, values.shape[1]))
    last[rows], first[rows[::-1]] = values, values[::-1]
    mean = entries.sums / np.maximum(entries.times, 1)
    return {
        "the last of several entries of an element counts alone": last.ravel(),
        "the first of several entries of an element counts alone": first.ravel(),
        "the mean of several entries of an element counts in place of their sum": mean,
    }


def exact_values(gradient: torch.Tensor) -> np.ndarray:
    """The values of any gradient, flat in float64."""
    return entries_of(gradient).sums if gradient.is_sparse else as_float64(gradient)


def _exact_sum(numbers: np.ndarray) -> float:
    return math.fsum(numbers) if np.isfinite(numbers).all() else float(numbers.sum())
