"""No rule: an optimizer whose equations nobody has given, certified on its behaviour alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from reference.rule import Hyperparameter, Option, UpdateRule

NAME = "none"
# symbols that every rule has
RESERVED = ("p", "g", "t", "machine_epsilon")
# every choice of options is tried
MOST_OPTIONS = 4
# what is off by default, and a value that switches it on
SWITCHED_ON = {"weight_decay": 0.25, "momentum": 0.5}


def unknown_rule(defaults: Mapping[str, Any]) -> UpdateRule:
    """A rule without equations, for a constructor with these arguments and defaults.

    Numbers (and numbers in tuples) become hyperparameters, tried at their default, at half and at double
    of it where that stays on the same side of one; booleans become options.
    """
    hyperparameters: list[Hyperparameter] = []
    options: list[Option] = []
    for name, default in defaults.items():
        if name in RESERVED:
            continue
        if isinstance(default, bool):
            options.append(Option(name, default))
        elif _is_number(default):
            hyperparameters.append(_hyperparameter(name, name, default))
        elif isinstance(default, tuple | list) and all(_is_number(x) for x in default):
            hyperparameters += [_hyperparameter(f"{name}_{i}", f"{name}[{i}]", x) for i, x in enumerate(default)]
    return UpdateRule(
        NAME,
        "no rule: behaviour alone",
        "no equations were given",
        equations=lambda v, options: v.let("p", v.p),
        hyperparameters=tuple(hyperparameters),
        options=tuple(options[:MOST_OPTIONS]),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _hyperparameter(name: str, argument: str, default: float) -> Hyperparameter:
    """Of its domain only the default is known; numbers on the same side of zero and one are likely to be in it."""
    integer = isinstance(default, int) and default > 1
    trials: tuple[float, ...] = (default, default / 2, default / 4)
    if integer:
        trials = (default, default + 1, default + 2)
    elif name == "lr":
        trials = (0.5, 0.125, default)
    elif default == 0:
        trials = (SWITCHED_ON.get(name, 0.0), 0.0)
    return Hyperparameter(
        name,
        default,
        low=0.0 if default >= 0 else -math.inf,
        high=1.0 if 0 < default < 1 and name != "lr" else math.inf,
        arguments=(argument,),
        trials=tuple(dict.fromkeys(trials)),
        integer=integer,
    )
