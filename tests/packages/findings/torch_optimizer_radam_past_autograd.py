"""contract.parameters on float32, for-loop: torch_optimizer.RAdam.

step 1 moved parameter 0 past autograd, whose version of it is still 1: a backward through the old values would be wrong in silence
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




class Broken(Exception):
    """A promise is broken; the message is the sentence that says so."""


class NotOffered(Exception):
    """The subject does not have what the promise is about."""


def parameters(case: Case) -> None:
    """After every step each parameter must be the same object in the same memory, with the same strides, dtype,
    device and requires_grad, a leaf without grad_fn, and the group must hold that very object. A view and a slice
    that were taken before must see the update, and autograd must see that one that moved was written to (of fused
    kernels that is not asked: torch's own on the cpu do not say so). Its hooks are the caller's, and a backward pass
    leaves in p.grad what it computed.

    Bugs of this kind: p.data replaced by a new tensor, so that views, tied weights and flattened buffers are left
    behind; p.data written to, so that a backward through the old values is wrong in silence; strides made
    contiguous; requires_grad switched off for the update and not on again; a hook that clips gradients.
    """
    params = fresh(case)
    hooked = [number_of_hooks(p) for p in params]
    optimizer = build(case, params)
    expect_hooks(params, hooked, "the constructor")
    expect_backward(case, params, "with an optimizer built")
    views = [p.detach() for p in params]
    slices = [p.detach()[..., :1] if p.ndim else p.detach() for p in params]
    before = [facts(p) for p in params]
    for k in range(len(case.gradients)):
        give(case, params, k)
        versions, old = [p._version for p in params], copies(params)
        optimizer.step()
        expect_hooks(params, hooked, f"step {k + 1}")
        held = [p for group in optimizer.param_groups for p in group["params"]]
        for i, p in enumerate(params):
            if sum(x is p for x in held) != 1:
                raise Broken(f"after step {k + 1} no group holds parameter {i} itself; groups must keep their tensors")
            for (what, was), now in zip(before[i].items(), facts(p).values(), strict=True):
                if now != was:
                    shown = "" if what == "memory" else f" from {was} to {now}"
                    raise Broken(f"step {k + 1} changed the {what} of parameter {i}{shown}; it must stay")
            if not same(views[i], p.detach()) or not same(slices[i], p.detach()[..., :1] if p.ndim else p.detach()):
                raise Broken(f"a view of parameter {i} does not see step {k + 1}; parameters must move in place")
            if p._version == versions[i] and not same(p.detach(), old[i]) and not case.arguments.get("fused"):
                raise Broken(
                    f"step {k + 1} moved parameter {i} past autograd, whose version of it is still {versions[i]}: a "
                    "backward through the old values would be wrong in silence"
                )
    expect_backward(case, params, "after the last step")


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


def expect_hooks(params: list[torch.Tensor], before: list[int], who: str) -> None:
    """Broken if a parameter has another number of hooks than before."""
    for i, p in enumerate(params):
        if number_of_hooks(p) != before[i]:
            raise Broken(f"{who} left a hook on parameter {i}, which runs in every backward; hooks are the caller's")


def number_of_hooks(p: torch.Tensor) -> int:
    """How many hooks wait for the gradient of a parameter."""
    kinds = ("_backward_hooks", "_post_accumulate_grad_hooks")
    return sum(len(getattr(p, kind, None) or ()) for kind in kinds)


def expect_backward(case: Case, params: list[torch.Tensor], when: str) -> None:
    """Broken unless a backward pass leaves the gradients that it computed."""
    for i, (p, g) in enumerate(zip(params, case.gradients[0], strict=True)):
        if g is None or p.is_complex():
            continue
        p.grad = None
        with torch.enable_grad():
            (p * g).sum().backward()
        if p.grad is None or not same(p.grad, g):
            got = "None" if p.grad is None else f"{p.grad.reshape(-1).tolist()}"
            expected = g.reshape(-1).tolist()
            raise Broken(f"{when}, a backward pass leaves {got} in p.grad of parameter {i}; it computed {expected}")
        p.grad = None


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


def copies(params: list[torch.Tensor]) -> list[torch.Tensor]:
    """Their present values."""
    return [p.detach().clone() for p in params]


def facts(p: torch.Tensor) -> dict[str, Any]:
    """What a step must leave as it is."""
    return {
        "memory": p.data_ptr(),
        "strides": p.stride(),
        "shape": p.shape,
        "dtype": p.dtype,
        "device": p.device,
        "requires_grad": p.requires_grad,
        "is_leaf": p.is_leaf,
        "grad_fn": p.grad_fn,
    }


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
    parameters(case)
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
