"""What is known of one step that is wrong, and what a hypothesis about it says (see verify.hypotheses)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from reference.rule import Step, unset_symbol
from verify.program import Operation


@dataclass(frozen=True)
class Hypothesis:
    """Something that the subject may have done instead.

    Args:
        kind: what sort of mistake it is, whatever the numbers.
        text: the mistake in one sentence, with the numbers.
        reason: the part of the sentence that several may differ in.
        inputs: what takes the place of the right numbers, by symbol.
        source: which group or parameter the numbers come from.
        kept: quantities that did not change.
        twice: whether the whole step was done twice.
        moved_again: the gradient by which the state, and it alone, was moved once more.
        step: another step than the rule's.
        elements: whether only those elements were kept that the rule does not explain.
        fact: it was seen, and not concluded from the numbers.
    """

    kind: str
    text: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    source: int | None = None
    kept: tuple[str, ...] = ()
    twice: bool = False
    moved_again: np.ndarray | None = None
    step: Step | None = None
    elements: bool = False
    fact: bool = False

    @property
    def holds_always(self) -> bool:
        """Whether it is no matter of one step or one parameter."""
        return self.family in ("zero", "default", "exchanged", "option", "lag", "solved")

    @property
    def family(self) -> str:
        """What a smaller program shows of the same mistake."""
        return self.kind.split("/")[0]


@dataclass(frozen=True)
class Change:
    """A hyperparameter that an operation of the program changed."""

    operation: int
    group: int
    name: str
    old: float
    new: float
    scheduled: bool


@dataclass(frozen=True)
class Other:
    """Another parameter of the optimizer.

    Args:
        counts: what its step counter may have said while this step was done.
        states: its state before this step, and after it where it was moved first.
    """

    index: int
    counts: tuple[int, ...]
    gradient: np.ndarray | None
    states: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Scene:
    """One parameter in one step, and all that was around it.

    Args:
        parameter, group, operation: which one, and when.
        step: the rule's step.
        v: every symbol before the step, as the oracle had it.
        names: hyperparameters that the subject takes and the step depends on.
        earlier: the symbols before this parameter's previous step; empty at its first.
        values: present hyperparameters of every group.
        constructor, signature: those that the constructor was given, and those of its signature.
        changes: what operations have changed so far.
        others: the other parameters.
        counters: what else may have been counted, by what it is.
        load: where the state was saved and loaded, or copied, since this parameter's last step.
        since_load: steps of this parameter since any load, this one included.
        aside: state that an instance had of its own before the load.
        left: p.grad as the step before left it, where the program did not set it again.
        taken: whether it left None.
        now: p.grad as this step left it.
        sizes: numbers that lr may have been divided by, by what they are.
        idle: other parameters that have no gradient in this step.
        wild: parameters whose gradient is not finite.
        late: the operation that added the group.
        absent: whether the parameter must not move in this step.
        shared: tensors that share their memory and must not, in words.
        live: hyperparameters in the subject's own group that are not what was set, before this step and after it.
        count_dtype: dtype of the step counter, where it is a tensor.
        counter: what the step counter in the state says, where that alone is wrong.
        unit: allowance of one rounding, relative to what is rounded.
        readings: what the entries of a sparse gradient may have been taken for, in words.
    """

    parameter: int
    group: int
    operation: int
    step: Step
    v: Mapping[str, Any]
    names: tuple[str, ...]
    earlier: Mapping[str, Any]
    values: tuple[Mapping[str, float], ...]
    constructor: Mapping[str, float]
    signature: Mapping[str, float]
    changes: tuple[Change, ...]
    others: tuple[Other, ...]
    counters: Mapping[str, int]
    load: tuple[int, Operation] | None
    since_load: int | None
    aside: Mapping[str, Any]
    left: np.ndarray | None
    taken: bool
    now: np.ndarray | None
    sizes: Mapping[str, int]
    idle: tuple[int, ...]
    wild: tuple[int, ...]
    late: int | None
    absent: bool
    shared: tuple[str, ...]
    live: tuple[Mapping[str, float], ...]
    count_dtype: str
    counter: float | None
    unit: float
    readings: Mapping[str, np.ndarray]

    @property
    def state(self) -> tuple[str, ...]:
        return tuple(s.name for s in self.step.state)

    @property
    def counts(self) -> bool:
        """Whether the step depends on its number."""
        return "t" in used_symbols(self.step) or self.counter is not None


def differing(step: Step, names: Iterable[str], quantity: str = "") -> tuple[str, ...]:
    """Those hyperparameters that a step depends on, or the equation of one quantity."""
    used = used_symbols(step, quantity)
    return tuple(name for name in names if name in used)


def state_inputs(step: Step, v: Mapping[str, Any]) -> dict[str, Any]:
    """What belongs to the state among the symbols."""
    names = [s.name for s in step.state]
    wanted = {*names, *(f"e_{n}" for n in names), *(unset_symbol(n).name for n in names)}
    return {k: x for k, x in v.items() if k in wanted}


@lru_cache(maxsize=256)
def used_symbols(step: Step, quantity: str = "") -> frozenset[str]:
    equations = [a.expression for a in step.assignments if quantity in ("", a.name)]
    return frozenset(symbol.name for e in equations for symbol in e.free_symbols)  # type: ignore[attr-defined]


def differs(inputs: Mapping[str, Any], v: Mapping[str, Any]) -> bool:
    """Whether there is anything else in the place of something, and it has as many elements."""
    known = {k: x for k, x in inputs.items() if k in v and not k.startswith("e_")}
    fits = all(np.shape(x) == np.shape(v[k]) for k, x in known.items())
    return fits and any(not np.array_equal(x, v[k], equal_nan=True) for k, x in known.items())


def in_domain(inputs: Mapping[str, Any], scene: Scene) -> bool:
    """Whether the rule's step can be taken with other inputs."""
    known = {h.name: h for h in scene.step.rule.hyperparameters}
    return all(known[k].contains(x) for k, x in inputs.items() if k in known) and inputs.get("t", 1) >= 1
