"""What is in the groups: doubles, nobody, names, cached lists."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from verify.binding.finding import Finding
from verify.binding.look import Look, recorded_name
from verify.binding.names import same, stripped
from verify.binding.rules.ownership import place


def duplicate(look: Look) -> Iterator[Finding]:
    for number, slots in enumerate(look.slots):
        first: dict[int, tuple[int, int, Tensor]] = {}
        for slot in slots:
            before = first.setdefault(id(slot[2]), slot)
            if before is not slot:
                yield Finding(
                    "duplicate",
                    "error",
                    look.name(slot[2]) or look.called(number, slot[0], slot[1]),
                    f"{look.owners[number].name} holds it twice, in {place(before)} and {place(slot)}, so it moves twice in every "
                    f"step. Write: optimizer.param_groups[{slot[0]}]['params'].pop({slot[1]}).",
                )


def two_owners(look: Look) -> Iterator[Finding]:
    for number, slots in enumerate(look.slots):
        for group, position, tensor in slots:
            # those that were met in watch may have replaced a given one; that they step both is told by watch
            holders = [i for i in look.holders[id(tensor)] if i < len(look.subjects.owners)]
            if len(holders) > 1 and holders[0] == number:
                names = " and ".join(look.owners[i].name for i in holders)
                yield Finding(
                    "two-owners",
                    "warning",
                    look.name(tensor) or look.called(number, group, position),
                    f"{names} both hold it; if both step, it moves twice for one gradient. Give every parameter to one optimizer, or "
                    f'if they take turns, write: allow=["two-owners"].',
                )


def empty_group(look: Look) -> Iterator[Finding]:
    sharded = torch.distributed.is_available() and torch.distributed.is_initialized()
    for owner in look.owners:
        for number, group in enumerate(owner.optimizer.param_groups):
            if not group["params"]:
                yield Finding(
                    "empty-group",
                    "info" if sharded else "warning",
                    f"param_groups[{number}]",
                    f"this group of {owner.name} has no parameters; usually a generator was used up before. Write: "
                    "{'params': list(module.parameters())}.",
                )


def names_disagree(look: Look) -> Iterator[Finding]:
    """A recorded name lies when the model knows it, as another tensor's name."""
    for number, slots in enumerate(look.slots):
        groups = look.owners[number].optimizer.param_groups
        for group, position, tensor in slots:
            recorded = recorded_name(groups[group], position)
            names = look.names.get(id(tensor))
            if recorded is None or names is None or any(same(recorded, name) for name in names):
                continue
            if any(stripped(recorded) == stripped(name) for name in look.parameters):
                yield Finding(
                    "names-disagree",
                    "error",
                    names[0],
                    f"{look.owners[number].name} calls it {recorded} (param_groups[{group}]['param_names'][{position}]), which is "
                    f"another parameter of the model: state was loaded in another order, and {names[0]} has the moments of "
                    f"{recorded}. Load into an optimizer that is built in the saved order, or by name with "
                    "torch.distributed.checkpoint.state_dict.",
                )


def cached_parameters(look: Look) -> Iterator[Finding]:
    for number, owner in enumerate(look.owners):
        cached = getattr(owner.optimizer, "_params", None)
        if not isinstance(cached, list) or not all(isinstance(t, Tensor) for t in cached):
            continue
        if [id(t) for t in cached] != [id(t) for _, _, t in look.slots[number]]:
            certain = isinstance(owner.optimizer, torch.optim.LBFGS)
            yield Finding(
                "cached-parameters",
                "error" if certain else "warning",
                owner.name,
                "it keeps its own list of parameters (_params), which is not what its groups hold, and goes on stepping the old "
                "ones. Build it again after a parameter was replaced.",
            )


def padding_decays(look: Look) -> Iterator[Finding]:
    decays = {
        id(p): group.get("weight_decay")
        for owner in look.owners
        for group in owner.optimizer.param_groups
        for p in group["params"]
    }
    for prefix, module in look.modules:
        if isinstance(module, torch.nn.Embedding) and module.padding_idx is not None:
            weight = module._parameters.get("weight")
            decay = decays.get(id(weight))
            if isinstance(decay, (int, float)) and decay:
                yield Finding(
                    "padding-decays",
                    "info",
                    stripped(f"{prefix}.weight"),
                    f"weight_decay={decay} moves its padding row {module.padding_idx} in every step, whose gradient is always zero. "
                    "If it is to stay zero, give the embedding a group with weight_decay=0.",
                )


RULES = (duplicate, two_owners, empty_group, names_disagree, cached_parameters, padding_decays)
