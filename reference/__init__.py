"""Update rules of optimizers as mathematics: symbols, derivations, exact values, allowances.

Everything here is imported when it is first used, so that ``import reference`` stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sympy import Abs, Max, Min, Piecewise, exp, log, sign, sqrt

    from reference.derivations import DerivationStep, derivation
    from reference.rule import Hyperparameter, Option, RuleError, StateVariable, UpdateRule
    from reference.rules import RULES, get_rule, load_rule, rule_for_torch_class
    from reference.unknown import unknown_rule

_MODULES = {
    "reference.rule": ("Hyperparameter", "Option", "RuleError", "StateVariable", "UpdateRule"),
    "reference.rules": ("RULES", "get_rule", "load_rule", "rule_for_torch_class"),
    "reference.unknown": ("unknown_rule",),
    "reference.derivations": ("DerivationStep", "derivation"),
    # what the equations of a rule may use, for authors of rules
    "sympy": ("Abs", "Max", "Min", "Piecewise", "exp", "log", "sign", "sqrt"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "RULES",
    "Abs",
    "DerivationStep",
    "Hyperparameter",
    "Max",
    "Min",
    "Option",
    "Piecewise",
    "RuleError",
    "StateVariable",
    "UpdateRule",
    "derivation",
    "exp",
    "get_rule",
    "load_rule",
    "log",
    "rule_for_torch_class",
    "sign",
    "sqrt",
    "unknown_rule",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'reference' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
