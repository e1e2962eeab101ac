"""Promises about a call of ``step``."""

from __future__ import annotations

import contextlib
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
    give_with_graph,
    snapshot,
    state_of,
)


def closure(case: Case) -> None:
    """Steps with a closure, by position and by keyword, with autograd on and off, against steps whose gradients
    were set by hand. Before the closure is called p.grad holds other numbers, or None. A closure that raises must
    be as if step() had not been called: its exception passes, nothing moves, and the next step is the same. An lr
    that the closure writes into the groups is the one that the step uses.

    Bugs of this kind: a closure that is never run, or run under no_grad so that its backward fails, or after the
    gradients or lr were read; a loss that is not returned; step() that needs a closure, or returns 0.0 without one;
    a count that is advanced, or a flag that is set, before the closure and stays when it raises.
    """
    expected = fresh(case)
    by_hand = build(case, expected)
    trials = [(mode, fresh(case)) for mode in (torch.enable_grad, torch.no_grad)]
    optimizers = [build(case, params) for _, params in trials]
    for k in range(len(case.gradients)):
        give(case, expected, k)
        returned = by_hand.step()
        if returned is not None:
            raise Broken(f"step() without a closure returned {returned!r}; it must return None")
        for (mode, params), optimizer in zip(trials, optimizers, strict=True):
            with mode():
                step_with_closure(case, optimizer, params, k, keyword=mode is torch.no_grad)
            when = f"after step {k + 1} with a closure"
            expect_same(params, expected, when, "it must use the gradients that the closure leaves")
    closure_that_raises(case)
    closure_without_gradients(case)
    closure_that_edits(case)


def closure_that_raises(case: Case) -> None:
    """Before every step one whose closure raises, against steps without."""
    params, twins = fresh(case), fresh(case)
    optimizer, plain = build(case, params), build(case, twins)
    for k in range(len(case.gradients)):
        before, kept = copies(params), snapshot(optimizer, params)
        give(case, params, k)
        when = "when the closure raised" + (f", after step {k}" if k else ", before the first step")
        passed = False
        try:
            optimizer.step(interrupted)
        except Interrupted:
            passed = True
        if not passed:
            raise Broken(f"{when}, step() swallowed the exception; it must pass")
        expect_same(params, before, when, "nothing may move")
        expect_state(optimizer, params, kept, when, "it must stay as it was")
        give(case, params, k)
        give(case, twins, k)
        optimizer.step()
        plain.step()
        expect_same(params, twins, f"in the step after the closure raised, step {k + 1}", "it must be as without it")


def interrupted() -> None:
    """A closure that raises."""
    raise Interrupted


def closure_without_gradients(case: Case) -> None:
    """Closures that find no gradients, as after zero_grad(), and make them."""
    params, twins = fresh(case), fresh(case)
    optimizer, plain = build(case, params), build(case, twins)
    for k in range(len(case.gradients)):
        for p in params:
            p.grad = None

        def evaluate(k: int = k) -> float:
            give(case, params, k)
            return 0.5

        optimizer.step(evaluate)
        give(case, twins, k)
        plain.step()
        when = f"after step {k + 1}, before whose closure there were no gradients"
        expect_same(params, twins, when, "it must use the gradients that the closure leaves")


def closure_that_edits(case: Case) -> None:
    """A closure that halves lr in the groups."""
    params, twins = fresh(case), fresh(case)
    optimizer, plain = build(case, params), build(case, twins)
    groups = (*optimizer.param_groups, *plain.param_groups)
    if any(not isinstance(group.get("lr"), float) for group in groups):
        return
    for k in range(2):

        def evaluate(k: int = k) -> float:
            give(case, params, k)
            halve(optimizer, k)
            return 0.5

        optimizer.step(evaluate)
        give(case, twins, k)
        halve(plain, k)
        plain.step()
        expect_same(params, twins, "after a step whose closure halves lr", "it must use the lr that the closure leaves")


def halve(optimizer: Any, k: int) -> None:
    """Halve lr in every group, but for the first step."""
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * (0.5 if k else 1.0)


def step_with_closure(case: Case, optimizer: Any, params: list[torch.Tensor], k: int, *, keyword: bool) -> None:
    """One step with a closure that notes how it is called."""
    before, loss = copies(params), torch.tensor(0.5)
    enabled: list[bool] = []

    def evaluate() -> torch.Tensor:
        enabled.append(torch.is_grad_enabled())
        expect_same(params, before, "when the closure runs", "the closure must run before the parameters move")
        give(case, params, k)
        return loss

    for p in params:
        p.grad = torch.full_like(p, 3.0)
    how = "step(closure=closure)" if keyword else "step(closure)"
    returned = optimizer.step(closure=evaluate) if keyword else optimizer.step(evaluate)
    if len(enabled) != 1:
        raise Broken(f"{how} ran the closure {len(enabled)} times; it must run it once")
    if not enabled[0]:
        raise Broken(f"{how} ran the closure with autograd off; it must run it under torch.enable_grad()")
    number = returned.item() if isinstance(returned, torch.Tensor) and returned.numel() == 1 else returned
    if not isinstance(number, int | float) or number != 0.5:
        raise Broken(f"{how} returned {returned!r}; it must return the closure's loss, {loss!r}")


class Interrupted(Exception):
    """Raised by a closure."""


def grad_mode(case: Case) -> None:
    """Steps with autograd on and off give the same numbers, leave the mode as it was (also when the closure
    or the step raises), and no graph behind: parameters stay leaves, and no tensor of the state has a grad_fn. So it
    must be with gradients that have a graph themselves, as create_graph leaves them, and they keep it.

    Bugs of this kind: set_grad_enabled without putting it back, an update that relies on its caller's no_grad,
    moments that hold the graph of all steps and with it all memory.
    """
    modes = ((torch.enable_grad, "autograd on"), (torch.no_grad, "autograd off"))
    runs = []
    for graph, (mode, name) in [(graph, mode) for graph in (False, True) for mode in modes]:
        params = fresh(case)
        optimizer = build(case, params)
        how = f"step() with {name}" + (" and gradients that have a graph" if graph else "")
        for k in range(len(case.gradients)):
            (give_with_graph if graph else give)(case, params, k)
            nodes = [None if p.grad is None else p.grad.grad_fn for p in params]
            with mode():
                expect_same_modes(optimizer.step, how)
            for i, p in enumerate(params):
                if p.grad_fn is not None or not p.is_leaf:
                    raise Broken(f"after {how} parameter {i} belongs to a graph; it must stay a leaf")
                if p.grad is not None and p.grad.grad_fn is not nodes[i] and graph:
                    raise Broken(
                        f"{how} took the gradient of parameter {i} out of its graph; gradients are the caller's"
                    )
            for where, x in state_of(optimizer, params):
                if isinstance(x, torch.Tensor) and (x.grad_fn is not None or (graph and x.requires_grad)):
                    raise Broken(f"after {how} the state {where} has a grad_fn; it must hold no graph")
        runs.append((how, params))
        with mode():
            expect_same_modes(
                lambda optimizer=optimizer: step_that_raises(optimizer), f"a closure that raises, {name},"
            )
            for p in params:
                p.grad = None if p.grad is None or not p.grad.ndim else p.grad.detach().to_sparse()
            expect_same_modes(
                lambda optimizer=optimizer: step_suppressed(optimizer), f"a step on sparse gradients, {name},"
            )
    for how, params in runs[1:]:
        expect_same(params, runs[0][1], f"after {how}", "it must be the same as with autograd on")


def expect_same_modes(function: Any, what: str) -> None:
    """Broken if grad mode or inference mode is another after a call."""
    before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    function()
    after = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    if after[0] != before[0]:
        torch.set_grad_enabled(before[0])
        was, now = ("on" if x else "off" for x in (before[0], after[0]))
        raise Broken(f"{what} left autograd {now}; it must leave it {was}, as it was")
    if after[1] != before[1]:
        raise Broken(f"{what} changed the inference mode; it must leave it as it was")


def step_that_raises(optimizer: Any) -> None:
    """A step whose closure raises."""

    with contextlib.suppress(Exception):  # that it must pass is another promise
        optimizer.step(interrupted)


def step_suppressed(optimizer: Any) -> None:
    """A step that may raise."""
    with contextlib.suppress(Exception):
        optimizer.step()


def hooks(case: Case) -> None:
    """Two hooks of each kind are registered: before and after a step, before and after state_dict() and
    load_state_dict(). Each must run once, in its turn, on this optimizer; a hook before a step may give it a
    closure, a hook after state_dict() may return another dict, a hook before load_state_dict() may give it
    another; a hook that was removed does not run.

    Bugs of this kind: step bound to a function in the constructor, past torch's hooks; state_dict and
    load_state_dict written anew; super().__init__() never called.
    """
    params = fresh(case)
    optimizer = build(case, params)
    before, after = "register_step_pre_hook", "register_step_post_hook"
    for name in (before, after):
        if not hasattr(optimizer, name):
            raise NotOffered(f"it has no {name}")
    calls: list[str] = []
    start = copies(params)

    def noted(text: str, moved: bool) -> Any:
        def hook(caller: Any, args: Any, kwargs: Any) -> None:
            if caller is not optimizer or not isinstance(args, tuple) or not isinstance(kwargs, dict):
                raise Broken("a step hook must get the optimizer, the arguments as a tuple and the keywords as a dict")
            if not moved:
                expect_same(params, start, "when a hook before the step runs", "it must run before they move")
            calls.append(text)

        return hook

    handles = [getattr(optimizer, before)(noted(x, False)) for x in ("first before", "second before")]
    handles += [getattr(optimizer, after)(noted(x, True)) for x in ("first after", "second after")]
    give(case, params, 0)
    optimizer.step()
    if calls != ["first before", "second before", "first after", "second after"]:
        told = ", ".join(calls) or "none"
        raise Broken(
            f"two hooks before and two after a step are registered, and step() ran: {told}; each must run once"
        )
    for handle in handles:
        handle.remove()
    optimizer.step()
    if len(calls) != 4:
        raise Broken("a step hook that was removed ran again")
    ran: list[int] = []

    def evaluate() -> float:
        ran.append(1)
        return 0.5

    optimizer.step(evaluate)
    if ran:  # else a hook cannot pass one either
        handle = getattr(optimizer, before)(lambda caller, args, kwargs: (args, {**kwargs, "closure": evaluate}))
        ran.clear()
        optimizer.step()
        handle.remove()
        if not ran:
            raise Broken(
                "a hook before the step gave step() a closure, which it did not run; it must use what hooks return"
            )
    state_dict_hooks(optimizer)


def state_dict_hooks(optimizer: Any) -> None:
    """The hooks around state_dict() and load_state_dict()."""
    calls: list[str] = []

    def noted(text: str) -> Any:
        def hook(caller: Any, *rest: Any) -> None:
            if caller is not optimizer:
                raise Broken(f"a hook {text} must get the optimizer")
            calls.append(text)

        return hook

    kinds = {
        "before state_dict()": "register_state_dict_pre_hook",
        "after state_dict()": "register_state_dict_post_hook",
        "before load_state_dict()": "register_load_state_dict_pre_hook",
        "after load_state_dict()": "register_load_state_dict_post_hook",
    }
    handles = [getattr(optimizer, method)(noted(text)) for text, method in kinds.items() if hasattr(optimizer, method)]
    expected = [text for text, method in kinds.items() if hasattr(optimizer, method)]
    optimizer.load_state_dict(optimizer.state_dict())
    for text in expected:
        if calls.count(text) != 1:
            raise Broken(f"a hook {text} ran {calls.count(text)} times; it must run once")
    for handle in handles:
        handle.remove()
    optimizer.load_state_dict(optimizer.state_dict())
    if len(calls) != len(expected):
        raise Broken("a hook of state_dict() or load_state_dict() that was removed ran again")
    if len(expected) < 4:
        return
    handle = optimizer.register_state_dict_post_hook(lambda caller, saved: {**saved, "note": 1})
    saved = optimizer.state_dict()
    handle.remove()
    if saved.get("note") != 1:
        raise Broken("a hook after state_dict() returned another dict, and state_dict() did not return it")
    saved.pop("note")
    if "lr" not in saved["param_groups"][0]:
        return
    other = {**saved, "param_groups": [{**group, "lr": 0.375} for group in saved["param_groups"]]}
    handle = optimizer.register_load_state_dict_pre_hook(lambda caller, given: other)
    optimizer.load_state_dict(saved)
    handle.remove()
    if optimizer.param_groups[0]["lr"] != 0.375:
        raise Broken("a hook before load_state_dict() returned another dict, and load_state_dict() did not load it")
