"""Qualified names, without what wrappers put in front of them."""

from __future__ import annotations

# torch.compile, DistributedDataParallel and AveragedModel, FSDP1, activation checkpointing
WRAPPERS = frozenset({"_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})

# how people call copies of a model that no optimizer trains
COMPANIONS = frozenset(
    {"ema", "teacher", "target", "shadow", "swa", "average", "averaged", "reference", "momentum", "frozen", "old"}
)


def stripped(name: str) -> str:
    """``module._orig_mod.fc.weight`` is ``fc.weight``."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def same(recorded: str, name: str) -> bool:
    """Whether two names can be of one parameter: equal, or one is seen from further inside."""
    a, b = stripped(recorded), stripped(name)
    return a == b or a.endswith("." + b) or b.endswith("." + a)


def companion(name: str) -> bool:
    """Whether a name says that this is an average, a teacher or a target."""
    modules = name.split(".")[:-1]
    return any(word in COMPANIONS for module in modules for word in module.lower().split("_"))


def expression(name: str) -> str:
    """How to write a parameter of the model: ``model.fc.weight``, or by its name where that is no attribute."""
    return f"model.{name}" if all(part.isidentifier() for part in name.split(".")) else f"model.get_parameter({name!r})"
