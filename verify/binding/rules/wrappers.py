"""Wrappers around an optimizer whose param groups are not the optimizer's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from verify.binding.finding import Finding
from verify.binding.look import Look


def wrapper_groups(look: Look) -> Iterator[Finding]:
    for owner in look.owners:
        for wrapper, inner in pairwise(owner.layers()):
            outside, inside = getattr(wrapper, "param_groups", None), inner.param_groups
            if not outside or outside is inside or all(a is b for a, b in zip(outside, inside, strict=False)):
                continue
            held = [[id(p) for p in group["params"]] for group in outside]
            if held != [[id(p) for p in group["params"]] for group in inside]:
                continue  # copies of the parameters, or a choice of them: another kind of wrapper
            apart = [
                key
                for a, b in zip(outside, inside, strict=True)
                for key in a
                if key in b and key == "lr" and a[key] != b[key]
            ]
            name = type(wrapper).__name__
            now = " They differ already: lr." if apart else ""
            yield Finding(
                "wrapper-groups",
                "error" if apart else "warning",
                f"{name} around {owner.name}",
                f"it has param groups of its own, so what is set in one, by hand or by a scheduler, does not arrive in the other.{now} "
                f"Write: wrapper.param_groups = wrapper.{_attribute(wrapper, inner)}.param_groups, also after load_state_dict.",
            )


def _attribute(wrapper: object, inner: object) -> str:
    return next((key for key, value in vars(wrapper).items() if value is inner), "optimizer")


RULES = (wrapper_groups,)
