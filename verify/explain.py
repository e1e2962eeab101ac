"""Offline explanations: a check, a rule with its derivation, the allowance."""

from __future__ import annotations

import difflib
import json
from importlib import resources
from typing import TYPE_CHECKING

from verify.errors import UsageError

if TYPE_CHECKING:
    from reference.rule import UpdateRule


def explain(topic: str, *, latex: bool = False) -> str:
    """Text about a check id, a code of ``audit`` and ``watch``, a rule name (or ``path.py:NAME``), or ``allowance``.

    Raises:
        UsageError: nothing of that name is known.
    """
    from verify.binding.codes import CODES
    from verify.checks import IDS

    if topic in CODES:
        return CODES[topic].explanation()
    if topic == "allowance":
        return _allowance()
    if topic in IDS:
        from verify.checks import all_checks

        check = all_checks()[topic]
        return f"{check.id}: {check.claim}\n\n{check.explanation}\n\ndtypes: {', '.join(check.dtypes)}"
    return _rule(topic, [*IDS, *CODES], latex)


def _allowance() -> str:
    from reference import rounding

    text = (rounding.__doc__ or "").strip()
    lines = [text, "", f"FACTOR = {rounding.FACTOR:g}", "", "The worst ratios seen (optim-verify survey):"]
    data = json.loads(resources.files("verify").joinpath("worst_ratios.json").read_text(encoding="utf-8"))
    lines.append(f"  torch {data['torch']}, {data['budget']}, seeds {data['seeds']}")
    for row in data["rows"]:
        lines.append(f"  {row['subject']:<24} {row['worst_ratio']:.3f}  {row['quantity']}, {row['where']}")
    return "\n".join(lines)


def _rule(topic: str, ids, latex: bool) -> str:
    from reference import RULES, RuleError, load_rule
    from reference.lowering.latex import step_latex, step_text

    try:
        rule = load_rule(topic)
    except RuleError as error:
        near = difflib.get_close_matches(topic, [*ids, *RULES, "allowance"], 1)
        hint = f"; did you mean {near[0]!r}?" if near and ":" not in topic else ""
        raise UsageError(f"{error}{hint if hint not in str(error) else ''}") from None
    if rule.kind == "quasi_newton":
        return _quasi_newton(rule)
    step = rule.step()
    if latex:
        return step_latex(step)
    lines = _head(rule)
    if rule.state:
        lines += ["state"]
        lines += [f"  {s.name:<14} from {s.initial}{', one number' if s.scalar else ''}" for s in rule.state]
    lines += _options(rule)
    lines += ["", "step t (default options)", *("  " + x for x in step_text(step).splitlines())]
    lines += [f"note: {note}" for note in rule.notes]
    lines += ["", "derivation", *_derivation(rule), "", *_equalities(rule), *_variants(rule)]
    return "\n".join(lines)


def _head(rule: UpdateRule) -> list[str]:
    lines = [f"{rule.name}: {rule.title}", f"source: {rule.source}", "", "hyperparameters"]
    return [*lines, *(f"  {h.name:<14} in {h.domain:<8} default {h.default:g}" for h in rule.hyperparameters)]


def _options(rule: UpdateRule) -> list[str]:
    return ["options", *(f"  {o.name:<24} {o.about}" for o in rule.options)] if rule.options else []


def _quasi_newton(rule: UpdateRule) -> str:
    """A rule of whole calls: its conventions stand where others have the equations of a step."""
    from reference.quasi_newton.variants import VARIANTS

    lines = [*_head(rule), *_options(rule), *(f"note: {note}" for note in rule.notes), "", "derivation"]
    lines += [*_derivation(rule), "", f"known mistakes ({len(VARIANTS)})"]
    width = max(len(v.name) for v in VARIANTS)
    return "\n".join([*lines, *(f"  {v.name:<{width}}  {v.sentence}" for v in VARIANTS)])


def _equalities(rule: UpdateRule) -> list[str]:
    """What is known of its equality with other rules."""
    from reference import RULES
    from reference.equivalence import theorems_about

    known = theorems_about(rule.name) if RULES.get(rule.name) is rule else ()
    if not known:
        return []
    lines = ["equalities and near misses (each is shown by: optim-verify equal A B --given CONDITION ...)"]
    return [*lines, *(f"  {theorem}" for theorem in known), ""]


def _variants(rule: UpdateRule) -> list[str]:
    """The known ways to get the rule wrong."""
    from reference.variants import variants

    found = variants(rule)
    named = [v for v in found if v.named]
    lines = [f"known mistakes ({len(named)} with a name, {len(found) - len(named)} more from changing every term)"]
    width = max((len(v.name) for v in named), default=0)
    return [*lines, *(f"  {v.name:<{width}}  {v.sentence}" for v in named)]


def _derivation(rule: UpdateRule) -> list[str]:
    import textwrap

    import sympy

    from reference import RULES
    from reference.derivations import derivation
    from reference.quasi_newton import QUASI_NEWTON

    if (RULES | QUASI_NEWTON).get(rule.name) is not rule:
        return ["  none: a rule of your own is taken as it is written"]
    steps = derivation(rule.name)
    lines = []
    for number, step in enumerate(steps, start=1):
        held = "✓" if step.holds() else "✗"
        lines += textwrap.wrap(f"{number}. {held} {step.text}", 100, initial_indent="  ", subsequent_indent="     ")
        for side in (step.left, step.right):
            lines += textwrap.wrap(
                f"= {sympy.sstr(side)}", 100, initial_indent="       ", subsequent_indent="         "
            )
    return lines
