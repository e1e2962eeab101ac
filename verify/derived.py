"""A rule's step and its derivation, as a certificate tells them."""

from __future__ import annotations

from reference import RULES
from reference.derivations import DERIVED, derivation
from reference.lowering.latex import equation_latex, step_latex
from reference.rule import UpdateRule


def derived(rule: UpdateRule) -> list[dict[str, str]]:
    """First one step with default options, then each equation of the derivation, where there is one."""
    if not getattr(rule, "known", True):
        return []
    step = rule.step()
    told = [{"text": "one step, with default options", "latex": step_latex(step)}]
    if RULES.get(rule.name) is rule and rule.name in DERIVED:
        equations = derivation(rule.name)
        told += [{"text": e.text, "latex": equation_latex(step, e.left, e.right)} for e in equations]
    return told
