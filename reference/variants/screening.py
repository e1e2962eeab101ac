"""Two quick answers in plain float64: could a subject be following a rule, and does a variant concern it at all.

They are for sorting hundreds of variants before a few are judged by their allowances: neither proves anything.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import sympy

from reference.reductions import Reduction
from reference.rounding import PRECISIONS
from reference.rule import GRADIENT, MACHINE_EPSILON, PARAMETER, STEP_COUNT, Step, UpdateRule, unset_symbol
from reference.variants.difference import Scenes, evaluate
from reference.variants.equations import prepare

# of the elements that tell something, those that must be near
SHARE = 0.5
# how near, relative to what a step has changed
SLACK = 2.0**-6
# an element tells something where it has moved by so many roundings
ROOM = 2.0**12
# numbers that all elements share may be kept in float32
SCALAR = 2.0**-24


def resembles(step: Step, before: Mapping[str, Any], after: Mapping[str, Any], unit: float = 2.0**-53) -> bool:
    """Whether a recorded step may be one of this rule: where a step moves an element at all, most are near.

    Args:
        step: the assignments of the rule, or of a variant of it.
        before: every symbol before the step by name, as the oracle has it; ``NAME_unset`` where the rule asks for it.
            State that it does not name has its initial value in the first step; after that nothing can be said.
        after: what the step made: ``"p"`` and the state variables that could be seen.
        unit: unit roundoff of the dtype that the numbers come from.
    """
    if before["t"] != 1 and any(s.name not in before for s in step.state):
        return True  # it remembers something that nobody has recorded
    values = _values(step, before)
    results = evaluate(step.assignments, values, before.get("p.shape", ()))
    if any(isinstance(e, Reduction) for e in results) and not _is_ordinary(before, results, unit):
        return True  # what one element's range does to a sum, it does to all elements
    finite = np.isfinite(np.asarray(before["p"], dtype=float))
    for name in step.outputs:
        needs = next((s.needs for s in step.state if s.name == name), None)
        if name not in after or (needs is not None and before[needs] == 0):
            continue
        got = np.asarray(after[name], dtype=float)
        old = np.asarray(values[PARAMETER if name == "p" else _symbol(step, name)], dtype=float)
        coarse = unit if got.ndim else max(unit, SCALAR)
        with np.errstate(all="ignore"):
            due = np.asarray(results[step.new_symbol(name)], dtype=float)
            if name in step.rule.lazy:
                due = np.where(before.get("g.entry", True), due, old)
            moved = np.fmax(np.abs(got - old), np.abs(due - old))
            telling = (
                (moved > ROOM * coarse * (np.abs(got) + np.abs(old))) & np.isfinite(got) & (finite | (got.ndim == 0))
            )
            near = np.isfinite(due) & (np.abs(due - got) <= SLACK * moved)
        if np.count_nonzero(near & telling) < SHARE * np.count_nonzero(telling):
            return False
    return True


def _is_ordinary(before: Mapping[str, Any], results: Mapping[Any, Any], unit: float) -> bool:
    """Whether squares of elements, and sums over them, neither overflow nor underflow where a subject computes."""
    precision = next(p for p in PRECISIONS.values() if p.unit == unit)
    sizes = np.abs(np.concatenate([np.asarray(before[name], dtype=float) for name in ("p", "g")]))
    sums = [np.abs(x) * (x.size if e.averages else 1) for e, x in results.items() if isinstance(e, Reduction)]
    least, most = precision.smallest / precision.unit, precision.largest
    return bool(np.all((sizes == 0) | (sizes**2 >= least))) and all(np.all(x <= most) for x in (*sums, sizes**2))


def distance(step: Step, before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    """How far a recorded step is from one of this rule: the median error of the parameter's moves, from 0 to 1.

    Args:
        step, before, after: as for :func:`resembles`.
    """
    values = _values(step, before)
    results = evaluate(step.assignments, values)
    old, got = np.asarray(values[PARAMETER], dtype=float), np.asarray(after["p"], dtype=float)
    with np.errstate(all="ignore"):
        due = np.asarray(results[step.new_symbol("p")], dtype=float)
        error = np.abs(due - got) / np.fmax(np.abs(due - old), np.abs(got - old))
    return float(np.median(np.nan_to_num(error, nan=1.0).clip(0, 1)))


def _symbol(step: Step, name: str) -> sympy.Symbol:
    return next(s.symbol for s in step.state if s.name == name)


def _values(step: Step, before: Mapping[str, Any]) -> dict[sympy.Basic, Any]:
    values: dict[sympy.Basic, Any] = {h.symbol: before[h.name] for h in step.rule.hyperparameters}
    values |= {PARAMETER: before["p"], GRADIENT: before["g"], STEP_COUNT: float(before["t"])}
    values[MACHINE_EPSILON] = before["machine_epsilon"]
    for s in step.state:
        start = before[s.initial] if isinstance(s.initial, str) else s.initial
        values[s.symbol] = before.get(s.name, start)
        values[unset_symbol(s.name)] = float(before.get(unset_symbol(s.name).name, s.name not in before))
    return values


def differs(
    rule: UpdateRule,
    variant: UpdateRule,
    fixed: Mapping[str, float] | None = None,
    switchable: Collection[str] | None = None,
) -> bool:
    """Whether a variant computes something else than its rule, for a subject that offers only a part of the rule.

    Args:
        fixed: hyperparameters that the subject has no argument for, with the value it uses.
        switchable: options that may be chosen; None means all of them.
    """
    names = tuple(sorted((fixed or {}).items()))
    for options in rule.choices():
        if switchable is not None and any(
            options[o.name] != o.default and o.name not in switchable for o in rule.options
        ):
            continue
        scenes = _scenes(rule, tuple(sorted(options.items())), names)
        changed = prepare(variant.step(options))
        if scenes is None or changed is None or scenes.differ(changed):
            return True
    return False


@lru_cache(maxsize=128)
def _scenes(rule: UpdateRule, options: tuple, fixed: tuple) -> Scenes | None:
    step = rule.step(dict(options))
    prepared = prepare(step)
    return None if prepared is None else Scenes(prepared, step, dict(fixed))
