"""Parameters whose gradients a data-parallel wrapper does not know of."""

from __future__ import annotations

from collections.abc import Iterator

from torch.nn.parallel import DistributedDataParallel

from verify.binding.finding import Finding
from verify.binding.look import Look
from verify.binding.names import stripped


def not_in_buckets(look: Look) -> Iterator[Finding]:
    for prefix, module in look.modules:
        if not isinstance(module, DistributedDataParallel):
            continue
        reduced = {id(p) for p in reduced_parameters(module)}
        ignored = set(module.parameters_to_ignore)
        for name, parameter in module.module.named_parameters():
            if parameter.requires_grad and id(parameter) not in reduced and name not in ignored:
                yield Finding(
                    "not-in-buckets",
                    "error",
                    stripped(f"{prefix}.{name}" if prefix else name),
                    "it was unfrozen or replaced after DistributedDataParallel had built its reducer, so its gradient is not averaged "
                    "and every rank trains it alone. Write: change the model first, then model = DistributedDataParallel(model).",
                )


def reduced_parameters(module: DistributedDataParallel):
    """Those for which the reducer has a bucket; its views of the gradients tell how many, the wrapper's list which."""
    return getattr(module, "_module_parameters", ())


RULES = (not_in_buckets,)
