"""contract.gradients on float32, for-loop: torch_optimizer.QHM.

step 1 changed the gradient of parameter 0 from 1 to 2; it must not write into it
smallest    build [tensor(1,)] with lr=1, momentum=0, nu=0, weight_decay=1; step(grad=1, -2, 0.5, 0.25, …)
"""
from __future__ import annotations

import sys
import types

import torch
import importlib

sys.path.insert(0, "")
Optimizer = importlib.import_module('torch_optimizer').QHM

torch.set_num_threads(1)




class Broken(Exception):
    """A promise is broken; the message is the sentence that says so."""


class NotOffered(Exception):
    """The subject does not have what the promise is about."""


def gradients(case: Case) -> None:
    """Every gradient is looked at after a step, and after a second step on the same gradients: it must be the very
    tensor, with the same values, dtype and strides, and a parameter without one must stay without.

    Bugs of this kind: weight decay added into p.grad in place, so that the second step decays twice; maximize
    that negates p.grad; gradients set to None, or used as scratch memory.
    """
    params = fresh(case)
    optimizer = build(case, params)
    for k in range(len(case.gradients)):
        give(case, params, k)
        held = [p.grad for p in params]
        before = [None if g is None else (g.clone(), g.stride(), g.dtype) for g in held]
        for when in (f"step {k + 1}", f"step() again after step {k + 1}"):
            try:
                optimizer.step()
            except Exception:
                if any(g is None for g in held):
                    return  # that a parameter without a gradient must be skipped is another promise
                raise
            for i, (p, g, old) in enumerate(zip(params, held, before, strict=True)):
                name = f"the gradient of parameter {i}"
                if g is None or old is None:
                    if p.grad is not None:
                        raise Broken(f"{when} made a gradient for parameter {i}, which had none; it must stay None")
                    continue
                if p.grad is None:
                    raise Broken(f"{when} set {name} to None; gradients are the caller's")
                if p.grad is not g:
                    raise Broken(f"{when} put another tensor in the place of {name}; it must stay the same one")
                if (g.stride(), g.dtype) != old[1:]:
                    raise Broken(f"{when} changed {name} to strides {g.stride()}, {g.dtype} from {old[1]}, {old[2]}")
                if g.requires_grad or g.grad_fn is not None:
                    raise Broken(f"after {when} {name} requires grad; it did not before")
                expect_unwritten(g, old[0], name, when)


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


def expect_unwritten(g: torch.Tensor, old: torch.Tensor, name: str, when: str) -> None:
    """Broken if a gradient has other values."""
    if not same(g, old):
        x, y = g.reshape(-1), old.reshape(-1)
        at = next(j for j in range(x.numel()) if not same(x[j], y[j]))
        raise Broken(f"{when} changed {name} from {y[at].item():.9g} to {x[at].item():.9g}; it must not write into it")


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors are equal element by element (nan equals nan)."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return bool(((a == b) | ((a != a) & (b != b))).all())


case = types.SimpleNamespace(
    factory=Optimizer,
    arguments={'lr': 1.0, 'momentum': 0.0, 'nu': 0.0, 'weight_decay': 1.0},
    groups=[([0], {})],
    parameters=[
        torch.tensor([1.0], dtype=torch.float32, device='cpu'),
    ],
    gradients=[
        [torch.tensor([1.0], dtype=torch.float32, device='cpu')],
    ],
    other={'lr': 0.5, 'momentum': 0.5, 'nu': 0.5, 'weight_decay': 0.5},
    names=['lr', 'momentum', 'nu', 'weight_decay'],
    required=[],
    wrong=[
        ({'lr': -0.25}, 'lr (in [0, ∞))', '-0.25'),
        ({'lr': float("nan")}, 'lr (in [0, ∞))', 'nan'),
        ({'lr': 'fast'}, 'lr (in [0, ∞))', "'fast'"),
        ({'momentum': -0.25}, 'momentum (in [0, 1))', '-0.25'),
        ({'momentum': 1.0}, 'momentum (in [0, 1))', '1.0'),
        ({'momentum': 1.25}, 'momentum (in [0, 1))', '1.25'),
        ({'momentum': float("nan")}, 'momentum (in [0, 1))', 'nan'),
        ({'momentum': 'fast'}, 'momentum (in [0, 1))', "'fast'"),
        ({'nu': -0.25}, 'nu (in [0, 1))', '-0.25'),
        ({'nu': 1.0}, 'nu (in [0, 1))', '1.0'),
        ({'nu': 1.25}, 'nu (in [0, 1))', '1.25'),
        ({'nu': float("nan")}, 'nu (in [0, 1))', 'nan'),
        ({'nu': 'fast'}, 'nu (in [0, 1))', "'fast'"),
        ({'weight_decay': -0.25}, 'weight_decay (in [0, ∞))', '-0.25'),
        ({'weight_decay': float("nan")}, 'weight_decay (in [0, ∞))', 'nan'),
        ({'weight_decay': 'fast'}, 'weight_decay (in [0, ∞))', "'fast'"),
    ],
    slack=0.0,
)

try:
    gradients(case)
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
