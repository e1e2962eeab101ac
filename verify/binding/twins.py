"""Models that stand beside the trained one: averages and teachers that no optimizer is meant to hold."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor
from torch.nn import Module
from torch.optim.swa_utils import AveragedModel

from verify.binding.look import Look
from verify.binding.memory import shape
from verify.binding.names import stripped


def averaged(look: Look, names: Iterable[str]) -> list[str]:
    """Those that are inside an AveragedModel."""
    prefixes = [f"{stripped(path)}." for path, module in look.modules if path and isinstance(module, AveragedModel)]
    return [name for name in names if name.startswith(tuple(prefixes))]


def copies(look: Look, missing: dict[str, Tensor]) -> dict[str, list[str]]:
    """For every given model that is a copy, by names and shapes, of another that is trained, its missing parameters."""
    if len(look.subjects.roots) < 2:
        return {}
    shapes = {root: _shapes(item) for root, item in look.subjects.roots.items() if isinstance(item, Module)}
    trained = {root: _trained(look, root) for root in shapes}
    found: dict[str, list[str]] = {}
    for root, own in shapes.items():
        if own and not trained[root] and any(trained[other] and theirs == own for other, theirs in shapes.items()):
            names = [name for name in missing if name.startswith(f"{root}.")]
            if names:
                found[root] = names
    return found


def _shapes(model: Module) -> dict[str, tuple[int, ...] | None]:
    return {stripped(name): shape(parameter) for name, parameter in model.named_parameters()}


def _trained(look: Look, root: str) -> bool:
    item = look.subjects.roots[root]
    return isinstance(item, Module) and any(id(p) in look.holders for p in item.parameters())
