"""Promises about the tensors that a step touches: gradients, parameters and state."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from verify.promises.case import Broken, Case, NotOffered, build, copies, expect_same, fresh, give, same, state_of


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


def expect_unwritten(g: torch.Tensor, old: torch.Tensor, name: str, when: str) -> None:
    """Broken if a gradient has other values."""
    if not same(g, old):
        x, y = g.reshape(-1), old.reshape(-1)
        at = next(j for j in range(x.numel()) if not same(x[j], y[j]))
        raise Broken(f"{when} changed {name} from {y[at].item():.9g} to {x[at].item():.9g}; it must not write into it")


def parameters(case: Case) -> None:
    """After every step each parameter must be the same object in the same memory, with the same strides, dtype,
    device and requires_grad, a leaf without grad_fn, and the group must hold that very object. A view and a slice
    that were taken before must see the update.

    Bugs of this kind: p.data replaced by a new tensor, so that views, tied weights and flattened buffers are left
    behind; strides made contiguous; requires_grad switched off for the update and not on again.
    """
    params = fresh(case)
    optimizer = build(case, params)
    views = [p.detach() for p in params]
    slices = [p.detach()[..., :1] if p.ndim else p.detach() for p in params]
    before = [facts(p) for p in params]
    for k in range(len(case.gradients)):
        give(case, params, k)
        optimizer.step()
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
    """After 1, 2 and 3 steps, with new gradient tensors and with one buffer written again and again, no tensor of
    the state may require grad, or share memory with a parameter, a gradient or another tensor of the state. What
    is in optimizer.state is looked at, also in lists and dicts.

    Bugs of this kind: the last gradient kept without a copy, which is another one when the buffer is used again;
    one counter for all parameters; one tensor under two names.
    """
    for reuse in (False, True):
        params = fresh(case)
        optimizer = build(case, params)
        for k in range(3):
            held = [p.grad for p in params]
            give(case, params, k)
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
                mine = cells(x)
                for other, theirs in seen:
                    if mine & theirs:
                        raise Broken(
                            f"after step {k + 1} the state {where} shares memory with {other}; it must be a tensor of its own"
                        )
                seen.append((f"the state {where}", mine))


def cells(x: torch.Tensor) -> set[int]:
    """Addresses of the elements of a small tensor."""
    ranges = [range(0, n * step, step) if step else range(0, 1) for n, step in zip(x.shape, x.stride(), strict=True)]
    size = x.element_size()
    return {x.data_ptr() + size * sum(place) for place in itertools.product(*ranges)} if x.numel() else set()


def zero_grad(case: Case) -> None:
    """zero_grad() sets gradients to None; zero_grad(set_to_none=False) makes them zero in place, the same tensors as
    before; parameters without a gradient stay without, in every group.

    Bugs of this kind: an argument that is ignored or not known, a loop over the first group only, gradients made
    for parameters that had none.
    """
    params = fresh(case)
    optimizer = build(case, params)
    for k in range(len(case.gradients)):
        give(case, params, k)
        held = [p.grad for p in params]
        optimizer.zero_grad(set_to_none=False)
        for i, (p, g) in enumerate(zip(params, held, strict=True)):
            call = "zero_grad(set_to_none=False)"
            if g is None and p.grad is not None:
                raise Broken(f"{call} made a gradient for parameter {i}, which had none; it must stay None")
            if g is not None and p.grad is not g:
                found = "None" if p.grad is None else "another tensor"
                raise Broken(f"after {call} the gradient of parameter {i} is {found}; it must be the same tensor")
            if g is not None and bool(g.count_nonzero()):
                raise Broken(f"after {call} the gradient of parameter {i} is not zero")
        give(case, params, k)
        optimizer.zero_grad()
        for i, p in enumerate(params):
            if p.grad is not None:
                raise Broken(f"after zero_grad() the gradient of parameter {i} is a tensor; it must be None")


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
    runs: dict[str, list[list[torch.Tensor]]] = {}
    for how in ("dense", "summed", "twice"):
        try:
            runs[how] = sparse_run(case, how, alone=how != "dense" and "dense" not in runs)
        except Exception as error:
            if how == "dense" and "dense" in str(error):
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
        params[0].grad = None if g is None else sparse_gradient(g, rows, how)
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
