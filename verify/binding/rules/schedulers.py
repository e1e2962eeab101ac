"""Schedulers on the wrong optimizer, too short for its groups, or out of step with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from verify.binding.finding import Finding
from verify.binding.look import Look
from verify.binding.subjects import unwrapped

# they walk their own list beside the groups, or look options up that a new group lacks
RAISING = ("LambdaLR", "MultiplicativeLR", "CyclicLR", "CosineAnnealingWarmRestarts", "OneCycleLR")


def scheduler_foreign(look: Look) -> Iterator[Finding]:
    optimizers = {id(layer) for owner in look.subjects.owners for layer in owner.layers()}
    for scheduler in look.subjects.schedulers:
        driven = unwrapped(scheduler.optimizer)
        if not any(id(layer) in optimizers for layer in driven):
            yield Finding(
                "scheduler-foreign",
                "error",
                type(scheduler).__name__,
                f"it drives another {type(driven[-1]).__name__} than those given, so the learning rate of the one that steps never "
                f"changes. Build it again after the optimizer: scheduler = {type(scheduler).__name__}(optimizer, ...).",
            )


def scheduler_groups(look: Look) -> Iterator[Finding]:
    for scheduler in look.subjects.schedulers:
        base, groups = getattr(scheduler, "base_lrs", None), _groups(scheduler)
        if base is None or groups is None or len(base) == len(groups):
            continue
        name = type(scheduler).__name__
        raises = name in RAISING and len(base) < len(groups)
        fate = "its step() raises" if raises else "the others are scaled from the wrong start"
        yield Finding(
            "scheduler-groups",
            "error" if raises else "warning",
            name,
            f"it was built for {len(base)} param groups, and its optimizer has {len(groups)}: {fate}. Add all groups first, then "
            f"build the scheduler.",
        )


def scheduler_drift(look: Look) -> Iterator[Finding]:
    """Only where one scheduler alone drives an optimizer: several disagree by design."""
    for scheduler in _alone(look):
        groups = _groups(scheduler)
        said = getattr(scheduler, "_last_lr", None)
        if groups is None or said is None:
            continue
        now = [_number(group["lr"]) for group in groups if "lr" in group]
        said = [_number(lr) for lr in said]
        if len(now) == len(said) and now != said:
            yield Finding(
                "scheduler-drift",
                "warning",
                type(scheduler).__name__,
                f"it set the learning rates {said} last, and the groups have {now}: only one of the two was loaded, or in the wrong "
                "order, or a rate was set by hand. Build both first, then load the scheduler, and the optimizer last.",
            )


def scheduler_stacked(look: Look) -> Iterator[Finding]:
    for several in _by_optimizer(look).values():
        if len(several) > 1:
            names = ", ".join(type(s).__name__ for s in several)
            yield Finding(
                "scheduler-stacked",
                "info",
                names,
                "they drive one optimizer, each from initial_lr, and multiply or overwrite what the others set. If that is not "
                "meant, write: SequentialLR(optimizer, [...], milestones=[...]).",
            )


def _by_optimizer(look: Look) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for scheduler in look.subjects.schedulers:
        found.setdefault(id(unwrapped(scheduler.optimizer)[-1]), []).append(scheduler)
    return found


def _alone(look: Look) -> list[Any]:
    return [several[0] for several in _by_optimizer(look).values() if len(several) == 1]


def _groups(scheduler: Any) -> list[dict[str, Any]] | None:
    return getattr(unwrapped(scheduler.optimizer)[-1], "param_groups", None)


def _number(lr: Any) -> float:
    return lr.item() if isinstance(lr, Tensor) else lr


RULES = (scheduler_foreign, scheduler_groups, scheduler_drift, scheduler_stacked)
