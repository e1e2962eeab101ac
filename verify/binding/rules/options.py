"""Options that are misspelt, missing, shared, or set where nobody reads them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from verify.binding.finding import Finding
from verify.binding.look import Look
from verify.binding.names import expression
from verify.binding.subjects import unwrapped

# how other frameworks, and tired people, call torch's options
SYNONYMS = {"learning_rate": "lr", "learningrate": "lr", "step_size": "lr", "wd": "weight_decay", "l2": "weight_decay"}
# what torch and its schedulers put into groups themselves
KNOWN = frozenset({"params", "param_names", "name", "initial_lr", "max_lr", "min_lr", "swa_lr", "lr_scale", "lr_mult"})
KNOWN |= {"differentiable"}  # put into the defaults by __setstate__
KNOWN |= {"base_momentum", "max_momentum", "initial_momentum", "decoupled_weight_decay"}


def unknown_option(look: Look) -> Iterator[Finding]:
    for owner in look.owners:
        defaults = getattr(owner.optimizer, "defaults", {})
        for number, group in enumerate(owner.optimizer.param_groups):
            for key in group:
                meant = None if key in defaults or key in KNOWN else _meant(key, defaults)
                if meant is not None:
                    yield Finding(
                        "unknown-option",
                        "warning",
                        f"param_groups[{number}]",
                        f"its key {key!r} is no option of {owner.name}, which ignores it; did you mean {meant!r}? That is "
                        f"{group.get(meant)!r} in this group. Write: optimizer.param_groups[{number}][{meant!r}] = {group[key]!r}.",
                    )


def _meant(key: Any, defaults: dict[str, Any]) -> str | None:
    """The option that a key is a misspelling of; an extension of an option (``lr_layer``) is meant."""
    if not isinstance(key, str) or any(
        key.startswith(f"{option}_") or key.endswith(f"_{option}") for option in defaults
    ):
        return SYNONYMS[key] if SYNONYMS.get(str(key)) in defaults else None
    if SYNONYMS.get(key.lower()) in defaults:
        return SYNONYMS[key.lower()]
    near = difflib.get_close_matches(key, defaults, 1, cutoff=0.8)
    return near[0] if near else None


def missing_option(look: Look) -> Iterator[Finding]:
    for owner in look.owners:
        defaults = getattr(owner.optimizer, "defaults", {})
        for number, group in enumerate(owner.optimizer.param_groups):
            missing = [key for key in defaults if key not in group and key not in KNOWN]
            if missing:
                yield Finding(
                    "missing-option",
                    "warning",
                    f"param_groups[{number}]",
                    f"this group of {owner.name} lacks {', '.join(map(repr, missing))}, so step() may raise KeyError. Write: "
                    "optimizer.add_param_group(group), which fills in the defaults.",
                )


def decay_changed(look: Look) -> Iterator[Finding]:
    key = "decoupled_weight_decay"
    for owner in look.owners:
        built = getattr(owner.optimizer, "defaults", {}).get(key)
        for number, group in enumerate(owner.optimizer.param_groups):
            if built is not None and group.get(key, built) != built:
                yield Finding(
                    "decay-changed",
                    "warning",
                    f"param_groups[{number}]",
                    f"{owner.name} was built with {key}={built}, and this group has {group[key]}, as after loading a checkpoint of "
                    f"another class. Write: optimizer.param_groups[{number}][{key!r}] = {built}.",
                )


def shared_lr(look: Look) -> Iterator[Finding]:
    places: dict[int, list[str]] = {}
    driven = {id(unwrapped(getattr(s, "optimizer", None))[-1]) for s in look.subjects.schedulers}
    under: set[int] = set()
    for owner in look.owners:
        for number, group in enumerate(owner.optimizer.param_groups):
            lr = group.get("lr")
            if isinstance(lr, Tensor):
                places.setdefault(id(lr), []).append(f"param_groups[{number}] of {owner.name}")
                if id(owner.optimizer) in driven:
                    under.add(id(lr))
    for key, where in places.items():
        if len(where) > 1:
            yield Finding(
                "shared-lr",
                "warning" if key in under else "info",
                where[0],
                f"one tensor is the lr of {' and '.join(where)}: whatever a scheduler or you write for one, all have. Write: a "
                "tensor of its own for each, {'params': ..., 'lr': lr.clone()}.",
            )


def no_effect(look: Look) -> Iterator[Finding]:
    for owner in look.owners:
        own = type(owner.optimizer).__module__.startswith("torch.optim")
        for key in vars(owner.optimizer) if own else ():
            if key in owner.optimizer.defaults:
                yield Finding(
                    "no-effect",
                    "warning",
                    owner.name,
                    f"optimizer.{key} was set, which it does not read. Write: for group in optimizer.param_groups: "
                    f"group[{key!r}] = {getattr(owner.optimizer, key)!r}.",
                )
    for name, tensor in look.tensors:
        for key in getattr(tensor, "__dict__", ()):
            if key != "requires_grad" and difflib.get_close_matches(key, ["requires_grad"], 1, cutoff=0.85):
                yield Finding(
                    "no-effect",
                    "warning",
                    name,
                    f"its attribute {key} was set, which torch does not read; requires_grad is {tensor.requires_grad}. Write: "
                    f"{expression(name)}.requires_grad_({getattr(tensor, key)!r}).",
                )
    for prefix, module in look.modules:
        if module.__dict__.get("requires_grad") is False and any(p.requires_grad for p in module.parameters()):
            yield Finding(
                "no-effect",
                "warning",
                prefix or "the model",
                "requires_grad = False was set on the module, which freezes nothing. Write: module.requires_grad_(False).",
            )


RULES = (unknown_option, missing_option, decay_changed, shared_lr, no_effect)
