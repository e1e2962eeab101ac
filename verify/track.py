"""One parameter as it is followed through a program: its tensor, gradient, count and state."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from verify.lanes import DTYPES, as_float64, fill
from verify.program import Filling, Parameter, Program
from verify.sparse import Entries, entries_of, in_form


class Track:
    """One parameter as it is followed through a program."""

    def __init__(self, spec: Parameter, program: Program):
        dtype = DTYPES[program.dtype_of(spec)]
        values = fill(spec.initial, spec.shape, dtype).to(program.device)
        self.spec = spec
        self.tensor = _laid_out(values, spec.layout)
        self.leaf = self.tensor.requires_grad_(True)
        if program.implementation == "differentiable":
            self.tensor = self.leaf.clone()
            self.tensor.retain_grad()
        self.device = self.tensor.device
        self.frozen = False
        self.count = 0
        self.before = as_float64(self.tensor)
        self.seen: dict[str, Any] = {}
        self.carried: dict[str, tuple[Any, Any]] = {}
        self.set_variables: set[str] = set()
        self.history: list[dict[str, Any]] = []
        self.gradient: np.ndarray | None = None
        # of the gradient, where it is sparse; and of the sums of entries that hidden state may be
        self.entries: Entries | None = None
        self.given: torch.Tensor | None = None
        self.piled: np.ndarray | float = 0.0
        # elements whose parameter or state has overflowed, as it may: nothing more can be said of them
        self.dead: np.ndarray | None = None

    def take(self, gradient: torch.Tensor | None) -> None:
        """Note the gradient of the next step: its values and its entries."""
        sparse = gradient is not None and gradient.is_sparse
        self.entries = entries_of(gradient) if gradient is not None and sparse else None
        self.given = gradient.clone() if gradient is not None and sparse else None
        if gradient is None:
            self.gradient = None
        else:
            self.gradient = as_float64(gradient) if self.entries is None else self.entries.sums

    @property
    def times(self) -> np.ndarray | float:
        """How many entries of each element an optimizer may add up one by one, in this step or in hidden state."""
        return self.piled + (1.0 if self.entries is None else self.entries.times)


def _laid_out(values: torch.Tensor, layout: str) -> torch.Tensor:
    """A copy of ``values`` in another memory layout (contiguous where the shape has no such layout)."""
    if layout == "transposed" and values.ndim >= 2:
        order = [*range(values.ndim - 2), values.ndim - 1, values.ndim - 2]
        out = torch.empty_strided(
            values.shape, _permuted_strides(values.shape, order), dtype=values.dtype, device=values.device
        )
    elif layout == "strided" and values.ndim >= 1:
        wide = values.new_zeros((*values.shape[:-1], 2 * values.shape[-1]))
        out = wide[..., ::2]
    elif layout == "channels_last" and values.ndim == 4:
        return values.clone().contiguous(memory_format=torch.channels_last)
    else:
        return values.clone(memory_format=torch.contiguous_format)
    with torch.no_grad():
        out.copy_(values)
    return out.detach()


def _permuted_strides(shape: torch.Size, order: list[int]) -> tuple[int, ...]:
    strides, step = [0] * len(shape), 1
    for axis in reversed(order):
        strides[axis] = step
        step *= max(1, shape[axis])
    return tuple(strides)


def gradient_tensor(filling: Filling, spec: Parameter, program: Program) -> torch.Tensor:
    dtype = DTYPES[program.dtype_of(spec)]
    if filling.expanded:
        one = fill(filling, (), dtype).to(program.device)
        return one.expand(spec.shape)
    values = fill(filling, spec.shape, dtype).to(program.device)
    if filling.sparse:
        return in_form(values, filling.sparse)
    if spec.layout == "transposed_gradient":
        return _laid_out(values, "transposed")
    if spec.layout in ("strided", "channels_last"):
        return _laid_out(values, spec.layout)
    return values
