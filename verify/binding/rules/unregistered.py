"""Trainable tensors that a module holds where parameters() does not look."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.nn import Module

from verify.binding.finding import Finding
from verify.binding.look import Look
from verify.binding.memory import leaf
from verify.binding.names import companion, stripped

# what every module has
OWN = frozenset(Module().__dict__)
OWN |= {"_flat_weights"}  # of an RNN, which renews it at every forward
# weight norm, spectral norm and pruning put what they compute in the place of the parameter that they renamed
DERIVED = ("_orig", "_g", "_v")
FSDP = "_fsdp_wrapped_module"  # FSDP1 leaves views of its flat parameter in the place of parameters
# these keep lists of the parameters inside them
KEEPERS = frozenset({"DistributedDataParallel", "FullyShardedDataParallel"})
HOLDERS = (Tensor, Module, list, tuple, set, frozenset, dict)
DEPTH = 4


def unregistered(look: Look) -> Iterator[Finding]:
    known = set(look.names) | set(look.holders)
    modules = {id(module) for _, module in look.modules}
    seen: set[int] = set()
    for prefix, module in look.modules:
        if type(module).__name__ in KEEPERS:
            continue
        for key, value in module.__dict__.items():
            if (
                key in OWN
                or not isinstance(value, HOLDERS)
                or any(f"{key}{end}" in module._parameters for end in DERIVED)
            ):
                continue
            for path, tensor in _tensors(value, key, modules, DEPTH):
                name = stripped(f"{prefix}.{path}" if prefix else path)
                if id(tensor) in known or id(tensor) in seen:
                    continue
                seen.add(id(tensor))
                if leaf(tensor):
                    yield _leaf(name)
                elif FSDP not in prefix.split(".") and (leaves := _constant(tensor)) is not None:
                    yield _derived(name, any(id(source) not in known for source in leaves))


def _tensors(value: Any, path: str, modules: set[int], depth: int) -> Iterator[tuple[str, Tensor]]:
    """Trainable tensors in a value: itself, in a container, or in a module that is registered nowhere."""
    if isinstance(value, Tensor):
        if value.requires_grad:
            yield path, value
    elif isinstance(value, Module):
        if id(value) not in modules:
            yield from ((f"{path}.{name}", p) for name, p in value.named_parameters() if p.requires_grad)
    elif depth and isinstance(value, (list, tuple, set, frozenset)):
        for i, item in enumerate(value):
            yield from _tensors(item, f"{path}.{i}", modules, depth - 1)
    elif depth and isinstance(value, dict):
        for key, item in value.items():
            yield from _tensors(item, f"{path}.{key}", modules, depth - 1)


def _constant(tensor: Tensor, most: int = 8) -> list[Tensor] | None:
    """The leaves of a short graph whose every leaf is trainable: made once from parameters, not from a batch."""
    leaves: list[Tensor] = []
    try:
        nodes = [tensor.grad_fn]
    except RuntimeError:  # a view whose base was changed in place, as `leaf` knows
        return None
    count = 0
    while nodes:
        node = nodes.pop()
        count += 1
        if node is None or count > most:
            return None
        if hasattr(node, "variable"):
            leaves.append(node.variable)
        nodes += [following for following, _ in node.next_functions if following is not None]
    return leaves if leaves and type(leaves[0]).__name__ == "Parameter" else None


def _leaf(name: str) -> Finding:
    aside = companion(name + ".")
    return Finding(
        "unregistered",
        "info" if aside else "warning",
        name,
        "it requires grad, and is kept in a plain attribute, list or dict: parameters() and state_dict() do not have it, so it is "
        "not trained, not saved and not moved. Write: nn.Parameter, nn.ParameterList or nn.ModuleList; or "
        "requires_grad_(False) for what is kept out on purpose.",
    )


def _derived(name: str, hidden: bool) -> Finding:
    source = "a parameter that is registered nowhere and in no optimizer" if hidden else "parameters of the model"
    return Finding(
        "unregistered",
        "warning" if hidden else "info",
        name,
        f"it was computed once from {source}: it does not follow them when they are trained, and the second backward through it "
        "fails. Write: self.weight = nn.Parameter(value.detach()), or compute it in forward().",
    )


RULES = (unregistered,)
