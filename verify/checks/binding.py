"""Family ``binding``: an optimizer moves the tensors that its groups hold now, wherever their memory is."""

from __future__ import annotations

from verify.checks.promised import few, grouped, register

register(
    "binding.replaced",
    "A parameter that is replaced in its group, with its state, goes on as the old one would have.",
    grouped,
)
register(
    "binding.anew",
    "A parameter that is replaced in its group, without its state, starts anew.",
    grouped,
    needs=("separate",),
)
register(
    "binding.regrouped",
    "A group that is deleted leaves nothing behind, and another can be added in its place.",
    few,
    needs=("separate", "add_param_group"),
)
register(
    "binding.storage",
    "A parameter whose data were put into new memory moves there.",
    grouped,
)
register(
    "binding.groups",
    "What param_groups holds is what is moved: parameters can be taken out, and groups replaced.",
    grouped,
    needs=("separate",),
)
