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
    """Indices of the samples that changed. A GPU is asked once for all of a dtype, as reading it waits for it."""
    kinds: dict[tuple[torch.dtype, torch.device], list[tuple[int, Tensor, Tensor]]] = {}
    changed: list[int] = []
    for index, (a, b) in enumerate(zip(before, after, strict=True)):
        if a is None or b is None or a.dtype != b.dtype or a.device != b.device or a.shape != b.shape:
            continue
        if not a.is_cpu:
            kinds.setdefault((a.dtype, a.device), []).append((index, a, b))
        elif not torch.equal(a, b) and _moved(a, b).any():
            changed.append(index)
    for rows in kinds.values():
        moved = _moved(torch.cat([row[1] for row in rows]), torch.cat([row[2] for row in rows])).tolist()
        start = 0
        for index, was, _ in rows:
            if any(moved[start : start + len(was)]):
                changed.append(index)
            start += len(was)
    return sorted(changed)


def _moved(before: Tensor, after: Tensor) -> Tensor:
    """Which elements changed; what was nan before says nothing."""
    return (before != after) & (before == before)
