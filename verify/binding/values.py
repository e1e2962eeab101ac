"""A few elements of a tensor, to see whether it moved.

``_version`` is no evidence: ``.data``, numpy and fused steps do not count there. A whole copy is not affordable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from verify.binding.memory import plain

SAMPLES = 16
_places: dict[tuple[int, torch.device], Tensor] = {}


def sample(tensor: Tensor) -> Tensor | None:
    """Up to 16 elements, evenly spread; of the local part of a DTensor. None where there are none to read."""
    local = getattr(tensor, "_local_tensor", tensor)
    if not plain(local) or local.is_quantized or local.numel() == 0:
        return None
    return local.detach().take(_evenly(local.numel(), local.device))


def _evenly(count: int, device: torch.device) -> Tensor:
    key = (count, device)
    if key not in _places:
        _places[key] = torch.arange(min(count, SAMPLES), device=device) * (count - 1) // max(1, min(count, SAMPLES) - 1)
    return _places[key]


def differ(before: Sequence[Tensor | None], after: Iterable[Tensor | None]) -> list[int]:
    """Indices of the samples that changed. One comparison for all of a dtype and device, as reading it waits for a GPU."""
    kinds: dict[tuple[torch.dtype, torch.device], list[tuple[int, Tensor, Tensor]]] = {}
    for index, (a, b) in enumerate(zip(before, after, strict=True)):
        if a is not None and b is not None and a.dtype == b.dtype and a.device == b.device and a.shape == b.shape:
            kinds.setdefault((a.dtype, a.device), []).append((index, a, b))
    changed: list[int] = []
    for rows in kinds.values():
        a, b = torch.cat([row[1] for row in rows]), torch.cat([row[2] for row in rows])
        moved = ((a != b) & (a == a)).tolist()  # what was nan before says nothing
        start = 0
        for index, was, _ in rows:
            if any(moved[start : start + len(was)]):
                changed.append(index)
            start += len(was)
    return sorted(changed)
