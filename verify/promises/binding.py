"""Promises about which tensors are moved: the ones that the groups hold now, wherever their memory is."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch

from verify.promises.case import Broken, Case, NotOffered, build, copies, expect_same, fresh, give, same


def replaced(case: Case) -> None:
    """After two steps every parameter is replaced, in the list of its group, by a new tensor of the same value, and
    its entry in ``state`` goes to the new key. The new tensors must go on as the old ones would have, bit for bit;
    the old ones, which still have gradients, must stay; and the state must be saved, and loaded into a new instance.

    Bugs of this kind: a list of parameters that is cached at construction; state kept in an attribute, by id or by a
    tensor that is no longer a parameter; a flat buffer that only the first parameters share.
    """
    twins, params = fresh(case), fresh(case)
    plain, optimizer = build(case, twins), built_with_groups(case, params)
    walk(case, [(plain, twins), (optimizer, params)], 0, 2)
    expect_state_by_parameter(optimizer)
    left = copies(params)
    now = [another(p) for p in params]
    for old, new in zip(params, now, strict=True):
        exchange(optimizer, old, new)
        carry_state(optimizer, old, new)
    when = "with every parameter replaced in its group after step 2, and its state moved to the new one"
    for k in range(2, 4):
        walk(case, [(plain, twins), (optimizer, now)], k, k + 1)
        expect_left(params, left, when)
        expect_same(now, twins, f"{when}, after step {k + 1}", "it must go on as the old one")
    loaded = build(case, twins)
    try:
        loaded.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    except Exception as error:
        raise Broken(f"{when}, its state cannot be saved and loaded: {type(error).__name__}: {error}") from None
    walk(case, [(loaded, twins), (optimizer, now)], 4, 5)
    expect_same(twins, now, f"{when}, and loaded into a new instance", "it must be as the instance that was saved")


def anew(case: Case) -> None:
    """After two steps the first parameter is replaced, in the list of its group, by a new tensor, and its entry in
    ``state`` is deleted. The new one must move as one that was there from the start and has its first gradient now,
    bit for bit, and so must all others; the old one must stay.

    Bugs of this kind: state kept by place, by shape or by name, which the new tensor inherits; state made once, for
    the parameters of the constructor.
    """
    params, twins = fresh(case), [*fresh(case), fresh(case)[0]]
    optimizer = built_with_groups(case, params)
    waiting = build_with(case, twins, len(params))
    if getattr(optimizer, "state", None):
        raise NotOffered("its state is made when a group is added")
    walk(case, [(optimizer, params), (waiting, twins[:-1])], 0, 2)
    expect_state_by_parameter(optimizer)
    left, now = copies(params[:1]), [fresh(case)[0], *params[1:]]
    exchange(optimizer, params[0], now[0])
    state = getattr(optimizer, "state", None)
    if isinstance(state, dict):
        state.pop(params[0], None)
    twins[0].grad = None
    due = [twins[-1], *twins[1:-1]]
    when = "with parameter 0 replaced in its group after step 2, and its state deleted"
    for k in range(2, 4):
        walk(case, [(optimizer, now), (waiting, due)], k, k + 1)
        expect_left(params[:1], left, when)
        rest = "it must be as with a parameter that was there and had no gradient before"
        expect_same(now, due, f"{when}, after step {k + 1}", rest)


def regrouped(case: Case) -> None:
    """The last parameter is in a group of its own. After two steps the group is deleted, with its state, and
    add_param_group adds another one with a new tensor. All must move as if the first group had never been there, bit
    for bit; what was in it must stay, whatever its gradient is.

    Bugs of this kind: settings or buffers kept by the number of a group; a list of groups or of parameters that only
    grows.
    """
    params, twins = fresh(case), fresh(case)
    if len(params) < 2:
        raise NotOffered("it has one parameter")
    optimizer = case.factory([{"params": params[:-1]}, {"params": params[-1:]}], **case.arguments)
    expect_groups(optimizer)
    plain = case.factory(twins[:-1], **case.arguments)
    walk(case, [(optimizer, params), (plain, twins)], 0, 2)
    left, now = copies(params[-1:]), [*params[:-1], another(case.parameters[-1])]
    del optimizer.param_groups[-1]
    state = getattr(optimizer, "state", None)
    if isinstance(state, dict):
        state.pop(params[-1], None)
    for one, new in ((optimizer, now[-1]), (plain, twins[-1])):
        one.add_param_group({"params": [new]})
    when = "with the last group deleted after step 2, and a new one added"
    for k in range(2, 4):
        walk(case, [(optimizer, now), (plain, twins)], k, k + 1)
        expect_left(params[-1:], left, when, "deleted")
        expect_same(now, twins, f"{when}, after step {k + 1}", "it must be as if that group had never been there")


def swapped(case: Case) -> None:
    """After two steps the data of every parameter are put into new memory (``p.data = p.data.clone()``), as moving a
    model to a device, flattening or sharding does. The steps must go on in the new memory, bit for bit, and the old
    memory must stay as it is.

    Bugs of this kind: views of parameters, or a flat buffer of all, that are made once and written to ever after.
    """
    twins, params = fresh(case), fresh(case)
    plain, optimizer = build(case, twins), build(case, params)
    walk(case, [(plain, twins), (optimizer, params)], 0, 2)
    memory = [p.data for p in params]
    left = copies(params)
    for p in params:
        p.data = p.data.clone()
    when = "with the data of every parameter in new memory after step 2"
    for k in range(2, 4):
        walk(case, [(plain, twins), (optimizer, params)], k, k + 1)
        expect_same(params, twins, f"{when}, after step {k + 1}", "it must go on as before")
        for i, (old, value) in enumerate(zip(memory, left, strict=True)):
            if not same(old, value):
                raise Broken(f"{when}, step {k + 1} writes to the old memory of parameter {i}")


def groups(case: Case) -> None:
    """What ``param_groups`` says is what is done: a parameter that is taken out of the list of its group stays from
    then on, and when all groups are replaced by copies of them, as load_state_dict does, an lr that is halved in the
    copies is halved. Each is compared, bit for bit, with a run that says it otherwise: by a gradient that is missing,
    or by an edit in place.

    Bugs of this kind: groups that are copied at construction or at the first step; a flat list of all parameters; a
    group dict that is held on to.
    """
    taken_out(case)
    groups_replaced(case)


def taken_out(case: Case) -> None:
    """A parameter that leaves its group after a step."""
    params, twins = fresh(case), fresh(case)
    optimizer, plain = built_with_groups(case, params), build(case, twins)
    walk(case, [(optimizer, params), (plain, twins)], 0, 1)
    holder, place = whereabouts(optimizer, params[0])
    del holder[place]
    when = "with parameter 0 taken out of its group after step 1"
    for k in range(1, 3):
        give(case, params, k)
        give(case, twins, k)
        twins[0].grad = None
        optimizer.step()
        plain.step()
        expect_same(params, twins, f"{when}, after step {k + 1}", "it must stay, and all others must move as before")


def groups_replaced(case: Case) -> None:
    """Copies of all groups in place of the groups, and lr halved in them."""
    params, twins = fresh(case), fresh(case)
    optimizer, plain = built_with_groups(case, params), build(case, twins)
    walk(case, [(optimizer, params), (plain, twins)], 0, 1)
    try:
        optimizer.param_groups = [dict(group) for group in optimizer.param_groups]
    except AttributeError:  # a wrapper may show those of another optimizer
        optimizer.param_groups[:] = [dict(group) for group in optimizer.param_groups]
    for one in (optimizer, plain):
        for group in one.param_groups:
            if isinstance(group.get("lr"), float):
                group["lr"] *= 0.5
    when = "with param_groups replaced by copies after step 1, and lr halved in them"
    for k in range(1, 3):
        walk(case, [(optimizer, params), (plain, twins)], k, k + 1)
        expect_same(params, twins, f"{when}, after step {k + 1}", "it must be as with lr halved in place")


# -- what they share ---------------------------------------------------------------------------


def walk(case: Case, runs: list[tuple[Any, list[torch.Tensor]]], start: int, end: int) -> None:
    """The same steps for several optimizers."""
    for k in range(start, end):
        for optimizer, params in runs:
            give(case, params, k)
            optimizer.step()


def built_with_groups(case: Case, params: list[torch.Tensor]) -> Any:
    """The optimizer on these parameters; NotOffered where it shows no groups to put a parameter in."""
    optimizer = build(case, params)
    expect_groups(optimizer)
    return optimizer


def expect_groups(optimizer: Any) -> None:
    """NotOffered where there are no groups of torch's form."""
    shown = getattr(optimizer, "param_groups", None)
    if not isinstance(shown, list) or not all(isinstance(g, dict) and isinstance(g.get("params"), list) for g in shown):
        raise NotOffered("it has no param_groups with lists of parameters")


def expect_state_by_parameter(optimizer: Any) -> None:
    """NotOffered where the state of a parameter is not to be had by its key in ``state``, as a checkpoint shows: it has
    tensors or lists elsewhere. Numbers in a group are the group's own."""
    saved = optimizer.state_dict() if hasattr(optimizer, "state_dict") else {}
    elsewhere = [v for k, v in saved.items() if k not in ("state", "param_groups")]
    defaults = getattr(optimizer, "defaults", {})
    for group in optimizer.param_groups:
        elsewhere += [v for k, v in group.items() if k != "params" and k not in defaults]
    if any(isinstance(v, list | dict) or (isinstance(v, torch.Tensor) and v.dim()) for v in elsewhere):
        raise NotOffered("its state is not, or not only, in state by parameter")


def build_with(case: Case, params: list[torch.Tensor], last: int) -> Any:
    """The optimizer on these parameters, of which the last one is in the group of the first."""
    if len(case.groups) == 1:
        return case.factory(params, **case.arguments)
    placed = [([*places, last] if 0 in places else places, own) for places, own in case.groups]
    return case.factory([{"params": [params[i] for i in places], **own} for places, own in placed], **case.arguments)


def another(p: torch.Tensor) -> torch.Tensor:
    """A new leaf of the same value, laid out in memory as that one."""
    new = torch.empty_strided(p.shape, p.stride(), dtype=p.dtype, device=p.device)
    return new.copy_(p.detach()).requires_grad_()


def whereabouts(optimizer: Any, p: torch.Tensor) -> tuple[list, int]:
    """The list of parameters that holds one, and its place there."""
    for group in optimizer.param_groups:
        for place, held in enumerate(group["params"]):
            if held is p:
                return group["params"], place
    raise Broken("param_groups does not hold the parameters that the constructor got")


def exchange(optimizer: Any, old: torch.Tensor, new: torch.Tensor) -> None:
    """Put a parameter in the place of another."""
    holder, place = whereabouts(optimizer, old)
    holder[place] = new


def carry_state(optimizer: Any, old: torch.Tensor, new: torch.Tensor) -> None:
    """Give a parameter the state of another."""
    state = getattr(optimizer, "state", None)
    if isinstance(state, Mapping) and old in state:
        state[new] = state.pop(old)  # type: ignore[index,attr-defined]


def expect_left(params: list[torch.Tensor], values: list[torch.Tensor], when: str, what: str = "replaced") -> None:
    """Broken if a parameter that the groups no longer hold was moved."""
    for p, value in zip(params, values, strict=True):
        if not same(p.detach(), value):
            raise Broken(f"{when}, a step still moves a parameter that was {what}; it must move what the groups hold")
