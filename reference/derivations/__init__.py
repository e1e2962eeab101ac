"""Where each formula comes from, as executable sympy.

A derivation is a list of :class:`DerivationStep`. Each is an equation that sympy checks: nothing in
a derivation is taken from code, and the last steps tie the derived formula to the rule's own step.
"""

from __future__ import annotations

import difflib
import importlib
from dataclasses import dataclass

import sympy

from reference.rule import STEP_COUNT, RuleError

_MODULES = {
    "gradient_descent": "sgd",
    "sgd": "sgd",
    "heavy_ball": "sgd",
    "adam": "adam",
    "adam_eps_hat": "adam",
    "adamw": "adam",
    "sparse_adam": "sparse_adam",
    "adamax": "adamax",
    "nadam": "nadam",
    "radam": "radam",
    "adagrad": "adagrad",
    "adadelta": "adadelta",
    "rmsprop": "rmsprop",
    "rprop": "rprop",
    "asgd": "asgd",
    "lion": "lion",
    "sgdw": "sgdw",
    "sgdw_scheduled": "sgdw",
    "aggmo": "aggmo",
    "qhm": "qhm",
    "qhadam": "qhm",
    "qhadam_weighted": "qhm",
    "adabelief": "adabelief",
    "adabelief_eps_not_kept": "adabelief",
    "adabelief_rectified": "adabelief",
    "adabound": "adabound",
    "adabound_paper": "adabound",
    "yogi": "yogi",
    "yogi_corrected": "yogi",
    "diffgrad": "diffgrad",
    "diffgrad_eps_hat": "diffgrad",
    "adan": "adan",
    "adan_paper": "adan",
    "ademamix": "ademamix",
    "ademamix_scheduled": "ademamix",
    "adopt": "adopt",
    "adopt_clipped": "adopt",
    "tiger": "tiger",
    "madgrad": "madgrad",
    "madgrad_shifted": "madgrad",
    "schedule_free_sgd": "schedule_free",
    "schedule_free_adamw": "schedule_free",
    "schedule_free_adamw_scaled": "schedule_free",
    "lars": "lars",
    "lars_lr_outside": "lars",
    "lamb": "lamb",
    "lamb_clamped": "lamb",
    "novograd": "novograd",
    "adafactor": "adafactor",
    "adafactor_paper": "adafactor",
    "came": "came",
    "lbfgs": "lbfgs",
    "muon": "muon",
    "stable_adamw": "stable_adamw",
    "adamw_clipped": "stable_adamw",
    "cautious_adamw": "cautious",
    "cautious_adamw_mean": "cautious",
    "cautious_lion": "cautious",
    "cautious_lion_mean": "cautious",
    "sgdp": "adamp",
    "adamp": "adamp",
}
DERIVED = tuple(_MODULES)


@dataclass(frozen=True)
class DerivationStep:
    """One equation of a derivation: ``left`` equals ``right``, because of ``text``.

    Args:
        text: what is done, in one sentence, with the paper's equation number where there is one.
        left, right: sympy expressions that must be equal; sums, limits, integrals and derivatives
            may be left for sympy to carry out.
    """

    text: str
    left: sympy.Expr
    right: sympy.Expr

    def holds(self) -> bool:
        """Whether sympy proves the equation."""
        difference = sympy.sympify(self.left) - sympy.sympify(self.right)
        if difference == 0:
            return True
        difference = _generalise_powers(difference.doit())
        forms = (
            lambda e: e,
            sympy.expand,
            lambda e: sympy.cancel(sympy.together(e)),
            sympy.simplify,
        )
        return any(form(difference) == 0 for form in forms)


def _generalise_powers(expression: sympy.Expr) -> sympy.Expr:
    """Write every beta^t as 1 - c with a new symbol c > 0.

    Every symbol called beta... is a decay in [0, 1) and t is at least 1, so 1 - beta^t is positive,
    which sympy does not know and needs to split roots. An equation that holds for every beta and
    every c > 0, tied or not, holds in particular for c = 1 - beta^t: the replacement can only make
    an equation harder to prove.
    """

    def is_decay(e: sympy.Basic) -> bool:
        power = isinstance(e, sympy.Pow) and e.base.is_Symbol and e.exp == STEP_COUNT
        return power and e.base.name.startswith("beta")

    def generalised(e: sympy.Pow) -> sympy.Expr:
        return 1 - sympy.Symbol(f"c_{e.base}", positive=True)

    return sympy.expand_power_exp(expression).replace(is_decay, generalised)


def derivation(rule_name: str) -> list[DerivationStep]:
    """The derivation of a known rule.

    Raises:
        RuleError: there is none of this name.
    """
    if rule_name not in _MODULES:
        match = difflib.get_close_matches(rule_name, DERIVED, 1)
        hint = f"; did you mean {match[0]!r}?" if match else ""
        raise RuleError(f"no derivation is called {rule_name!r}{hint} (known: {', '.join(DERIVED)})")
    module = importlib.import_module(f"reference.derivations.{_MODULES[rule_name]}")
    return getattr(module, rule_name)()
