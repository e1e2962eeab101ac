"""Tensors over the same memory, and tensors that cannot be trained."""

from __future__ import annotations

from collections.abc import Iterator

from torch.nn.parameter import is_lazy

from verify.binding.finding import Finding
from verify.binding.look import Look
from verify.binding.memory import leaf, overlapping, overlaps_itself
from verify.binding.pairing import flat_buffers
from verify.binding.strangers import aliased


def shared_memory(look: Look) -> Iterator[Finding]:
    """Two objects, one memory. Optimizers over aliases and flat buffers are told apart by the rules of ownership."""
    aside = flat_buffers(look) | {id(slot[2]) for slots in look.orphans for slot, _ in aliased(look, slots)}
    named = {id(t): (name, t) for name, t in look.tensors}
    for number, slots in enumerate(look.orphans):
        for group, position, tensor in slots:
            named.setdefault(id(tensor), (look.called(number, group, position), tensor))
    candidates = [(name, t) for key, (name, t) in named.items() if key not in aside]
    for a, b in overlapping(t for _, t in candidates):
        (first, p), (second, q) = candidates[a], candidates[b]
        trained = [id(t) in look.holders and t.requires_grad for t in (p, q)]
        if not any(trained):
            continue
        both = all(trained)
        moved = second if trained[0] else first
        effect = (
            "both are trained, so the shared elements move twice in every step, with two sets of optimizer state. To tie them, "
            f"share the object: model.{second} = model.{first}, before the optimizer is built."
            if both
            else f"{moved} is not trained, and moves with every step of the other. If it is to be a copy, write: "
            "copy.data.copy_(source.data), not copy.data = source.data."
        )
        yield Finding(
            "shared-memory", "error" if both else "warning", second, f"it shares memory with {first}; {effect}"
        )


def self_overlap(look: Look) -> Iterator[Finding]:
    for name, tensor in look.held:
        if overlaps_itself(tensor) and tensor.requires_grad:
            yield Finding(
                "self-overlap",
                "error",
                name,
                f"its elements share memory with each other (shape {list(tensor.shape)}, strides {list(tensor.stride())}): for-loop "
                "and foreach steps raise, fused ones write several updates into one cell. Write: "
                "nn.Parameter(tensor.expand(...).clone()).",
            )


def non_leaf(look: Look) -> Iterator[Finding]:
    everything = {id(tensor): (name, tensor) for name, tensor in (*look.held, *look.tensors)}
    for name, tensor in everything.values():
        if not leaf(tensor):
            yield Finding(
                "non-leaf",
                "error",
                name,
                "it is the result of an operation, not a leaf: it gets no gradient and cannot be trained, and the second backward "
                "through it fails. Write: nn.Parameter(value.detach()), and compute what depends on it in forward().",
            )


def on_meta(look: Look) -> Iterator[Finding]:
    held = [(name, t) for name, t in look.held if t.device.type == "meta"]
    if not held or not all(id(t) in look.names for _, t in held):
        return  # what is not in the model is told as such
    yield Finding(
        "on-meta",
        "info",
        held[0][0],
        f"{len(held)} parameters of model and optimizer are on the meta device, where step() computes nothing. Loading into them "
        "does nothing either, and to_empty() makes new ones: materialise the model first, then build the optimizer.",
    )


def inference_tensors(look: Look) -> Iterator[Finding]:
    for name, tensor in look.held:
        if not is_lazy(tensor) and tensor.is_inference() and tensor.requires_grad:
            yield Finding(
                "inference-tensor",
                "error",
                name,
                "it was made in torch.inference_mode(), so backward() or step() raises. Build the model outside of it.",
            )


RULES = (shared_memory, self_overlap, non_leaf, on_meta, inference_tensors)
