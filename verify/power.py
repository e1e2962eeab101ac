"""What a pass is worth: which variants of the rule (reference.variants) the programs of a run tell apart from it.

A variant is walked through a program as if it were the subject, and every step is judged as the oracle judges one: by
the rule, from the variant's own parameter and state. It is told apart when some quantity differs by more than the
allowances of both together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reference.lowering.array import lower_to_arrays
from reference.rounding import FACTOR, PRECISIONS, Precision
from reference.rule import Step as RuleStep
from reference.rule import unset_symbol
from reference.variants import differs
from reference.variants.difference import evaluate
from verify.driver import numbers, quiet
from verify.lanes import DTYPES, as_float64, fill, real_shape
from verify.matrix_precision import matrix_precision
from verify.program import AddGroup, Edit, Program, Repeat, Schedule, Step
from verify.sparse import entries_of, in_form
from verify.subject import LoadedSubject

MOST_LANES = 192
# a sketch has no allowances of its own: it must be this many times outside the rule's
SURELY = 2.0**10
LONGEST = 3


@dataclass
class Power:
    """Variants of a rule, and those that were told apart.

    Args:
        known: names of all variants that concern the subject, with their sentences.
        missed: variants that no program has told apart yet; later, with the reason for each.
        elsewhere: how many variants differ only in what the subject does not offer.
    """

    known: dict[str, str] = field(default_factory=dict)
    missed: dict[str, str] = field(default_factory=dict)
    elsewhere: int = 0

    def to_json(self) -> dict[str, Any]:
        missed = [{"variant": n, "sentence": self.known[n], "why": why} for n, why in self.missed.items()]
        return {"known": len(self.known), "caught": len(self.known) - len(self.missed), "missed": missed}


class Walker:
    """A rule's step followed by array code alone, one parameter at a time.

    Args:
        step: the rule's step under the program's options.
        dtype: precision in which a subject would keep parameter and state.
        matrices: precision in which it computes functions of matrices, where that is coarser.
    """

    def __init__(self, step: RuleStep, dtype: str, matrices: Precision | None = None):
        self.step = step
        self.precision = PRECISIONS[dtype]
        self.matrices = matrices
        self.evaluate = lower_to_arrays(step, carried=False, careful=False)
        self.state: dict[str, Any] = {}

    def inputs(
        self, p: np.ndarray, g: np.ndarray, count: int, values: Mapping[str, float], shape: tuple, state=None
    ) -> dict[str, Any]:
        """Symbols before a step; ``state`` takes the place of the walker's own."""
        known = self.state if state is None else state
        v: dict[str, Any] = {**values, "p": p, "g": g, "t": count, "p.shape": shape}
        v["machine_epsilon"] = 2 * self.precision.unit
        if self.matrices is not None and self.matrices.digits < self.precision.digits:
            v["p.matrices"] = FACTOR * self.matrices.unit, FACTOR * self.matrices.smallest, self.matrices.largest
        for variable in self.step.state:
            name = variable.name
            start = float(values[variable.initial] if isinstance(variable.initial, str) else variable.initial)
            v[name] = known.get(name, start if variable.scalar else np.full(len(p), start))
            v["e_" + name] = 0.0
            if variable.scalar:
                v["store_" + name] = (FACTOR * 2.0**-53, 0.0)
            if variable.unset_at_first:
                v[unset_symbol(name).name] = int(name not in known)
        return v

    def results(self, v: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
        """New value and allowance of every quantity."""
        unit, tiny = FACTOR * self.precision.unit, FACTOR * self.precision.smallest
        found = self.evaluate(np, unit, tiny, FACTOR * 2.0**-53, 0.0, self.precision.largest, v)
        if not self.step.is_elementwise:
            found = [tuple(_at_every_element(x, v["p"]) for x in result) for result in found]
        return dict(zip(self.step.outputs, found, strict=True))


def _at_every_element(x: Any, p: np.ndarray) -> Any:
    return np.broadcast_to(x, p.shape) if isinstance(x, np.ndarray | np.floating) else x


class Sketch(Walker):
    """A rule's step in plain float64, without allowances: nothing has to be generated for it."""

    def __init__(self, step: RuleStep, dtype: str):
        self.step = step
        self.precision = PRECISIONS[dtype]
        self.matrices = None
        self.state = {}

    def results(self, v: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
        known = {symbol: v[symbol.name] for symbol in self.step.is_scalar if symbol.name in v}
        after = evaluate(self.step.assignments, known, v["p.shape"])
        found = {name: (after[self.step.new_symbol(name)], None) for name in self.step.outputs}
        if "g.entry" in v:
            lazy = (name for name in self.step.rule.lazy if name in found)
            found |= {name: (np.where(v["g.entry"], found[name][0], v[name]), None) for name in lazy}
        return found


def tells_apart(loaded: LoadedSubject, program: Program, rule, variant, sketched: bool = False) -> bool:
    """Whether a subject that follows ``variant`` would be refuted by this program.

    Programs with other operations than steps, edits and schedules are cut off at the first such one.

    Args:
        sketched: whether a quick look is enough, which says so only of what is far outside.
    """
    try:
        steps = [
            (rule.step(options, p.shape), variant.step(options, p.shape))
            for p in program.parameters
            for options in [program.options_of(p.group)]
        ]
    except ValueError:
        return False
    values = [dict(rule.defaults) | loaded.fixed | numbers(g) for g in program.groups]
    late = program.late_groups
    with quiet():
        matrices = matrix_precision(loaded, program) if rule.has_matrices else None
        tracks = [
            _Track(p, program, *both, sketched, matrices) for p, both in zip(program.parameters, steps, strict=True)
        ]
        for op in program.operations:
            if isinstance(op, Edit) and (op.name in loaded.options or loaded.ended_by(op.name)):
                return False
            if isinstance(op, Edit):
                values[op.group][op.name] = op.value
            elif isinstance(op, Schedule):
                for group in values:
                    group["lr"] *= op.factor
            elif isinstance(op, AddGroup):
                late -= {op.group}
            elif isinstance(op, Step | Repeat):
                for index, track in enumerate(tracks):
                    if isinstance(op, Step):
                        track.set_gradient(op.gradients[index], program)
                    if track.gradient is not None and track.group not in late and track.step(values[track.group]):
                        return True
            else:
                return False
    return False


class _Track:
    """One parameter of the variant's walk, judged by the rule."""

    def __init__(
        self, spec, program: Program, rule: RuleStep, variant: RuleStep, sketched: bool, matrices: Precision | None
    ):
        self.group, self.shape = spec.group, spec.shape
        self.real = str(DTYPES[program.dtype].to_real() if DTYPES[program.dtype].is_complex else DTYPES[program.dtype])
        self.dtype = self.real.removeprefix("torch.")
        initial = fill(spec.initial, spec.shape, DTYPES[program.dtype])
        self.lanes, self.real_shape = len(as_float64(initial)), real_shape(initial)
        if self.lanes > MOST_LANES and (rule.is_elementwise or len(self.real_shape) == 1):
            self.lanes, self.real_shape = MOST_LANES, (MOST_LANES,)
        self.p = as_float64(initial)[: self.lanes].copy()
        self.rule = Walker(rule, self.dtype, matrices)
        self.variant = Sketch(variant, self.dtype) if sketched else Walker(variant, self.dtype, matrices)
        self.margin = SURELY if sketched else 1.0
        self.shared = {s.name for s in rule.state} & {s.name for s in variant.state}
        self.scalars = {s.name for s in rule.state if s.scalar}
        self.gradient: np.ndarray | None = None
        # which elements a sparse gradient has, where that matters
        self.entry: dict[str, np.ndarray] = {}
        self.is_lazy = bool(rule.rule.lazy or variant.rule.lazy)
        self.count = 0

    def set_gradient(self, filling, program: Program) -> None:
        self.gradient, self.entry = None, {}
        if filling is not None:
            tensor = fill(filling, () if filling.expanded else self.shape, DTYPES[program.dtype])
            if filling.sparse and self.is_lazy:
                times = entries_of(in_form(tensor, filling.sparse)).times
                self.entry = {"g.entry": times[: self.lanes] > 0}
            values = as_float64(tensor)
            self.gradient = (
                np.broadcast_to(values[: self.lanes], self.p.shape) if filling.expanded else values[: self.lanes]
            )

    def step(self, values: Mapping[str, float]) -> bool:
        """One step of the variant; whether the rule would refute it."""
        assert self.gradient is not None
        self.count += 1
        inputs = self.variant.inputs(self.p, self.gradient, self.count, values, self.real_shape)
        moved = self.variant.results(inputs | self.entry)
        # the rule starts from what it sees of the variant's state, and carries the rest itself
        seen = {**self.rule.state, **{n: self.variant.state[n] for n in self.shared if n in self.variant.state}}
        inputs = self.rule.inputs(self.p, self.gradient, self.count, values, self.real_shape, seen)
        due = self.rule.results(inputs | self.entry)
        apart = any(self._apart(name, moved[name], due[name]) for name in due if name in moved)
        self.variant.state = {n: self._kept(n, moved[n][0]) for n in moved if n != "p"}
        self.rule.state = {n: self._kept(n, due[n][0]) for n in due if n != "p"}
        self.p = self._kept("p", moved["p"][0])
        return apart

    def _kept(self, name: str, value: Any) -> Any:
        if name in self.scalars:
            return float(np.ravel(value)[0])
        if not isinstance(value, np.ndarray):
            return value
        rounded = value.astype(np.float32).astype(float) if self.dtype == "float32" else value
        return np.broadcast_to(rounded, self.p.shape).copy()

    def _apart(self, name: str, one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
        (a, a_error), (b, b_error) = one, other
        # where the variant is not even finite, the rule's own allowance is all that counts
        own = np.where(np.isfinite(a), 0.0 if a_error is None else a_error, 0.0)
        allowed = self.margin * (own + np.asarray(0.0 if b_error is None else b_error))
        size = (
            np.abs(b)
            + np.abs(self.p if name == "p" else b)
            + self.rule.precision.smallest * 2.0**self.rule.precision.digits
        )
        useful = np.isfinite(allowed) & ((allowed < size) | (allowed == 0)) & np.isfinite(b)
        return bool(np.any(useful & ~(np.abs(np.asarray(a) - b) <= allowed)))


def measure(loaded: LoadedSubject, programs: Iterable[Program], variants) -> Power:
    """Which variants these programs tell apart.

    Args:
        loaded: the subject: its options and fixed hyperparameters decide which variants concern it.
        programs: what the run tries.
        variants: see :func:`reference.variants.variants`.
    """
    power = Power()
    left = {}
    for variant in variants:
        if concerns(loaded, variant.rule):
            power.known[variant.name] = variant.sentence
            left[variant.name] = variant
        else:
            power.elsewhere += 1
    programs = list(programs)
    # a short one tells most apart, and a long one those that begin late
    if not loaded.rule.has_matrices:
        programs = [*programs[:1], *sorted(programs, key=_steps)[-LONGEST:], *programs[1:]]
    # what is rounded to a coarse precision is never so far outside as a sketch must be
    for sketched in (False,) if loaded.rule.has_matrices else (True, False):
        for program in programs:
            for name in [n for n, v in left.items() if tells_apart(loaded, program, loaded.rule, v.rule, sketched)]:
                del left[name]
    power.missed = dict.fromkeys(left, "no program of this run tells it apart")
    return power


def _steps(program: Program) -> int:
    return sum(isinstance(op, Step | Repeat) for op in program.operations)


def concerns(loaded: LoadedSubject, variant) -> bool:
    """Whether a variant differs from the rule in anything that the subject offers."""
    if variant.lazy != loaded.rule.lazy:
        return True
    offered = {*loaded.options, *(o.name for o in loaded.rule.options if o.of_shape)}
    offers_all = not loaded.fixed and all(o.name in offered for o in loaded.rule.options)
    return offers_all or differs(loaded.rule, variant, loaded.fixed, offered)
