"""Which tensors share elements in memory.

Tensors without memory of their own that could be compared (meta, lazy, sparse, wrapper subclasses such as DTensor) have
no span and share with nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

_ORDINARY = (Tensor, torch.nn.Parameter)
Span = tuple[tuple[torch.device, int], int, int]


def plain(tensor: Tensor) -> bool:
    """Whether shape, strides and memory can be read."""
    if type(tensor) not in _ORDINARY and (
        is_lazy(tensor) or is_traceable_wrapper_subclass(tensor) or type(tensor).__name__ == "FakeTensor"
    ):
        return False
    return tensor.layout is torch.strided and not tensor.is_meta


def shape(tensor: Tensor) -> tuple[int, ...] | None:
    """Its shape, unless it has none yet."""
    return None if is_lazy(tensor) else tuple(tensor.shape)


def leaf(tensor: Tensor) -> bool:
    """Whether it is a leaf. torch raises for a view among several whose base was changed in place, which is none."""
    try:
        return tensor.is_leaf
    except RuntimeError:
        return False


def storage(tensor: Tensor) -> tuple[torch.device, int] | None:
    """What says whether two tensors can share elements."""
    if not plain(tensor):
        return None
    try:
        pointer = tensor.untyped_storage().data_ptr()
    except (RuntimeError, NotImplementedError):  # functional, fake and other tensors without memory
        return None
    return (tensor.device, pointer) if pointer else None


def span(tensor: Tensor) -> Span | None:
    """Its storage, and the first and last byte that it uses there."""
    found = storage(tensor)
    if found is None or tensor.numel() == 0:
        return None
    start = tensor.data_ptr() - found[1]
    reach = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return found, start, start + (reach + 1) * tensor.element_size()


def overlapping(tensors: Iterable[Tensor]) -> Iterator[tuple[int, int]]:
    """Indices of every two that share an element."""
    tensors = list(tensors)
    by_storage: dict[tuple[torch.device, int], list[int]] = {}
    for index, tensor in enumerate(tensors):
        found = storage(tensor)
        if found is not None:
            by_storage.setdefault(found, []).append(index)
    for indices in by_storage.values():
        if len(indices) > 1:
            yield from _within(tensors, indices)


def _within(tensors: list[Tensor], indices: list[int]) -> Iterator[tuple[int, int]]:
    """Those of one storage: sorted by their first byte, only neighbours need to be compared."""
    spans = sorted((s[1], s[2], i) for i in indices if (s := span(tensors[i])) is not None)
    for position, (_, stop, a) in enumerate(spans):
        for start, _, b in spans[position + 1 :]:
            if start >= stop:
                break
            if share(tensors[a], tensors[b]):
                yield min(a, b), max(a, b)


def share(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors of one storage, whose spans intersect, have an element in common."""
    if a.is_contiguous() and b.is_contiguous():
        return True
    (_, start_a, stop_a), (_, start_b, stop_b) = span(a), span(b)  # type: ignore[misc]
    first = min(start_a, start_b)
    touched = torch.zeros(max(stop_a, stop_b) - first, dtype=torch.bool)
    _bytes(touched, a, start_a - first).fill_(True)
    return bool(_bytes(touched, b, start_b - first).any())


def _bytes(flags: Tensor, tensor: Tensor, offset: int) -> Tensor:
    """One flag for every byte of a tensor."""
    size = tensor.element_size()
    return flags.as_strided((*tensor.shape, size), (*(s * size for s in tensor.stride()), 1), offset)


def overlaps_itself(tensor: Tensor) -> bool:
    """Whether it is expanded: a stride of 0 over several elements."""
    if not plain(tensor) or tensor.is_contiguous():
        return False
    return any(size > 1 and stride == 0 for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
