"""One look at all subjects: who has which parameter, under which name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import Tensor
from torch.nn import Module

from verify.binding.names import stripped
from verify.binding.sharding import stand_ins
from verify.binding.subjects import Owner, Subjects


@dataclass(frozen=True)
class Memory:
    """What ``watch`` knows from before; ``audit`` knows nothing.

    Args:
        names: the name that a tensor had, by id, with the tensor itself so that the id stays its own.
        lines: the line of user code that last assigned a name.
    """

    names: Mapping[int, tuple[Tensor, str]] = field(default_factory=dict)
    lines: Mapping[str, str] = field(default_factory=dict)


class Look:
    """What is there at this moment. Nothing here is kept from one look to the next."""

    def __init__(self, subjects: Subjects, memory: Memory | None = None, adopted: tuple[Owner, ...] = ()):
        self.subjects = subjects
        self.memory = memory or Memory()
        self.owners = (*subjects.owners, *adopted)
        self.modules: list[tuple[str, Module]] = []
        self.parameters: dict[str, Tensor] = {}
        self.names: dict[int, list[str]] = {}
        self.slots = [[slot for slot in owner.slots()] for owner in self.owners]
        self.holders: dict[int, list[int]] = {}
        for number, slots in enumerate(self.slots):
            for _, _, tensor in slots:
                holders = self.holders.setdefault(id(tensor), [])
                if number not in holders:
                    holders.append(number)
        seen: set[int] = set()
        for root, item in subjects.roots.items():
            if isinstance(item, Tensor):
                self._add("", "", root, item)
            else:
                self._walk(root, item, seen)

    def _walk(self, root: str, model: Module, seen: set[int]) -> None:
        whole: dict[int, Tensor] = {}
        for path, module in model.named_modules(memo=set()):
            prefix = ".".join(part for part in (root, path) if part)
            whole |= stand_ins(module)
            first = id(module) not in seen
            seen.add(id(module))
            if first:
                self.modules.append((prefix, module))
            short = stripped(prefix)
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    self._add(short, prefix, name, whole.get(id(parameter), parameter))
            for name, buffer in module._buffers.items():
                if buffer is not None and id(buffer) in self.holders:  # trained, though it is no parameter
                    self._add(short, prefix, name, buffer)

    def _add(self, short: str, prefix: str, name: str, tensor: Tensor) -> None:
        full = f"{short}.{name}" if short else name
        if self.parameters.get(full, tensor) is not tensor:  # a child that is really called 'module'
            full = f"{prefix}.{name}"
        self.parameters[full] = tensor
        names = self.names.setdefault(id(tensor), [])
        if full not in names:
            names.append(full)

    def name(self, tensor: Tensor) -> str | None:
        """The first name of a tensor in the models."""
        names = self.names.get(id(tensor))
        return names[0] if names else None

    @cached_property
    def tensors(self) -> list[tuple[str, Tensor]]:
        """Every tensor of the models once, under its first name, in the order of the models."""
        return [(name, t) for name, t in self.parameters.items() if self.names[id(t)][0] == name]

    @cached_property
    def entries(self) -> list[dict[int, dict[str, Any]]]:
        """For every optimizer, its state by the id of the parameter."""
        return [entries(owner) for owner in self.owners]

    @cached_property
    def held(self) -> list[tuple[str, Tensor]]:
        """Every tensor that an optimizer holds, once, with what to call it."""
        found: dict[int, tuple[str, Tensor]] = {}
        for number, slots in enumerate(self.slots):
            for group, position, tensor in slots:
                if id(tensor) not in found:
                    found[id(tensor)] = (self.name(tensor) or self.called(number, group, position), tensor)
        return list(found.values())

    @cached_property
    def orphans(self) -> list[list[tuple[int, int, Tensor]]]:
        """For every optimizer, what it holds that is in no model."""
        return [[slot for slot in slots if id(slot[2]) not in self.names] for slots in self.slots]

    def called(self, owner: int, group: int, position: int) -> str:
        """What to call a tensor that is in no model: as it was named, or its place."""
        groups = self.owners[owner].optimizer.param_groups
        tensor = groups[group]["params"][position]
        if id(tensor) in self.memory.names:
            return self.memory.names[id(tensor)][1]
        recorded = recorded_name(groups[group], position)
        return recorded or f"param_groups[{group}]['params'][{position}]"


def recorded_name(group: Mapping[str, Any], position: int) -> str | None:
    """The name that the group itself keeps, where the optimizer was built from named parameters."""
    names = group.get("param_names")
    if isinstance(names, (list, tuple)) and position < len(names) and isinstance(names[position], str):
        return stripped(names[position])
    return None


def state_of(owner: Owner) -> dict[Any, Any]:
    """Its state, which reading must not change: it is a defaultdict."""
    state = getattr(owner.optimizer, "state", None)
    return state if isinstance(state, dict) else {}


def entries(owner: Owner) -> dict[int, dict[str, Any]]:
    """State by the id of its parameter. A look-up by the tensor compares it with numbers, if one is its id."""
    return {id(k): v for k, v in state_of(owner).items() if isinstance(k, Tensor) and isinstance(v, dict)}
