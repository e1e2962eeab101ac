"""What is not as it was when the watch began, or at the last look."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from verify.binding.finding import Finding
from verify.binding.look import Look, Memory
from verify.binding.names import stripped

SETTINGS = frozenset(
    [
        "base_lrs",
        "T_max",
        "T_0",
        "T_mult",
        "eta_min",
        "gamma",
        "step_size",
        "milestones",
        "total_iters",
        "total_steps",
        "start_factor",
        "end_factor",
        "power",
        "max_lrs",
        "min_lrs",
        "patience",
        "factor",
        "cooldown",
        "threshold",
    ]
)


class History:
    """The names, ties, masks, defaults and settings of before."""

    def __init__(self, look: Look):
        self.names: dict[int, tuple[Tensor, str]] = {}
        self.lines: dict[str, str] = {}
        self._ties: list[list[str]] = []
        self._parameters: dict[str, Tensor] = {}
        self._defaults = {o.name: dict(getattr(o.optimizer, "defaults", {})) for o in look.owners}
        self._settings = [_settings(s) for s in look.subjects.schedulers]
        self._masks = _masks(look)
        self._remember(look)

    def memory(self) -> Memory:
        """For the rules of a look."""
        return Memory(self.names, self.lines)

    def compare(self, look: Look) -> Iterator[Finding]:
        """What changed since the last look; then this look is the last."""
        yield from self._broken_ties(look)
        for name, old in self._parameters.items():
            new = look.parameters.get(name)
            if new is not None and new is not old:
                yield from _replaced(name, old, new, self.lines.get(name, ""))
        yield from self._settings_changed(look)
        yield from self._masks_gone(look)
        self._remember(look)

    def _remember(self, look: Look) -> None:
        """Old tensors are kept only while an optimizer holds them, or has state for them."""
        alive = {id(t) for slots in look.slots for _, _, t in slots}
        alive |= {
            id(k) for o in look.owners for k in (getattr(o.optimizer, "state", None) or ()) if isinstance(k, Tensor)
        }
        kept = {key: entry for key, entry in self.names.items() if key in alive}
        self.names = kept | {id(t): (t, name) for name, t in look.tensors}
        self._ties = [names for names in look.names.values() if len(names) > 1]
        self._parameters = look.parameters

    def _broken_ties(self, look: Look) -> Iterator[Finding]:
        for names in self._ties:
            now = [name for name in names if name in look.parameters]
            if len({id(look.parameters[name]) for name in now}) > 1:
                line = next((f" Assigned at {self.lines[n]}." for n in now if n in self.lines), "")
                yield Finding(
                    "tie-broken",
                    "warning",
                    now[-1],
                    f"{' and '.join(now)} were one parameter, and are several now, which will drift apart.{line} Tie them again "
                    f"before the optimizer is built: model.{now[-1]} = model.{now[0]}.",
                )

    def _settings_changed(self, look: Look) -> Iterator[Finding]:
        for owner in look.owners:
            before = self._defaults.get(owner.name)
            if before is not None and (edited := _changes(before, getattr(owner.optimizer, "defaults", {}))):
                self._defaults[owner.name] = dict(owner.optimizer.defaults)
                yield Finding(
                    "defaults-edited",
                    "info",
                    owner.name,
                    f"its defaults were edited ({edited}), which changes no group that is there. Write: "
                    "for group in optimizer.param_groups: group[option] = value.",
                )
        for i, scheduler in enumerate(look.subjects.schedulers):
            now = _settings(scheduler)
            if changed := _changes(self._settings[i], now):
                self._settings[i] = now
                yield Finding(
                    "scheduler-changed",
                    "info",
                    type(scheduler).__name__,
                    f"its settings are others than when watch began ({changed}), as after load_state_dict. To keep new ones, set "
                    "them after loading.",
                )

    def _masks_gone(self, look: Look) -> Iterator[Finding]:
        now = _masks(look)
        for name in self._masks - now:
            yield Finding(
                "mask-removed",
                "info",
                name,
                "its pruning mask is gone, so pruned elements move again in the next step. Keep the mask until training ends.",
            )
        self._masks = now


def data_rebound(name: str) -> Finding:
    """The same object, other memory."""
    return Finding(
        "data-rebound",
        "info",
        name,
        "it is the same parameter with other memory, as after p.data = source or vector_to_parameters: later steps write into "
        "the source. To copy, write: with torch.no_grad(): p.copy_(source).",
    )


def _replaced(name: str, old: Tensor, new: Tensor, line: str) -> Iterator[Finding]:
    at = f" It was assigned at {line}." if line else ""
    if _hooks(old) and not _hooks(new):
        yield Finding(
            "hooks-lost",
            "warning",
            name,
            f"it was replaced, and the {_hooks(old)} tensor hooks of the old object were not registered on the new one: clipping, "
            f"masks or an optimizer in the backward pass have stopped for it.{at} Register them again.",
        )
    if new.requires_grad and not old.requires_grad:
        yield Finding(
            "thawed",
            "info",
            name,
            f"it was frozen, and was replaced by one that requires grad.{at} If it is to stay frozen, write: "
            "nn.Parameter(p, requires_grad=p.requires_grad).",
        )


def _hooks(tensor: Tensor) -> int:
    return len(tensor._backward_hooks or ()) + len(getattr(tensor, "_post_accumulate_grad_hooks", None) or ())


def _settings(scheduler: Any) -> dict[str, Any]:
    return {
        key: list(value) if isinstance(value, list) else value
        for key, value in vars(scheduler).items()
        if key in SETTINGS
    }


def _changes(before: dict[str, Any], now: dict[str, Any]) -> str:
    changed = [key for key in now if key in before and not _equal(before[key], now[key])]
    return ", ".join(f"{key} from {before[key]!r} to {now[key]!r}" for key in changed)


def _equal(a: Any, b: Any) -> bool:
    return a is b if isinstance(a, Tensor) or isinstance(b, Tensor) else bool(a == b)


def _masks(look: Look) -> set[str]:
    return {
        stripped(f"{prefix}.{name.removesuffix('_mask')}" if prefix else name.removesuffix("_mask"))
        for prefix, module in look.modules
        for name in module._buffers.keys()  # noqa: SIM118 - of a ScriptModule it is no dict
        if name.endswith("_mask") and f"{name.removesuffix('_mask')}_orig" in module._parameters
    }
