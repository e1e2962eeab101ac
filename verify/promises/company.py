"""Promises towards what works with an optimizer: schedulers, the gradient scaler, the compiler, other optimizers."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import torch

from verify.promises.case import (
    Broken,
    Case,
    NotOffered,
    build,
    copies,
    expect_same,
    expect_state,
    fresh,
    give,
    same,
    snapshot,
    takes_late_groups,
    with_new_memory,
)


def schedulers(case: Case) -> None:
    """Every class of torch.optim.lr_scheduler that needs no more than an optimizer drives it for four steps: the
    groups must hold the lr that the scheduler says, the run must be the same bit for bit as one in which lr (and
    the momentum that CyclicLR and OneCycleLR cycle) was written into the groups by hand, and torch must not warn
    that step() was replaced. An lr that is halved before the first step must do what it does as an argument. A run
    that is saved, loaded into a new optimizer and driven on by a new scheduler, which finds "initial_lr" in the
    groups, must go on as the old one.

    Bugs of this kind: groups without "lr", or that refuse the scheduler's own keys, or lose them in a checkpoint; a
    step that cannot be wrapped; lr read at construction.
    """
    params = fresh(case)
    optimizer = build(case, params)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise NotOffered("torch's schedulers take nothing but a torch.optim.Optimizer")
    if "lr" not in case.names:
        raise NotOffered("it has no hyperparameter 'lr'")
    if any("lr" not in group for group in optimizer.param_groups):
        raise Broken("its groups hold no 'lr', which is what a scheduler writes to")
    for name, make in scheduler_makers(optimizer).items():
        try:
            drive(case, name, make)
        except Broken:
            raise
        except Exception as error:
            raise Broken(f"{name} cannot drive it: {type(error).__name__}: {error}") from None
    halved = {"lr": case.arguments["lr"] * 0.5}
    runs = []
    for change in ({}, halved):
        params = fresh(case)
        optimizer = case.factory(params, **{**case.arguments, **change})
        if not change:
            torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5)
        give(case, params, 0)
        optimizer.step()
        runs.append(params)
    expect_same(
        runs[0], runs[1], "with lr halved by LambdaLR before the first step", "it must be as built with half the lr"
    )
    resumed(case)


def resumed(case: Case) -> None:
    """A scheduler that goes on after a checkpoint was loaded into a new optimizer."""

    def scheduled(optimizer: Any, last: int) -> Any:
        return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5**epoch, last_epoch=last)

    params = fresh(case)
    optimizer = build(case, params)
    scheduler = scheduled(optimizer, -1)
    for k in range(2):
        give(case, params, k)
        optimizer.step()
        scheduler.step()
    twins = fresh(case)
    with torch.no_grad():
        for p, twin in zip(params, twins, strict=True):
            twin.copy_(p)
    other = build(case, twins)
    try:
        other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    except Exception:
        return  # that a run can be saved and loaded is for the checks of the state
    try:
        going_on = scheduled(other, 1)
    except Exception as error:
        kind = type(error).__name__
        raise Broken(f"after a checkpoint was loaded, a scheduler cannot go on: {kind}: {error}") from None
    for k in (2, 3):
        for o, s, own in ((optimizer, scheduler, params), (other, going_on, twins)):
            give(case, own, k)
            o.step()
            s.step()
        when = f"loaded after 2 steps and driven on by LambdaLR, after step {k + 1}"
        expect_same(twins, params, when, "it must go on as without a checkpoint")


def scheduler_makers(optimizer: Any) -> dict[str, Callable[[Any], Any]]:
    """The schedulers that need no more than an optimizer."""
    s = torch.optim.lr_scheduler
    makers: dict[str, Callable[[Any], Any]] = {
        "LambdaLR": lambda o: s.LambdaLR(o, lambda epoch: 0.5**epoch),
        "MultiplicativeLR": lambda o: s.MultiplicativeLR(o, lambda epoch: 0.5),
        "StepLR": lambda o: s.StepLR(o, 1, 0.5),
        "MultiStepLR": lambda o: s.MultiStepLR(o, [1, 3], 0.5),
        "ConstantLR": lambda o: s.ConstantLR(o, 0.5, 2),
        "LinearLR": lambda o: s.LinearLR(o, 0.5, total_iters=3),
        "ExponentialLR": lambda o: s.ExponentialLR(o, 0.5),
        "CosineAnnealingLR": lambda o: s.CosineAnnealingLR(o, 4),
        "PolynomialLR": lambda o: s.PolynomialLR(o, 4),
        "ReduceLROnPlateau": lambda o: s.ReduceLROnPlateau(o, factor=0.5, patience=0),
        "CyclicLR": lambda o: s.CyclicLR(o, 0.125, 0.5, step_size_up=2, cycle_momentum=False),
        "OneCycleLR": lambda o: s.OneCycleLR(o, 0.5, total_steps=6, cycle_momentum=False),
        "CosineAnnealingWarmRestarts": lambda o: s.CosineAnnealingWarmRestarts(o, 2),
        "SequentialLR": lambda o: s.SequentialLR(o, [s.ConstantLR(o, 0.5, 2), s.ExponentialLR(o, 0.5)], [2]),
        "ChainedScheduler": lambda o: s.ChainedScheduler([s.ConstantLR(o, 0.5, 2), s.ExponentialLR(o, 0.5)], o),
    }
    if all("momentum" in group or "betas" in group for group in optimizer.param_groups):
        makers["CyclicLR with momentum"] = lambda o: s.CyclicLR(o, 0.125, 0.5, step_size_up=2)
        makers["OneCycleLR with momentum"] = lambda o: s.OneCycleLR(o, 0.5, total_steps=6)
    return makers


def drive(case: Case, name: str, make: Callable[[Any], Any]) -> None:
    """One scheduler against the same values written by hand."""
    params, twins = fresh(case), fresh(case)
    optimizer, by_hand = build(case, params), build(case, twins)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scheduler = make(optimizer)
        for k in range(4):
            give(case, params, k)
            give(case, twins, k)
            for group, twin in zip(optimizer.param_groups, by_hand.param_groups, strict=True):
                twin.update({key: group[key] for key in ("lr", "momentum", "betas") if key in group})
            optimizer.step()
            by_hand.step()
            expect_same(params, twins, f"driven by {name}, after step {k + 1}", "it must step as with lr set by hand")
            if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
                scheduler.step(1.0)
            else:
                scheduler.step()
            says, holds = list(scheduler.get_last_lr()), [group["lr"] for group in optimizer.param_groups]
            if says != holds:
                raise Broken(f"{name} set lr to {says} and the groups hold {holds}; they must hold what was set")
    for warning in caught:
        text = str(warning.message)
        if "optimizer.step()" in text and "lr_scheduler" in text:
            raise Broken(f"driven by {name} in the right order, torch warns: {text.split('. ')[0]}")


def grad_scaler(case: Case) -> None:
    """torch.amp.GradScaler, with and without an explicit unscale_, against steps on the plain gradients: a scale that
    is a power of two must change no bit. A step with an infinite gradient, before the first step or between two,
    must leave parameters and state as they were, and the steps after it must be as if it had not been. Memory
    that nobody has initialised holds NaN while this is tried, so that its use shows every time.

    Bugs of this kind: an optimizer that says it handles the scale itself and forgets found_inf when the gradients
    were unscaled before; a momentum buffer that is made, and never filled, in a step that is skipped.
    """
    for explicit in (False, True):
        for skipped in ((), (0,), (1,)):
            scaled_run(case, skipped, explicit=explicit)


def scaled_run(case: Case, skipped: tuple[int, ...], *, explicit: bool) -> None:
    """Three steps with a scaler, and one more with an infinite gradient before some of them."""
    params, twins = fresh(case), fresh(case)
    optimizer, plain = build(case, params), build(case, twins)
    device = params[0].device.type
    scaler = torch.amp.GradScaler(device, init_scale=16.0, growth_interval=1000)
    scaler.scale(torch.ones((), device=device))  # the scale is a tensor from here on
    how = "GradScaler, after unscale_()" if explicit else "GradScaler"
    for k in range(3):
        if k in skipped:
            when = f"{how}, an infinite gradient {'before the first step' if k == 0 else f'after step {k}'}"
            infinite_step(case, params, optimizer, scaler, k, when, explicit=explicit)
            how = when
        give(case, twins, k)
        plain.step()
        step_scaled(case, params, optimizer, scaler, k, explicit=explicit)
        expect_same(params, twins, f"with {how}, after step {k + 1}", "it must be the same as without a scaler")


def step_scaled(case: Case, params: list, optimizer: Any, scaler: Any, k: int, *, explicit: bool) -> None:
    """A step on gradients that are multiplied by the scale."""
    give(case, params, k)
    for p in params:
        if p.grad is not None:
            p.grad.mul_(scaler.get_scale())
    if explicit:
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()


def infinite_step(case: Case, params: list, optimizer: Any, scaler: Any, k: int, when: str, *, explicit: bool) -> None:
    """A step that the scaler must skip."""
    before = copies(params)
    kept = snapshot(optimizer, params)

    def infinite() -> None:
        give(case, params, k)
        with torch.no_grad():
            for p in params:
                if p.grad is not None:
                    held = p.grad._values() if p.grad.is_sparse else p.grad
                    held[(0,) * held.ndim] = float("inf")
        if explicit:
            scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()

    with_new_memory(infinite, True)
    expect_same(params, before, f"with {when}", "the step must be skipped")
    expect_state(optimizer, params, kept, f"with {when}", "the step must be skipped")


def compiled(case: Case) -> None:
    """Four steps, lr halved before the last, of torch.compile(optimizer.step, backend="eager"), which traces the
    step and runs what it traced, against the same steps without. Code that keeps its count in a tensor computes
    its scalars in tensors then, with their precision: where the bits differ, the reference says how far they may.

    Bugs of this kind: a branch for the compiler that computes something else, a count that is a constant in the
    traced code, a buffer that is not stored.
    """
    params, twins = fresh(case), fresh(case)
    optimizer, plain = build(case, params), build(case, twins)
    step = torch.compile(optimizer.step, backend="eager")
    try:
        for k in range(4):
            for group in (*optimizer.param_groups, *plain.param_groups):
                if k == 3 and "lr" in group:
                    group["lr"] = group["lr"] * 0.5
            give(case, params, k)
            give(case, twins, k)
            step()
            plain.step()
            for p, twin in zip(params, twins, strict=True):
                if bool(((p - twin).abs() > case.slack).any()) or not same(p.isfinite(), twin.isfinite()):
                    allowed = f", beyond {case.slack:.2g}" if case.slack else ""
                    rest = f"compiled code must do what the code does{allowed}"
                    expect_same(params, twins, f"with step compiled, after step {k + 1}", rest)
    finally:
        torch._dynamo.reset()


def neighbours(case: Case) -> None:
    """Two optimizers of the class, with other parameters, other hyperparameters and other gradients, are built one
    after the other and step in turn, in every order; each must do what it does alone, bit for bit. A group that is
    added to the first, when the second is there, takes what it does not say from the first's own arguments. An
    optimizer on parameters that another one moved, whose values were put back, must do what the other did.

    Bugs of this kind: state, counts or hyperparameters at class level, a cache that is keyed by shape, a mutable
    default argument, a velocity that is kept on the parameter.
    """
    alone = [walk_alone(case, {}, 0), walk_alone(case, case.other, 1)]
    for built in ((0, 1), (1, 0)):
        for turn in ((0, 1), (1, 0)):
            params = [fresh(case), fresh(case)]
            optimizers: list[Any] = [None, None]
            for which in built:
                optimizers[which] = build(case, params[which], **(case.other if which else {}))
            for k in range(3):
                for which in turn:
                    give(case, params[which], k + which)
                    optimizers[which].step()
            for which in (0, 1):
                place = "first" if built[0] == which else "second"
                when = f"built {place} of two of the class, after three steps in turn"
                expect_same(params[which], alone[which], when, "it must be the same as alone")
    if takes_late_groups(case):
        late = [walk_late(case, beside) for beside in (False, True)]
        when = "when a second one was built before a group was added to the first, after two steps"
        expect_same(late[1], late[0], when, "the group must take the arguments of the first")
    on_used_parameters(case)


def on_used_parameters(case: Case) -> None:
    """A second optimizer on the parameters of a first, which is still there."""
    params = fresh(case)
    first = walk(case, params)
    ended = copies(params)
    with torch.no_grad():
        for p, start in zip(params, case.parameters, strict=True):
            p.copy_(start)
            p.grad = None
    second = walk(case, params)
    when = "on parameters that another one moved, whose values were put back, after three steps"
    expect_same(params, ended, when, "it must do what the other did")
    del first, second


def walk_late(case: Case, beside: bool) -> list[torch.Tensor]:
    """Parameters after two steps, the last of them in a group that says nothing and was added later."""
    params, others = fresh(case), fresh(case)
    optimizer = case.factory(params[:-1], **case.arguments)
    other = build(case, others, **case.other) if beside else None
    optimizer.add_param_group({"params": [params[-1]]})
    for k in range(2):
        give(case, params, k)
        give(case, others, k + 1)
        optimizer.step()
        if other is not None:
            other.step()
    return params


def walk(case: Case, params: list[torch.Tensor]) -> Any:
    """The optimizer that moved these parameters three steps; it is still there while it is held."""
    optimizer = build(case, params)
    for k in range(3):
        give(case, params, k)
        optimizer.step()
    return optimizer


def walk_alone(case: Case, changes: dict[str, Any], shift: int) -> list[torch.Tensor]:
    """Parameters after three steps."""
    params = fresh(case)
    optimizer = build(case, params, **changes)
    for k in range(3):
        give(case, params, k + shift)
        optimizer.step()
    return params
