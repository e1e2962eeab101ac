"""contract.grad_scaler on float32, fused: torch.optim.SGD.

with GradScaler, an infinite gradient before the first step, after step 1, parameter 0 is nan instead of 0; it must be the same as without a scaler
smallest    build [tensor(1,)] with lr=1, momentum=1, dampening=0, weight_decay=0; step(grad=1, -2, 0.5, 0.25, …)
"""
from __future__ import annotations

import sys
import types

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch.optim').SGD

torch.set_num_threads(1)


from collections.abc import Mapping


class Broken(Exception):
    """A promise is broken; the message is the sentence that says so."""


class NotOffered(Exception):
    """The subject does not have what the promise is about."""


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


def infinite_step(case: Case, params: list, optimizer: Any, scaler: Any, k: int, when: str, *, explicit: bool) -> None:
    """A step that the scaler must skip."""
    before = copies(params)
    kept = snapshot(optimizer, params)

    def infinite() -> None:
        give(case, params, k)
        with torch.no_grad():
            for p in params:
                if p.grad is not None:
                    p.grad[(0,) * p.grad.ndim] = float("inf")
        if explicit:
            scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()

    with_new_memory(infinite, True)
    expect_same(params, before, f"with {when}", "the step must be skipped")
    expect_state(optimizer, params, kept, f"with {when}", "the step must be skipped")


def copies(params: list[torch.Tensor]) -> list[torch.Tensor]:
    """Their present values."""
    return [p.detach().clone() for p in params]


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


def with_new_memory(function: Callable[[], Any], fill: bool) -> Any:
    """A call in torch's deterministic mode, in which new memory is filled with NaN or not."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    settings: Any = torch.utils.deterministic
    filled = settings.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    settings.fill_uninitialized_memory = fill
    try:
        return function()
    finally:
        settings.fill_uninitialized_memory = filled
        torch.use_deterministic_algorithms(deterministic, warn_only=warns)


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


def give(case: Case, params: list[torch.Tensor], k: int) -> None:
    """Set the gradients of step ``k``, as new tensors."""
    for p, g in zip(params, case.gradients[k % len(case.gradients)], strict=True):
        p.grad = None if g is None else g.clone()


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


case = types.SimpleNamespace(
    factory=Optimizer,
    arguments={'lr': 1.0, 'momentum': 1.0, 'dampening': 0.0, 'weight_decay': 0.0, 'nesterov': False, 'maximize': False, 'foreach': False, 'fused': True},
    groups=[([0], {})],
    parameters=[
        torch.tensor([1.0], dtype=torch.float32, device='cpu'),
    ],
    gradients=[
        [torch.tensor([1.0], dtype=torch.float32, device='cpu')],
    ],
    other={'lr': 0.5, 'momentum': 0.9, 'dampening': 0.5, 'weight_decay': 0.5},
    names=['lr', 'momentum', 'dampening', 'weight_decay'],
    required=[],
    wrong=[
        ({'lr': -0.25}, 'lr (in [0, ∞))', '-0.25'),
        ({'lr': float("nan")}, 'lr (in [0, ∞))', 'nan'),
        ({'lr': 'fast'}, 'lr (in [0, ∞))', "'fast'"),
        ({'momentum': -0.25}, 'momentum (in [0, ∞))', '-0.25'),
        ({'momentum': float("nan")}, 'momentum (in [0, ∞))', 'nan'),
        ({'momentum': 'fast'}, 'momentum (in [0, ∞))', "'fast'"),
        ({'dampening': -0.25}, 'dampening (in [0, 1))', '-0.25'),
        ({'dampening': float("nan")}, 'dampening (in [0, 1))', 'nan'),
        ({'dampening': 'fast'}, 'dampening (in [0, 1))', "'fast'"),
        ({'weight_decay': -0.25}, 'weight_decay (in [0, ∞))', '-0.25'),
        ({'weight_decay': float("nan")}, 'weight_decay (in [0, ∞))', 'nan'),
        ({'weight_decay': 'fast'}, 'weight_decay (in [0, ∞))', "'fast'"),
    ],
    slack=0.0,
)

try:
    grad_scaler(case)
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
