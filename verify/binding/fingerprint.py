"""What is written with an optimizer's state dict, and compared when one is loaded.

torch matches state by position alone. With the class and the names in the file, another order can be seen.
``load_state_dict`` reads ``state`` and ``param_groups`` only, so the further key breaks nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from verify.binding.finding import Finding
from verify.binding.look import Look, entries
from verify.binding.memory import shape
from verify.binding.names import same, stripped
from verify.binding.subjects import Owner

KEY = "optim_verify"


def fingerprint(look: Look, number: int) -> dict[str, Any]:
    """Plain data: the class, and for every group the names and shapes of its parameters."""
    groups = look.owners[number].optimizer.param_groups
    return {
        "class": type(look.owners[number].optimizer).__name__,
        "names": [[look.name(p) or "" for p in group["params"]] for group in groups],
        "shapes": [[list(shape(p) or ()) for p in group["params"]] for group in groups],
    }


class Loading:
    """One load_state_dict, from the dict that comes in to the state that is there after it."""

    def __init__(self, look: Look, number: int, state_dict: dict[str, Any]):
        self._look, self._number, self._owner = look, number, look.owners[number]
        self._saved = state_dict
        self._options = [_options(group) for group in self._owner.optimizer.param_groups]
        self._had_state = bool(self._owner.optimizer.state)

    def before(self) -> Iterator[Finding]:
        written = self._saved.get(KEY)
        if isinstance(written, dict) and written.get("class") != type(self._owner.optimizer).__name__:
            yield Finding(
                "checkpoint-class",
                "warning",
                self._owner.name,
                f"the state dict was saved by {written.get('class')}; state that this class does not know is kept and ignored, and "
                f"what it lacks starts afresh. Load it into {written.get('class')}.",
            )
        yield from self._order()
        if self._had_state and not self._saved.get("state"):
            yield Finding(
                "state-cleared",
                "info",
                self._owner.name,
                "a state dict without state was loaded, as it is before the first step: all moments are gone.",
            )

    def _order(self) -> Iterator[Finding]:
        now = fingerprint(self._look, self._number)["names"]
        known = {stripped(name) for group in now for name in group}
        moved = [
            (name, before)
            for group, saved in zip(now, _saved_names(self._saved), strict=False)
            for name, before in zip(group, saved, strict=False)
            if name and before and not same(before, name) and stripped(before) in known
        ]
        if moved:
            name, before = moved[0]
            yield Finding(
                "checkpoint-order",
                "error",
                name,
                f"the state dict has {before} in its place: {len(moved)} parameters were saved in another order, torch matches by "
                "position alone, and their moments go to others. Build the optimizer in the saved order, or load by name with "
                "torch.distributed.checkpoint.state_dict.",
            )

    def after(self) -> Iterator[Finding]:
        for number, (before, group) in enumerate(zip(self._options, self._owner.optimizer.param_groups, strict=False)):
            after = _options(group)
            changed = [key for key in before if key in after and before[key] != after[key]]
            if "decoupled_weight_decay" in changed:
                yield Finding(
                    "decay-changed",
                    "error",
                    f"param_groups[{number}]",
                    f"loading set decoupled_weight_decay={after['decoupled_weight_decay']}: {self._owner.name} now decays in another "
                    f"way than it was built for. Write: optimizer.param_groups[{number}]['decoupled_weight_decay'] = "
                    f"{before['decoupled_weight_decay']}, or load into the class that was saved.",
                )
            others = [
                f"{key} from {before[key]!r} to {after[key]!r}" for key in changed if key != "decoupled_weight_decay"
            ]
            if others:
                yield Finding(
                    "options-loaded",
                    "info",
                    f"param_groups[{number}]",
                    f"loading replaced {', '.join(others)}. To keep what the constructor was given, set it after load_state_dict.",
                )
        yield from self._casts()

    def _casts(self) -> Iterator[Finding]:
        kept = entries(self._owner)
        for tensor, entry in self._saved_state():
            for key, value in entry.items():
                now = kept.get(id(tensor), {}).get(key)
                if not isinstance(value, Tensor) or not isinstance(now, Tensor) or not _loses(value.dtype, now.dtype):
                    continue
                yield Finding(
                    "state-cast",
                    "warning" if value.dtype.is_floating_point else "error",
                    self._look.name(tensor) or self._owner.name,
                    f"its state {key!r} was saved as {value.dtype} and is {now.dtype} now: load_state_dict casts everything but 'step' to "
                    "the parameter's dtype. Restore it in a hook: optimizer.register_load_state_dict_post_hook.",
                )

    def _saved_state(self) -> Iterator[tuple[Tensor, dict[str, Any]]]:
        """Parameters with what the dict has for them, by position, as torch does."""
        slots = (tensor for _, _, tensor in self._look.slots[self._number])
        keys = (key for group in self._saved.get("param_groups", ()) for key in group.get("params", ()))
        for tensor, key in zip(slots, keys, strict=False):
            entry = self._saved.get("state", {}).get(key)
            if isinstance(entry, dict):
                yield tensor, entry


def _saved_names(state_dict: dict[str, Any]) -> list[list[str]]:
    """Of the fingerprint, or where there is none, param_names."""
    written = state_dict.get(KEY)
    if isinstance(written, dict) and isinstance(written.get("names"), list):
        return written["names"]
    return [group.get("param_names", []) for group in state_dict.get("param_groups", ())]


def _options(group: dict[str, Any]) -> dict[str, Any]:
    """What can be compared without waiting for a GPU."""
    kinds = (bool, int, float, str, tuple, type(None))
    return {k: v for k, v in group.items() if k not in ("params", "param_names", "initial_lr") and isinstance(v, kinds)}


def _loses(before: torch.dtype, now: torch.dtype) -> bool:
    """Whether a cast can change values."""
    return (before != now and torch.promote_types(before, now) != now) or (now.is_floating_point and not _real(before))


def _real(dtype: torch.dtype) -> bool:
    return dtype.is_floating_point or dtype.is_complex


class Hooks:
    """State dict hooks of one optimizer. A copy or a pickle of the optimizer gets none of them."""

    def __init__(self, owner: Owner, write: Any, before: Any, after: Any):
        optimizer = owner.optimizer
        self._handles = []
        if isinstance(optimizer, torch.optim.Optimizer) and hasattr(optimizer, "_optimizer_state_dict_post_hooks"):
            self._handles = [
                optimizer.register_state_dict_post_hook(_Hook(write)),
                optimizer.register_load_state_dict_pre_hook(_Hook(before)),
                optimizer.register_load_state_dict_post_hook(_Hook(after)),
            ]

    def remove(self) -> None:
        for handle in self._handles:
            handle.remove()


class _Hook:
    def __init__(self, function: Any):
        self._function = function

    def __call__(self, *arguments: Any) -> None:
        self._function(*arguments)

    def __reduce__(self) -> Any:
        return _nothing, ()


def _nothing() -> Any:
    return _Hook(lambda *arguments: None)
