"""Promises about the constructor, and about what an optimizer says of itself."""

from __future__ import annotations

from typing import Any

import torch

from verify.promises.case import Broken, Case, build, copies, expect_same, fresh, give, takes_late_groups


def construction(case: Case) -> None:
    """The lines of torch's base class, on the subject itself: a bare tensor, a set in a group and what is no tensor
    are a TypeError; an empty list, a tensor that is no leaf, a parameter in two groups and a group without an
    option that has no default are a ValueError. A list becomes one group that holds the very tensors, and so do
    a tuple, a generator, a group, and pairs of a name and a tensor; the step is the same for all. A group that is
    added later, before the first step or after it, is taken and refused by the same lines, and may be one bare
    tensor. A parameter that is frozen when the optimizer is built moves once it requires grad.

    A class that does not derive from torch.optim.Optimizer is judged by the same lines.

    Bugs of this kind: a generator used up by a first look at the parameters, a parameter dropped in silence,
    a constructor of its own that takes anything, an add_param_group that does not look at what it is given.
    """
    p, q = fresh(case)[0], fresh(case)[-1]
    must_refuse(case, p, "a bare tensor", TypeError)
    must_refuse(case, [], "an empty list", ValueError)
    must_refuse(case, [{"params": {p, q}}], "a group whose parameters are a set", TypeError)
    must_refuse(case, [0.5], "a number instead of a tensor", TypeError)
    must_refuse(case, [p, "q"], "text instead of a tensor", TypeError)
    if not case.arguments.get("differentiable"):
        must_refuse(case, [p * 2], "a tensor that is no leaf", ValueError)
    must_refuse(case, [{"params": [p]}, {"params": [q, p]}], "a parameter in two groups", ValueError)
    for name in case.required:
        without = {k: v for k, v in case.arguments.items() if k != name}
        try:
            case.factory([{"params": [p]}], **without)
        except (ValueError, TypeError):
            continue
        raise Broken(f"the constructor takes a group without {name!r}, which has no default; it must raise ValueError")
    expected: list[torch.Tensor] | None = None
    for what, wrap in ways_to_pass().items():
        params = fresh(case)
        try:
            optimizer = case.factory(wrap(params), **case.arguments)
        except Exception as error:
            kind = type(error).__name__
            raise Broken(f"the constructor does not take {what}, as torch's does: {kind}: {error}") from None
        held = [x for group in optimizer.param_groups for x in group["params"]]
        if len(optimizer.param_groups) != 1:
            raise Broken(f"{what} became {len(optimizer.param_groups)} groups; it must become one")
        if len(held) != len(params) or any(a is not b for a, b in zip(held, params, strict=True)):
            raise Broken(
                f"built from {what}, the optimizer does not hold the tensors that it was given, in their order"
            )
        give(case, params, 0)
        optimizer.step()
        expected = expected or copies(params)
        expect_same(params, expected, f"built from {what}, after one step", "it must step as if built from a list")
    frozen_at_construction(case)
    if takes_late_groups(case):
        for stepped in (False, True):
            late_ways(case, stepped)
            late_refusals(case, stepped)


def frozen_at_construction(case: Case) -> None:
    """Some parameters, or all, do not require grad when the optimizer is built, and do before the first step."""
    expected = fresh(case)
    by_hand = build(case, expected)
    for k in range(2):
        give(case, expected, k)
        by_hand.step()
    for what, start in (("its last parameter", -1), ("every parameter", 0)):
        params = fresh(case)
        for p in params[start:]:
            p.requires_grad_(False)
        try:
            optimizer = build(case, params)
        except Exception as error:
            kind = type(error).__name__
            raise Broken(
                f"the constructor does not take a frozen parameter, as torch's does: {kind}: {error}"
            ) from None
        for p in params:
            p.requires_grad_(True)
        for k in range(2):
            give(case, params, k)
            optimizer.step()
        when = f"built while {what} did not require grad, which it does since, after two steps"
        expect_same(params, expected, when, "it must move like any other")


def late_ways(case: Case, stepped: bool) -> None:
    """Every form of a group with one parameter that is added later."""
    forms: dict[str, Any] = {
        "a list": lambda p: [p],
        "a tuple": lambda p: (p,),
        "a generator": lambda p: (x for x in [p]),
        "a bare tensor": lambda p: p,
    }
    expected: list[torch.Tensor] | None = None
    when = "after a step" if stepped else "before the first step"
    for what, wrap in forms.items():
        params = fresh(case)
        optimizer = late_start(case, params, stepped)
        try:
            optimizer.add_param_group({"params": wrap(params[-1])})
        except Exception as error:
            kind = type(error).__name__
            raise Broken(f"add_param_group {when} does not take {what}, as torch's does: {kind}: {error}") from None
        held = [x for group in optimizer.param_groups[1:] for x in group["params"]]
        if len(held) != 1 or held[0] is not params[-1]:
            raise Broken(f"after a group with {what} was added {when}, the optimizer does not hold the tensor itself")
        give(case, params, 1)
        optimizer.step()
        expected = expected or copies(params)
        expect_same(params, expected, f"a group with {what} added {when}", "it must move as if added as a list")


def late_start(case: Case, params: list[torch.Tensor], stepped: bool) -> Any:
    """An optimizer of all parameters but the last."""
    optimizer = case.factory(params[:-1], **case.arguments)
    if stepped:
        give(case, params, 0)
        optimizer.step()
    return optimizer


def late_refusals(case: Case, stepped: bool) -> None:
    """What a group that is added later must not hold."""
    params = fresh(case)
    optimizer = late_start(case, params, stepped)
    when = "after a step" if stepped else "before the first step"
    wrong: list[tuple[str, Any, type[Exception]]] = [
        ("a set", {params[-1]}, TypeError),
        ("a number instead of a tensor", [0.5], TypeError),
        ("text instead of a tensor", ["q"], TypeError),
        ("a parameter that it has already", [params[0]], ValueError),
        ("a parameter that it has already beside a new one", [params[-1], params[0]], ValueError),
    ]
    if not case.arguments.get("differentiable"):
        wrong.append(("a tensor that is no leaf", [params[-1] * 2], ValueError))
    for what, given, kind in wrong:
        try:
            optimizer.add_param_group({"params": given})
        except kind:
            if len(optimizer.param_groups) != 1:
                raise Broken(f"add_param_group {when} refuses {what}, and the group stays all the same") from None
            continue
        except Exception as error:
            raised = type(error).__name__
            raise Broken(
                f"{what}, given to add_param_group {when}, raises {raised}: {error}; it must be a {kind.__name__}"
            ) from None
        raise Broken(f"add_param_group {when} takes {what}; it must raise {kind.__name__}")


def ways_to_pass() -> dict[str, Any]:
    """Ways to pass parameters as one group."""
    return {
        "a list": list,
        "a tuple": tuple,
        "a generator": lambda params: (p for p in params),
        "a list with one group": lambda params: [{"params": params}],
        "a list with one group that holds a generator": lambda params: [{"params": (p for p in params)}],
        "pairs of a name and a parameter": lambda params: [(f"p{i}", p) for i, p in enumerate(params)],
    }


def must_refuse(case: Case, params: Any, what: str, kind: type[Exception]) -> None:
    """Broken unless the constructor raises the exception."""
    try:
        case.factory(params, **case.arguments)
    except kind:
        return
    except Exception as error:
        raised = type(error).__name__
        raise Broken(f"{what} raises {raised}: {error}; it must be a {kind.__name__}") from None
    raise Broken(f"the constructor takes {what}; it must raise {kind.__name__}")


def validation(case: Case) -> None:
    """Each hyperparameter is set in turn to values outside its domain (a negative one, the excluded upper end, and
    beyond it), to NaN and to text, the others being as they should. An infinite value is not tried: torch's own
    classes take one. Of an unknown rule only NaN, text and a negative lr are known to be wrong.

    Bugs of this kind: `if lr < 0`, which NaN passes; betas that are not looked at, so that the bias correction
    divides by zero; a bare assertion, which says nothing and is gone under python -O.
    """
    params = fresh(case)
    taken: dict[str, list[str]] = {}
    otherwise: dict[str, list[str]] = {}
    for change, name, value in case.wrong:
        try:
            build(case, params, **change)
        except (ValueError, TypeError):
            continue
        except Exception as error:
            if isinstance(error, AssertionError) and str(error):
                continue
            kind = type(error).__name__
            otherwise.setdefault(f"{name} end in {kind}{f': {error}' if str(error) else ' without words'}", []).append(
                value
            )
        else:
            taken.setdefault(name, []).append(value)
    for found, what in ((taken, "the constructor takes "), (otherwise, "in the constructor ")):
        if found:
            listed = "; ".join(f"{', '.join(values)} for {name}" for name, values in found.items())
            raise Broken(f"{what}{listed}. Each must raise ValueError or TypeError")


def representation(case: Case) -> None:
    """repr() and str() are asked for before the first step and after it.

    Bugs of this kind: a __repr__ that reads an attribute which is not there, or names nothing.
    """
    params = fresh(case)
    optimizer = build(case, params)
    name = type(optimizer).__name__
    for when in ("before the first step", "after a step"):
        for function in (repr, str):
            try:
                text = function(optimizer)
            except Exception as error:
                raise Broken(f"{function.__name__}() {when} raises {type(error).__name__}: {error}") from None
            # str() may be made for readers; repr() is what a bug report shows
            if function is str:
                continue
            if name not in text:
                raise Broken(f"repr() {when} is {text[:80]!r}; it must name the class, {name}")
            for group in optimizer.param_groups:
                missing = [k for k in case.names if k in group and k not in text]
                if missing:
                    raise Broken(f"repr() {when} is {text[:80]!r}; it must name {', '.join(missing)}")
        give(case, params, 0)
        optimizer.step()
