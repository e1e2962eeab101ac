"""Has anything changed since the last look? Asked at every step, so it compares identities alone."""

from __future__ import annotations

from itertools import chain
from operator import attrgetter, is_, methodcaller
from typing import Any

from torch import Tensor

from verify.binding.look import Look
from verify.binding.memory import leaf, plain

_values, _address = methodcaller("values"), methodcaller("data_ptr")
_flags = attrgetter("requires_grad", "is_leaf", "dtype", "device")


class Track:
    """What the last look saw, as flat lists. Holds strong references; ids of what it holds are not used again."""

    def __init__(self, look: Look, before: Track | None = None):
        self._look = look
        modules = [module for _, module in look.modules]
        self._tables = [m._parameters for m in modules] + [m._modules for m in modules]
        self._tensors = [t for _, t in look.tensors]
        self._plain = [t for t in self._tensors if plain(t)]
        self._children = self._registered()
        self._held = self._slots()
        self._kinds = self._kind()
        # flags that go back and forth, as in adversarial training, are looked at once
        same = before is not None and _same(before._children, self._children) and _same(before._held, self._held)
        seen_before: set[int] = before._looked_at if before is not None and same else set()
        self._looked_at: set[int] = seen_before | {hash(tuple(self._kinds))}
        self._agree = self._rates()
        self._addresses = self._memory()
        self._strides = [t.stride() for t in self._plain]

    def changed(self) -> bool:
        """Whether parameters, sub-modules, groups, flags, dtypes, devices or agreement with the schedulers are others."""
        return not (
            _same(self._children, self._registered())
            and _same(self._held, self._slots())
            and self._known_kinds()
            and self._agree == self._rates()
        )

    def _known_kinds(self) -> bool:
        now = self._kind()
        if now != self._kinds:
            self._kinds = now
            return hash(tuple(now)) in self._looked_at
        return True

    def rebound_data(self) -> list[Tensor]:
        """Parameters whose memory is another than before; none when most moved, as by ``.to()``."""
        now = self._memory()
        moved = [t for t, a, b in zip(self._plain, self._addresses, now, strict=True) if a != b]
        self._addresses = now
        if not moved:
            return []
        strides = dict(zip(map(id, self._plain), self._strides, strict=True))
        moved = [t for t in moved if t.stride() == strides[id(t)]]  # else it was brought into another memory format
        held = {id(t) for t in self._held}
        return moved if 2 * len(moved) <= sum(id(t) in held for t in self._plain) else []

    def _registered(self) -> list[Any]:
        return [*chain.from_iterable(map(_values, self._tables)), *self._look.subjects.roots.values()]

    def _slots(self) -> list[Tensor]:
        return [p for owner in self._look.owners for group in owner.optimizer.param_groups for p in group["params"]]

    def _kind(self) -> list[Any]:
        try:
            return list(map(_flags, self._tensors))
        except RuntimeError:  # of a view that was overwritten, as `leaf` knows
            return [(t.requires_grad, leaf(t), t.dtype, t.device) for t in self._tensors]

    def _memory(self) -> list[int]:
        return list(map(_address, self._plain))

    def _rates(self) -> list[bool]:
        """For every scheduler, whether the groups have the rates that it set last."""
        return [_agrees(scheduler) for scheduler in self._look.subjects.schedulers]


def _same(before: list[Any], now: list[Any]) -> bool:
    return len(before) == len(now) and all(map(is_, before, now))


def _agrees(scheduler: Any) -> bool:
    rates = [group.get("lr") for group in getattr(scheduler.optimizer, "param_groups", ())]
    said = getattr(scheduler, "_last_lr", None)
    if said is None or len(said) != len(rates) or any(isinstance(r, Tensor) for r in chain(rates, said)):
        return True  # a rate that is a tensor is read in a full look alone
    return list(said) == rates
