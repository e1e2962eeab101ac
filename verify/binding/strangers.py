"""What tensors that an optimizer holds have to do with a model that does not have them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from verify.binding.look import Look
from verify.binding.memory import shape, span
from verify.binding.names import companion
from verify.binding.pairing import Slot

# their optimizers step flat or float32 copies
MIXED_PRECISION = frozenset({"apex", "colossalai", "deepspeed", "fairscale", "megatron"})


def aliased(look: Look, orphans: list[Slot]) -> Iterator[tuple[Slot, str]]:
    """Orphans that lie exactly over a parameter of a model, with its name.

    One that has a gradient of its own is fed by hand and left alone.
    """
    spans = {s: name for name, t in look.tensors if id(t) not in look.holders and (s := span(t)) is not None}
    for slot in orphans:
        name = spans.get(span(slot[2]))  # type: ignore[arg-type]
        if name is not None and slot[2].grad is None:
            yield slot, name


def keeps_masters(look: Look, number: int) -> bool:
    """Whether an optimizer holds float32 copies of a model in a lower precision, or wraps one that does."""
    owner = look.owners[number]
    if any(type(layer).__module__.split(".")[0] in MIXED_PRECISION for layer in owner.layers()):
        return True
    for layer in owner.layers()[:-1]:  # a wrapper that hands the model's gradients to copies of its own
        groups = getattr(layer, "param_groups", ())
        if any(id(t) in look.names for group in groups for t in group["params"]):
            return True
    low = [t for _, t in look.tensors if t.requires_grad]
    masters = [t for _, _, t in look.slots[number]]
    return (
        bool(low)
        and all(t.dtype in (torch.float16, torch.bfloat16) for t in low)
        and all(t.dtype == torch.float32 for t in masters)
        and sorted(str(shape(t)) for t in low) == sorted(str(shape(t)) for t in masters)
    )


def meant_for(look: Look, number: int, missing: dict[str, Tensor]) -> list[str]:
    """Missing parameters that an optimizer, which shares nothing with the models, was to train.

    All of them, where no other optimizer has anything of the models either, or where they are as many; else those of the
    shapes that it holds, if there are enough.
    """
    candidates = {name: t for name, t in missing.items() if not companion(name)}
    held = [shape(t) for _, _, t in look.slots[number]]
    others = any(len(orphans) < len(slots) for orphans, slots in zip(look.orphans, look.slots, strict=True))
    if not others or len(candidates) == len(held):
        return list(candidates)
    fitting = [name for name, t in candidates.items() if shape(t) in held]
    return fitting if len(fitting) >= len(held) else []


def stranger_reason(look: Look, number: int) -> str:
    """How it may have come about."""
    held = [t for _, _, t in look.slots[number]]
    model = [t for _, t in look.tensors]
    kinds = {type(t).__name__ for t in model} - {type(t).__name__ for t in held}
    if any(t.device.type == "meta" for t in held) and not any(t.device.type == "meta" for t in model):
        return "It holds tensors on the meta device: it was built before to_empty() or load_state_dict(assign=True)."
    if "DTensor" in kinds:
        return "The model has DTensors and it has not: it was built before fully_shard or parallelize_module."
    if [shape(t) for t in held] == [shape(t) for t in model]:
        return (
            "The shapes are the same: it was built before the model was copied, re-created, loaded with assign=True, or "
            "converted with new parameters."
        )
    return "It was built before the model was wrapped or changed, or for another model."


def described(tensor: Tensor) -> str:
    """Class, dtype and shape, as far as it has them."""
    size = shape(tensor)
    kind = "" if type(tensor) in (Tensor, torch.nn.Parameter) else f"{type(tensor).__name__} "
    return f"{kind}{str(tensor.dtype).removeprefix('torch.')} {'without a shape yet' if size is None else list(size)}"
