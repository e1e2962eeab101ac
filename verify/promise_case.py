"""The case on which a promise (verify.promises) is tried: what a program says, as constructor arguments and tensors."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

from reference.rule import Hyperparameter
from verify.driver import Driver
from verify.program import Filling, Program, Step
from verify.promises.case import Case
from verify.subject import LoadedSubject


def case_for(loaded: LoadedSubject, program: Program, factory: Callable[..., Any] | None = None) -> Case:
    """The case of a program.

    Args:
        factory: called in place of the subject's constructor.
    """
    driver = Driver(loaded, program)
    driver.make_parameters()
    values = driver.own_values(0)
    own = loaded.constructor_arguments(values, program.options)
    arguments = {**own, **loaded.switches(program.implementation), **loaded.subject.arguments}
    groups: list[tuple[list[int], dict[str, Any]]] = []
    for g in range(len(program.groups)):
        later = loaded.constructor_arguments(driver.own_values(g), {}) if g else {}
        groups.append(([i for i, p in enumerate(program.parameters) if p.group == g], later))
    names = list(dict.fromkeys(a.name for a in loaded.hyperparameters.values()))
    return Case(
        factory or loaded.factory,
        arguments,
        groups,
        [t.tensor.detach() for t in driver.tracks],
        [
            [_gradient(f, driver, i) for i, f in enumerate(op.gradients)]
            for op in driver.program.operations
            if isinstance(op, Step)
        ],
        other=loaded.constructor_arguments(_other(loaded, program, values), {}),
        names=names,
        required=[n for n in names if _has_no_default(loaded, n)],
        wrong=list(_wrong(loaded, arguments)),
    )


def _gradient(filling: Filling | None, driver: Driver, index: int) -> Any:
    return None if filling is None else driver.gradient(filling, driver.tracks[index])


def _has_no_default(loaded: LoadedSubject, argument: str) -> bool:
    from torch.optim.optimizer import required

    parameter = loaded.parameters.get(argument)
    return parameter is not None and parameter.default in (inspect.Parameter.empty, required)


def _other(loaded: LoadedSubject, program: Program, values: dict[str, float]) -> dict[str, float]:
    """Other values of all hyperparameters, or at least of lr, that fit the options."""
    rule = loaded.rule
    options = rule.step(program.options).options
    changed = {h.name: next((x for x in h.trials if x != values[h.name]), values[h.name]) for h in _own(loaded)}
    for other in (changed, {**values, "lr": values.get("lr", 1.0) / 2}):
        other = {k: v for k, v in other.items() if k in values}
        if rule.constraint({**rule.defaults, **loaded.fixed, **other}, options):
            return other
    return {}


def _own(loaded: LoadedSubject) -> list:
    """Hyperparameters of the rule that the subject has an argument for."""
    return [h for h in loaded.rule.hyperparameters if h.name in loaded.hyperparameters]


def _wrong(loaded: LoadedSubject, arguments: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Constructor arguments that belong to no domain, one at a time."""
    for h in _own(loaded):
        argument = loaded.hyperparameters[h.name]
        if argument.name not in arguments or argument.name in loaded.subject.arguments:
            continue
        domain = f" (in {h.domain})" if loaded.rule.known else ""
        name = argument.name if argument.index is None else f"{argument.name}[{argument.index}]"
        for value in _wrong_values(loaded, h):
            change = value
            if argument.index is not None:
                entries = list(arguments[argument.name])
                entries[argument.index] = value
                change = type(arguments[argument.name])(entries)
            yield {argument.name: change}, name + domain, repr(value)


# weights that are useless at the upper end of their domain, but do no harm there
_HARMLESS_AT_END = ("alpha", "rho")
# torch documents no upper end for it
_WITHOUT_END = ("dampening",)


def _wrong_values(loaded: LoadedSubject, h: Hyperparameter) -> Iterator[Any]:
    known = loaded.rule.known
    if (known and h.low > -math.inf) or h.name == "lr":
        yield max(h.low, 0.0 if h.name == "lr" else h.low) - 0.25
        if known and h.low_open:
            yield h.low
    if known and h.high < math.inf and h.name not in _WITHOUT_END:
        if h.name not in _HARMLESS_AT_END and not h.high_closed:
            yield h.high
        yield h.high + 0.25
    yield math.nan
    yield "fast"
