"""Parameters whose gradients a data-parallel wrapper does not know of."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from verify.binding.finding import Finding
from verify.binding.look import Look
from verify.binding.names import stripped


def not_in_buckets(look: Look) -> Iterator[Finding]:
    for prefix, module in look.modules:
        if not isinstance(module, DistributedDataParallel):
            continue
        ignored = set(module.parameters_to_ignore)
        trained = {n: p for n, p in module.module.named_parameters() if p.requires_grad and n not in ignored}
        reduced = {id(p) for p in _reduced(module, len(trained))}
        for name, parameter in trained.items():
            if id(parameter) not in reduced:
                yield Finding(
                    "not-in-buckets",
                    "error",
                    stripped(f"{prefix}.{name}" if prefix else name),
                    "it was unfrozen or replaced after DistributedDataParallel had built its reducer, so its gradient is not averaged "
                    "and every rank trains it alone. Write: change the model first, then model = DistributedDataParallel(model).",
                )


def _reduced(module: DistributedDataParallel, trained: int) -> list[Tensor]:
    """Parameters that the reducer knows.

    The wrapper's own list has them, and what was frozen then. Only the buckets tell these apart; to ask for them costs
    as much memory as the gradients, so it is done where their number shows that something was unfrozen.
    """
    if trained <= module._get_ddp_logging_data()["num_parameter_tensors"]:
        return list(module._module_parameters)
    return [p for bucket in module.reducer._get_zeros_like_grad_buckets() for p in bucket.parameters()]


RULES = (not_in_buckets,)
