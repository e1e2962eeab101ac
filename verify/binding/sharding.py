"""FSDP2 puts whole parameters in the place of the sharded ones for forward and backward, and may leave them there."""

from __future__ import annotations

from torch import Tensor
from torch.nn import Module


def stand_ins(module: Module) -> dict[int, Tensor]:
    """For the id of every whole parameter that a ``fully_shard`` module has made, the sharded one that is trained."""
    state = module._get_fsdp_state() if hasattr(type(module), "_get_fsdp_state") else None  # type: ignore[operator]
    if state is None:
        return {}
    groups = getattr(state, "_fsdp_param_groups", None) or [state._fsdp_param_group]
    parameters = [parameter for group in groups if group is not None for parameter in group.fsdp_params]
    return {id(p._unsharded_param): p.sharded_param for p in parameters if hasattr(p, "_unsharded_param")}
