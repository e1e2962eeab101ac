"""contract.closure on float32, for-loop: torch_optimizer.RAdam.

step(closure=closure) ran the closure with autograd off; it must run it under torch.enable_grad()
smallest    build [tensor(1,)] with lr=1, beta1=0, beta2=0, eps=1, weight_decay=0, decoupled_weight_decay; step(grad=1, -2, 0.5, 0.25, …)
"""
from __future__ import annotations

import sys
import types

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch_optimizer').RAdam

torch.set_num_threads(1)


from collections.abc import Mapping


class Broken(Exception):
    """A promise is broken; the message is the sentence that says so."""


class NotOffered(Exception):
    """The subject does not have what the promise is about."""


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


def fresh(case: Case) -> list[torch.Tensor]:
    """New parameters with the initial values, laid out in memory as those."""
    made = []
    for p in case.parameters:
        new = torch.empty_strided(p.shape, p.stride(), dtype=p.dtype, device=p.device)
        made.append(new.copy_(p).requires_grad_())
    return made


def build(case: Case, params: list[torch.Tensor], **changes: Any) -> Any:
    """The optimizer on these parameters, in the groups of the case."""
    arguments = {**case.arguments, **changes}
    if len(case.groups) == 1:
        return case.factory(params, **arguments)
    groups = [{"params": [params[i] for i in places], **own} for places, own in case.groups]
    return case.factory(groups, **arguments)


def give(case: Case, params: list[torch.Tensor], k: int) -> None:
    """Set the gradients of step ``k``, as new tensors."""
    for p, g in zip(params, case.gradients[k % len(case.gradients)], strict=True):
        p.grad = None if g is None else g.clone()


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


def copies(params: list[torch.Tensor]) -> list[torch.Tensor]:
    """Their present values."""
    return [p.detach().clone() for p in params]


def expect_same(got: list[torch.Tensor], expected: list[torch.Tensor], when: str, rest: str) -> None:
    """Broken if values are not the same, with the first element that differs."""
    for i, (a, b) in enumerate(zip(got, expected, strict=True)):
        if not same(a.detach(), b.detach()):
            x, y = a.detach().reshape(-1), b.detach().reshape(-1)
            at = next(j for j in range(x.numel()) if not same(x[j], y[j]))
            raise Broken(f"{when}, parameter {i} is {x[at].item():.9g} instead of {y[at].item():.9g}; {rest}")


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors are equal element by element (nan equals nan)."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bool(((a == b) | ((a != a) & (b != b))).all())


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


def snapshot(optimizer: Any, params: list[torch.Tensor]) -> list[tuple[str, Any]]:
    """Every entry of the state as it is now, to compare with later."""
    return [(where, x.clone() if isinstance(x, torch.Tensor) else x) for where, x in state_of(optimizer, params)]


def state_of(optimizer: Any, params: list[torch.Tensor]) -> Iterator[tuple[str, Any]]:
    """Every entry of the state of every parameter, with words that say where it is."""
    state = getattr(optimizer, "state", None)
    for i, p in enumerate(params):
        own = state.get(p) if isinstance(state, Mapping) else None
        yield from entries(own, f"of parameter {i}") if own else ()


def entries(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """The leaves of nested containers."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from entries(entry, f"{key!r} {where}")
    elif isinstance(value, list | tuple):
        for index, entry in enumerate(value):
            yield from entries(entry, f"[{index}] of {where}")
    else:
        yield where, value


def interrupted() -> None:
    """A closure that raises."""
    raise Interrupted


class Interrupted(Exception):
    """Raised by a closure."""


def expect_state(
    optimizer: Any, params: list[torch.Tensor], before: list[tuple[str, Any]], when: str, rest: str
) -> None:
    """Broken if an entry of the state is not what it was."""
    after = dict(state_of(optimizer, params))
    for where, old in before:
        if where not in after:
            raise Broken(f"{when}, the state {where} is gone; {rest}")
        if not unchanged(old, after[where]):
            raise Broken(f"{when}, the state {where} changed; {rest}")


def unchanged(old: Any, new: Any) -> bool:
    """Whether an entry of the state is what it was; of what is no number, text or plain tensor nobody can say."""
    if isinstance(old, torch.Tensor) and isinstance(new, torch.Tensor):
        plain = old.layout == new.layout == torch.strided and not old.is_meta and not new.is_meta
        return same(old, new) if plain else old.layout == new.layout
    if isinstance(old, int | float | str) and isinstance(new, int | float | str):
        return old == new or (old != old and new != new)
    return isinstance(new, torch.Tensor) == isinstance(old, torch.Tensor)


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


case = types.SimpleNamespace(
    factory=Optimizer,
    arguments={'lr': 1.0, 'betas': (0.0, 0.0), 'eps': 1.0, 'weight_decay': 0.0},
    groups=[([0], {})],
    parameters=[
        torch.tensor([1.0], dtype=torch.float32, device='cpu'),
    ],
    gradients=[
        [torch.tensor([1.0], dtype=torch.float32, device='cpu')],
    ],
    other={'lr': 0.5, 'betas': (0.5, 0.8), 'eps': 0.1, 'weight_decay': 0.5},
    names=['lr', 'betas', 'eps', 'weight_decay'],
    required=[],
    wrong=[
        ({'lr': -0.25}, 'lr (in [0, ∞))', '-0.25'),
        ({'lr': float("nan")}, 'lr (in [0, ∞))', 'nan'),
        ({'lr': 'fast'}, 'lr (in [0, ∞))', "'fast'"),
        ({'betas': (-0.25, 0.0)}, 'betas[0] (in [0, 1))', '-0.25'),
        ({'betas': (1.0, 0.0)}, 'betas[0] (in [0, 1))', '1.0'),
        ({'betas': (1.25, 0.0)}, 'betas[0] (in [0, 1))', '1.25'),
        ({'betas': (float("nan"), 0.0)}, 'betas[0] (in [0, 1))', 'nan'),
        ({'betas': ('fast', 0.0)}, 'betas[0] (in [0, 1))', "'fast'"),
        ({'betas': (0.0, -0.25)}, 'betas[1] (in [0, 1))', '-0.25'),
        ({'betas': (0.0, 1.0)}, 'betas[1] (in [0, 1))', '1.0'),
        ({'betas': (0.0, 1.25)}, 'betas[1] (in [0, 1))', '1.25'),
        ({'betas': (0.0, float("nan"))}, 'betas[1] (in [0, 1))', 'nan'),
        ({'betas': (0.0, 'fast')}, 'betas[1] (in [0, 1))', "'fast'"),
        ({'eps': -0.25}, 'eps (in [0, ∞))', '-0.25'),
        ({'eps': float("nan")}, 'eps (in [0, ∞))', 'nan'),
        ({'eps': 'fast'}, 'eps (in [0, ∞))', "'fast'"),
        ({'weight_decay': -0.25}, 'weight_decay (in [0, ∞))', '-0.25'),
        ({'weight_decay': float("nan")}, 'weight_decay (in [0, ∞))', 'nan'),
        ({'weight_decay': 'fast'}, 'weight_decay (in [0, ∞))', "'fast'"),
    ],
    slack=0.0,
)

try:
    closure(case)
except Broken as sentence:
    print("broken:", sentence)
    sys.exit(1)
except NotOffered as reason:
    print("not offered:", reason)
except Exception as error:
    print("raised:", type(error).__name__, error)
    sys.exit(1)
else:
    print("the promise is kept")
