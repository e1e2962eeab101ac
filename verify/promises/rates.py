"""Promises about the kinds of number that lr may be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from reference.rounding import FACTOR
from verify.promises.case import Broken, Case, NotOffered, copies, expect_same, fresh, give, same

# the distance from 1 to the next number in float32
NEXT = 2.0**-23


def lr_types(case: Case) -> None:
    """lr is an int, a numpy.float64 and a numpy.float32: given to the constructor, in a group, and written into a
    group between two steps. Each must be taken, and do bit for bit what the Python float of the same value does (a
    numpy.float32 up to its digits, for numpy computes with them).

    Bugs of this kind: a constructor that demands a float; arithmetic that is integer when lr is; a number that is
    taken for something else because it is no float.
    """
    import numpy

    if "lr" not in case.names:
        raise NotOffered("it has no hyperparameter 'lr'")
    kinds: dict[str, tuple[Any, float]] = {
        "an int": (1, 1.0),
        "a numpy.float64": (numpy.float64(0.125), 0.125),
        "a numpy.float32": (numpy.float32(0.125), 0.125),
    }
    for what, (lr, number) in kinds.items():
        for place, run in lr_places().items():
            expected, _ = run(case, number)
            try:
                got, _ = run(case, lr)
            except Exception as error:
                raise Broken(
                    f"lr as {what} {place} raises {type(error).__name__}: {error}; it must be taken like a float"
                ) from None
            when, rest = f"with lr as {what}, {lr}, {place}", f"it must step as with lr={number!r}"
            if what == "a numpy.float32":
                nudged, _ = run(case, number * (1 + NEXT))
                expect_near(case, got, expected, nudged, 3, when, rest)
            else:
                expect_same(got, expected, when, rest)


def lr_places() -> dict[str, Callable[[Case, Any], tuple[list[torch.Tensor], Any]]]:
    """Ways to say lr; each makes three steps and gives the parameters and the optimizer."""
    return {"in the constructor": run_constructed, "in a group": run_grouped, "written into a group": run_written}


def run_constructed(case: Case, lr: Any) -> tuple[list[torch.Tensor], Any]:
    """lr is an argument of the constructor."""
    params = fresh(case)
    optimizer = case.factory(params, **{**case.arguments, "lr": lr})
    return steps(case, params, optimizer, 0, 3)


def run_grouped(case: Case, lr: Any) -> tuple[list[torch.Tensor], Any]:
    """lr is an entry of a group that the constructor gets."""
    params = fresh(case)
    optimizer = case.factory([{"params": params, "lr": lr}], **case.arguments)
    return steps(case, params, optimizer, 0, 3)


def run_written(case: Case, lr: Any) -> tuple[list[torch.Tensor], Any]:
    """lr is written into the group after the first step."""
    params = fresh(case)
    optimizer = case.factory(params, **case.arguments)
    steps(case, params, optimizer, 0, 1)
    for group in optimizer.param_groups:
        group["lr"] = lr
    return steps(case, params, optimizer, 1, 3)


def steps(case: Case, params: list[torch.Tensor], optimizer: Any, start: int, end: int) -> tuple[list, Any]:
    """Some steps; the parameters and the optimizer again."""
    for k in range(start, end):
        give(case, params, k)
        optimizer.step()
    return params, optimizer


def tensor_lr(case: Case) -> None:
    """lr is a tensor of no dimensions, in float32 and float64: given to the constructor, in a group, and written into
    a group between two steps. An exception that says "tensor" is a refusal in words, and enough. Otherwise the step
    must do what the float does, up to the digits that arithmetic with tensors loses; it must leave the tensor as it
    is; and when what the group holds is set to another value as torch's schedulers do, a tensor by fill_, the next
    steps must follow.

    Bugs of this kind: a crash deep inside; a number that is read once from the tensor and remembered; a tensor that
    is corrected in place.
    """
    if "lr" not in case.names:
        raise NotOffered("it has no hyperparameter 'lr'")
    refusal = ""
    taken = 0
    for dtype in (torch.float32, torch.float64):
        for place, run in lr_places().items():
            lr = torch.tensor(0.125, dtype=dtype, device=case.parameters[0].device)
            what = f"lr as a tensor, {dtype}, {place}"
            try:
                params, optimizer = run(case, lr)
            except Exception as error:
                if "tensor" not in str(error).lower():
                    kind = type(error).__name__
                    raise Broken(
                        f"{what} raises {kind}: {error}; it must be taken, or refused in words that say tensor"
                    ) from None
                refusal = str(error).split(". ")[0]
                continue
            taken += 1
            twins, plain = run(case, 0.125)
            nudged, beside = run(case, 0.125 * (1 + NEXT))
            expect_near(case, params, twins, nudged, 3, f"with {what}", "it must step as with the float")
            for group in optimizer.param_groups:
                held = group.get("lr")
                if held is None or float(held) != 0.125:
                    raise Broken(f"{what}: after three steps the group holds {held!r}; a step must leave lr as it is")
                group["lr"] = held.fill_(0.5) if isinstance(held, torch.Tensor) else 0.5
            for group, next_to in zip(plain.param_groups, beside.param_groups, strict=True):
                group["lr"], next_to["lr"] = 0.5, 0.5 * (1 + NEXT)
            try:
                steps(case, params, optimizer, 3, 5)
            except Exception as error:
                if "tensor" not in str(error).lower():
                    raise
                continue
            steps(case, twins, plain, 3, 5)
            steps(case, nudged, beside, 3, 5)
            when = f"with {what}, set to 0.5 in the group as schedulers do"
            expect_near(case, params, twins, nudged, 5, when, "it must step as with the float 0.5")
    if not taken:
        raise NotOffered(f"it refuses lr as a tensor: {refusal}")


def expect_near(
    case: Case,
    got: list[torch.Tensor],
    expected: list[torch.Tensor],
    nudged: list[torch.Tensor],
    count: int,
    when: str,
    rest: str,
) -> None:
    """Broken if a parameter is farther from where a float takes it than arithmetic in float32 can.

    Args:
        nudged: where the float takes it that is next to it in float32.
        count: of the steps, each of which rounds.
    """
    for p, twin, next_to, start in zip(copies(got), copies(expected), copies(nudged), case.parameters, strict=True):
        unit = max(torch.finfo(p.dtype).eps, NEXT)
        allowed = FACTOR * ((next_to - twin).abs() + count * unit * torch.maximum(twin.abs(), start.abs()))
        if bool(((p - twin).abs() > allowed).any()) or not same(p.isfinite(), twin.isfinite()):
            expect_same(got, expected, when, rest)
