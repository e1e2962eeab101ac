"""Parameters of the model that no optimizer holds, and parameters of optimizers that no model has."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from verify.binding.finding import Finding
from verify.binding.look import Look
from verify.binding.memory import shape
from verify.binding.names import companion, expression
from verify.binding.pairing import Slot, flat_buffers, pairs
from verify.binding.strangers import aliased, described, keeps_masters, meant_for, stranger_reason
from verify.binding.twins import averaged, copies


def ownership(look: Look) -> Iterator[Finding]:
    """Sort out what is not shared: aliases, whole strangers, replaced parameters, and then what is left alone."""
    covered = flat_buffers(look)
    missing = {n: t for n, t in look.tensors if t.requires_grad and id(t) not in look.holders and id(t) not in covered}
    for name in averaged(look, missing):
        del missing[name]
    for root, names in copies(look, missing).items():
        yield _copy(root, names)
        for name in names:
            del missing[name]
    lone: list[tuple[int, Slot, bool]] = []
    for number, orphans in enumerate(look.orphans):
        left = [slot for slot in orphans if id(slot[2]) not in covered]
        for slot, name in list(aliased(look, left)):
            left.remove(slot)
            missing.pop(name, None)
            yield _alias(look, number, slot, name)
        if left and len(left) == len(look.slots[number]):
            if keeps_masters(look, number):
                missing.clear()
            else:
                yield _stranger(look, number, missing)
            continue
        paired = pairs(look, number, left, missing)
        for name, slot in paired.items():
            yield _rebound(look, number, name, slot)
            left.remove(slot)
        for name in paired:
            del missing[name]
        lone += [(number, slot, bool(missing)) for slot in left]
    yield from _frozen_optimizers(look, missing)
    for number, slot, suspicious in lone:
        yield _orphan(look, number, slot, suspicious)
    for name, tensor in missing.items():
        yield _missing(look, name, tensor)


def _copy(root: str, names: list[str]) -> Finding:
    return Finding(
        "not-optimized",
        "info",
        root,
        f"this model is built like another that is trained, and none of its {len(names)} trainable parameters is in an optimizer. "
        f"If it is an average, a teacher or a target, write: model.requires_grad_(False). If not, give its optimizer too.",
    )


def _alias(look: Look, number: int, slot: Slot, name: str) -> Finding:
    return Finding(
        "detached-alias",
        "error",
        name,
        f"{look.owners[number].name} holds another tensor object over its memory ({place(slot)}); gradients arrive at the "
        f"model's object and never at that one, so it is skipped in every step.{_line(look, name)} Build the optimizer from "
        f"model.parameters(), not from state_dict(), .data or .detach().",
    )


def _stranger(look: Look, number: int, missing: dict[str, Tensor]) -> Finding:
    owner = look.owners[number]
    theirs = meant_for(look, number, missing)
    if not theirs:
        return Finding(
            "nothing-shared",
            "info",
            owner.name,
            f"none of its {len(look.slots[number])} parameters is in a given model, whose own parameters are all looked "
            f"after. If it trains another module, give that too: audit([model, other], ...).",
        )
    reason = stranger_reason(look, number)
    count = len(theirs)
    where = _line(look, next(iter(theirs)))
    for name in theirs:  # said once, not once for each
        del missing[name]
    return Finding(
        "nothing-shared",
        "error",
        owner.name,
        f"none of its {len(look.slots[number])} parameters is in the model, so step() trains nothing of it: {count} trainable "
        f"parameters of the model are in no optimizer. {reason}{where} Write: "
        f"optimizer = {type(owner.optimizer).__name__}(model.parameters(), ...) after the model is loaded, wrapped and moved.",
    )


def _rebound(look: Look, number: int, name: str, slot: Slot) -> Finding:
    old = slot[2]
    new = look.parameters[name]
    keep = (
        "optimizer.state[new] = optimizer.state.pop(old)"
        if shape(old) == shape(new)
        else "optimizer.state.pop(old, None)"
    )
    return Finding(
        "rebound",
        "error",
        name,
        f"the model has another object here ({described(new)}) than {look.owners[number].name} holds ({described(old)}): the "
        f"new one is never updated, nor its gradient cleared by optimizer.zero_grad(), and the old one is stepped for nobody."
        f"{_line(look, name)} Build the optimizer after the last change to the model, or write: "
        f"optimizer.{place(slot)} = {expression(name)}; {keep}.",
    )


def _missing(look: Look, name: str, tensor: Tensor) -> Finding:
    aside = companion(name)
    grows = " It has a gradient now, which optimizer.zero_grad() will not clear." if tensor.grad is not None else ""
    fate = (
        "it looks like an average, a teacher or a target, and requires grad. If it is one, write:"
        if aside
        else "it requires grad and is in no optimizer, so it is never updated, while its gradient is computed, grows and counts "
        "in clip_grad_norm_. Write: optimizer.add_param_group({'params': ["
        + expression(name)
        + "]}), or if it is to stay as it is,"
    )
    return Finding(
        "not-optimized",
        "info" if aside else "warning",
        name,
        f"{fate} {expression(name)}.requires_grad_(False).{grows}{_line(look, name)}",
    )


def _orphan(look: Look, number: int, slot: Slot, suspicious: bool) -> Finding:
    group, position, tensor = slot
    name = look.called(number, group, position)
    owner = look.owners[number]
    evidence = ""
    recorded = look.parameters.get(name)
    others = [t for _, _, t in look.slots[number] if id(t) in look.names and t.requires_grad]
    if id(tensor) in look.memory.names:
        now = f"{name} is gone" if recorded is None else f"{name} is another object now"
        if recorded is not None and look.name(recorded) != name:
            now = f"{name} is now the same object as {look.name(recorded)}"
        evidence = f" It was in the model when watch began; {now}.{_line(look, name)}"
    elif recorded is not None:
        evidence = f" Its recorded name {name} is now another tensor's."
    elif suspicious:
        evidence = " At the same time the model has trainable parameters that no optimizer holds."
    elif others and tensor.grad is None and all(t.grad is not None for t in others):
        evidence = " It has no gradient, while all others have one."
    return Finding(
        "not-in-model",
        "warning" if evidence else "info",
        name,
        f"{owner.name} holds it ({place(slot)}, {described(tensor)}), and no given model has it.{evidence} If another module "
        f"has it, give that too: audit([model, other], optimizer). If nobody uses it, it is never trained, and saving and "
        f"loading by name or into a fresh optimizer will fail: build the optimizer again.",
    )


def _frozen_optimizers(look: Look, missing: dict[str, Tensor]) -> Iterator[Finding]:
    for number, slots in enumerate(look.slots):
        if missing and slots and not look.orphans[number] and not any(t.requires_grad for _, _, t in slots):
            yield Finding(
                "nothing-trainable",
                "error",
                look.owners[number].name,
                f"all {len(slots)} parameters that it holds are frozen, so step() does nothing, while the model has "
                f"{len(missing)} trainable ones that no optimizer holds, {next(iter(missing))} first. Build the optimizer after "
                f"the adapters: Optimizer([p for p in model.parameters() if p.requires_grad], ...).",
            )


def place(slot: Slot) -> str:
    """Where it is in the optimizer, as code."""
    return f"param_groups[{slot[0]}]['params'][{slot[1]}]"


def _line(look: Look, name: str) -> str:
    """Which line of user code did it, where that is known."""
    line = look.memory.lines.get(name)
    return f" It was assigned at {line}." if line else ""


RULES = (ownership,)
