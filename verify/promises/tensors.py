"""Promises about the tensors that a step touches: gradients, parameters and state."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from verify.promises.case import (
    Broken,
    Case,
    NotOffered,
    build,
    copies,
    dense,
    expect_same,
    expect_state,
    fresh,
    give,
    give_with_graph,
    same,
    snapshot,
    state_of,
    takes_late_groups,
)


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
        before = [None if g is None else (g.clone(), strides(g), g.dtype) for g in held]
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
                if (strides(g), g.dtype) != old[1:]:
                    raise Broken(f"{when} changed {name} to strides {strides(g)}, {g.dtype} from {old[1]}, {old[2]}")
                if g.requires_grad or g.grad_fn is not None:
                    raise Broken(f"after {when} {name} requires grad; it did not before")
                expect_unwritten(g, old[0], name, when)


def strides(g: torch.Tensor) -> Any:
    """How a gradient is laid out; a sparse one has no strides, but may be coalesced."""
    return ("coalesced" if g.is_coalesced() else "uncoalesced") if g.is_sparse else g.stride()


def expect_unwritten(g: torch.Tensor, old: torch.Tensor, name: str, when: str) -> None:
    """Broken if a gradient has other values."""
    if g.is_sparse and not same(g, old):
        was, now = old._values().tolist(), g._values().tolist()
        raise Broken(f"{when} changed the entries of {name} from {was} to {now}; it must not write into them")
    if not same(g, old):
        x, y = g.reshape(-1), old.reshape(-1)
        at = next(j for j in range(x.numel()) if not same(x[j], y[j]))
        raise Broken(f"{when} changed {name} from {y[at].item():.9g} to {x[at].item():.9g}; it must not write into it")


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


def number_of_hooks(p: torch.Tensor) -> int:
    """How many hooks wait for the gradient of a parameter."""
    kinds = ("_backward_hooks", "_post_accumulate_grad_hooks")
    return sum(len(getattr(p, kind, None) or ()) for kind in kinds)


def expect_hooks(params: list[torch.Tensor], before: list[int], who: str) -> None:
    """Broken if a parameter has another number of hooks than before."""
    for i, p in enumerate(params):
        if number_of_hooks(p) != before[i]:
            raise Broken(f"{who} left a hook on parameter {i}, which runs in every backward; hooks are the caller's")


def expect_backward(case: Case, params: list[torch.Tensor], when: str) -> None:
    """Broken unless a backward pass leaves the gradients that it computed."""
    for i, (p, g) in enumerate(zip(params, case.gradients[0], strict=True)):
        if g is None or p.is_complex():
            continue
        p.grad = None
        g = dense(g)
        with torch.enable_grad():
            (p * g).sum().backward()
        if p.grad is None or not same(p.grad, g):
            got = "None" if p.grad is None else f"{p.grad.reshape(-1).tolist()}"
            expected = g.reshape(-1).tolist()
            raise Broken(f"{when}, a backward pass leaves {got} in p.grad of parameter {i}; it computed {expected}")
        p.grad = None


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


def state(case: Case) -> None:
    """After 1, 2 and 3 steps, with new gradient tensors, with one buffer written again and again, and with gradients
    that have a graph, no tensor of the state may require grad, be an inference tensor, or share memory with a
    parameter, a gradient or another tensor of the state. What is in optimizer.state is looked at, also in lists and
    dicts.

    Bugs of this kind: the last gradient kept without a copy, which is another one when the buffer is used again;
    one counter for all parameters; one tensor under two names; a step in inference mode.
    """
    for reuse, graph in ((False, False), (True, False), (False, True)):
        params = fresh(case)
        optimizer = build(case, params)
        for k in range(3):
            held = [p.grad for p in params]
            (give_with_graph if graph else give)(case, params, k)
            for p, old in zip(params, held, strict=True):
                if reuse and old is not None and p.grad is not None:
                    p.grad = old.copy_(p.grad)
            optimizer.step()
            seen: list[tuple[str, set[int]]] = [(f"parameter {i}", cells(p)) for i, p in enumerate(params)]
            seen += [
                (f"the gradient of parameter {i}", cells(p.grad)) for i, p in enumerate(params) if p.grad is not None
            ]
            for where, x in state_of(optimizer, params):
                if not isinstance(x, torch.Tensor) or x.layout != torch.strided:
                    continue
                if x.requires_grad:
                    raise Broken(f"after step {k + 1} the state {where} requires grad; it must not")
                if x.is_inference():
                    raise Broken(
                        f"after step {k + 1} the state {where} is an inference tensor, which nothing outside inference "
                        "mode can write to; it must be an ordinary one"
                    )
                mine = cells(x)
                for other, theirs in seen:
                    if mine & theirs:
                        raise Broken(
                            f"after step {k + 1} the state {where} shares memory with {other}; it must be a tensor of its own"
                        )
                seen.append((f"the state {where}", mine))


def cells(x: torch.Tensor) -> set[int]:
    """Addresses of the elements of a small tensor, or of the entries of a sparse one."""
    if x.is_sparse:
        return cells(x._indices()) | cells(x._values())
    ranges = [range(0, n * step, step) if step else range(0, 1) for n, step in zip(x.shape, x.stride(), strict=True)]
    size = x.element_size()
    return {x.data_ptr() + size * sum(place) for place in itertools.product(*ranges)} if x.numel() else set()


def zero_grad(case: Case) -> None:
    """zero_grad() sets gradients to None; zero_grad(set_to_none=False) makes them zero in place, the same tensors as
    before; parameters without a gradient stay without, in every group, also in one that was added later. So it is
    for a parameter that is frozen and has a gradient, and for a gradient that has a graph, which is taken out of it.
    Parameters and state stay as they are.

    Bugs of this kind: an argument that is ignored or not known, a loop over the first group only or over what was
    there at construction, gradients made for parameters that had none, a velocity that is reset with them.
    """
    params = fresh(case)
    optimizer = build(case, params)
    expect_zeroed(case, optimizer, params, [False] * len(params))
    if len(params) > 1:
        frozen = [i == len(params) - 1 for i in range(len(params))]
        expect_zeroed(case, optimizer, params, frozen)
    late = fresh(case)
    if len(late) > 1 and not takes_late_groups(case):
        return  # that a group can be added is another promise
    optimizer = case.factory(late[:-1], **case.arguments) if len(late) > 1 else optimizer
    try:
        optimizer.add_param_group({"params": [late[-1]]})
    except Exception:
        return  # that a group can be added is another promise
    expect_zeroed(case, optimizer, late, [False] * len(late))


def expect_zeroed(case: Case, optimizer: Any, params: list[torch.Tensor], frozen: list[bool]) -> None:
    """Steps, and both kinds of zero_grad after each."""
    for k in range(len(case.gradients)):
        for p in params:
            p.requires_grad_(True)
        give(case, params, k)
        if all(p.grad is not None for p in params):
            optimizer.step()
        values, kept = copies(params), snapshot(optimizer, params)
        if k % 2:
            give_with_graph(case, params, k)
        for p, freeze in zip(params, frozen, strict=True):
            p.requires_grad_(not freeze)
        held = [p.grad for p in params]
        optimizer.zero_grad(set_to_none=False)
        for i, (p, g) in enumerate(zip(params, held, strict=True)):
            call = "zero_grad(set_to_none=False)"
            if g is None and p.grad is not None:
                raise Broken(f"{call} made a gradient for parameter {i}, which had none; it must stay None")
            if g is not None and p.grad is not g:
                found = "None" if p.grad is None else "another tensor"
                raise Broken(f"after {call} the gradient of parameter {i} is {found}; it must be the same tensor")
            if g is not None and bool(dense(g).count_nonzero()):
                whose = f"parameter {i}, which is frozen," if frozen[i] else f"parameter {i}"
                raise Broken(f"after {call} the gradient of {whose} is not zero")
            if g is not None and (g.grad_fn is not None or g.requires_grad):
                raise Broken(f"after {call} the gradient of parameter {i} still has a graph; it must have none")
        expect_untouched(optimizer, params, values, kept, "zero_grad(set_to_none=False)")
        for p, row in zip(params, case.gradients[k], strict=True):
            p.grad = None if row is None else row.clone()
        for call in ("zero_grad()", "zero_grad() again"):
            optimizer.zero_grad()
            for i, p in enumerate(params):
                if p.grad is not None:
                    whose = f"parameter {i}, which is frozen," if frozen[i] else f"parameter {i}"
                    raise Broken(f"after {call} the gradient of {whose} is a tensor; it must be None")
            expect_untouched(optimizer, params, values, kept, call)
    for p in params:
        p.requires_grad_(True)


def expect_untouched(optimizer: Any, params: list[torch.Tensor], values: list, kept: list, call: str) -> None:
    """Broken if parameters or state are not what they were."""
    expect_same(params, values, f"after {call}", "it must leave parameters as they are")
    expect_state(optimizer, params, kept, f"after {call}", "gradients are all that it may touch")


def sparse(case: Case) -> None:
    """The first parameter gets sparse gradients: some rows, one of them given twice; no rows at all; other rows.
    An exception that says "sparse" is a refusal in words, and enough. Otherwise every step must do what the same
    dense gradient does, bit for bit, or move exactly the rows that the gradient has (as SparseAdam does); and a
    row that is given twice must count as its sum.

    Bugs of this kind: a crash deep inside, rows that go elsewhere, duplicates that are lost or squared one by
    one, a crash when there are no rows (an embedding that saw only padding).
    """
    if case.parameters[0].ndim == 0 or len(case.parameters[0]) < 3:
        raise NotOffered("its first parameter has too few rows")
    sparse_alone = any(g is not None and g.is_sparse for row in case.gradients for g in row)
    runs: dict[str, list[list[torch.Tensor]]] = {}
    for how in ("dense", "summed", "twice"):
        try:
            runs[how] = sparse_run(case, how, alone=how != "dense" and "dense" not in runs)
        except Exception as error:
            if how == "dense" and (sparse_alone or "dense" in str(error)):
                continue  # it takes sparse gradients alone
            if how != "dense" and refused_in_words(error):
                return
            raise
    for k, rows in enumerate(SPARSE_ROWS):
        when = f"after step {k + 1}, whose gradient has {f'the rows {sorted(set(rows))}' if rows else 'no rows'}"
        before, got = runs["twice"][k], runs["twice"][k + 1]
        expect_same(got, runs["summed"][k + 1], when, "a row that is given twice must count as its sum")
        if "dense" in runs:
            expect_same(got[1:], runs["dense"][k + 1][1:], f"{when}, another parameter", "it must move as ever")
        moved = (got[0] != before[0]).reshape(len(got[0]), -1).any(1).nonzero().flatten().tolist()
        if moved == sorted(set(rows)):
            continue
        if "dense" not in runs:
            raise Broken(f"{when}, the rows {moved} moved; it must move the rows of its gradient and no other")
        expect_same(
            got[:1],
            runs["dense"][k + 1][:1],
            when,
            "it must be what the dense gradient gives, or move those rows alone",
        )


SPARSE_ROWS = ((0, 2, 0), (), (1, 2))


def sparse_run(case: Case, how: str, *, alone: bool) -> list[list[torch.Tensor]]:
    """Parameters before and after every step; ``alone``: the others have no gradients."""
    params = fresh(case)
    optimizer = build(case, params)
    values = [copies(params)]
    for k, rows in enumerate(SPARSE_ROWS):
        give(case, params, k)
        g = params[0].grad
        params[0].grad = None if g is None else sparse_gradient(dense(g), rows, how)
        for p in params[1:]:
            p.grad = None if alone else p.grad
        optimizer.step()
        values.append(copies(params))
    return values


def refused_in_words(error: Exception) -> bool:
    """Whether an exception is meant for the caller: it says "sparse", and is not torch's about a missing kernel."""
    text = str(error)
    return "sparse" in text.lower() and not text.startswith("Could not run")


def sparse_gradient(g: torch.Tensor, rows: tuple[int, ...], how: str) -> torch.Tensor:
    """Some rows of a gradient; those that are given twice are halves."""
    values = [g[row] / rows.count(row) for row in rows]
    indices = torch.tensor([list(rows)], dtype=torch.int64, device=g.device).reshape(1, -1)
    stacked = torch.stack(values) if values else g.new_zeros((0, *g.shape[1:]))
    made = torch.sparse_coo_tensor(indices, stacked, g.shape, check_invariants=False)
    return made.to_dense() if how == "dense" else made.coalesce() if how == "summed" else made
