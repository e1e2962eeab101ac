"""The run in which everything is noted that says why a step is outside its allowance (see verify.cause)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from reference.lowering.array import lower_to_arrays
from reference.rounding import PRECISIONS
from reference.rule import Step, unset_symbol
from verify.driver import numbers
from verify.hypotheses import hypotheses
from verify.lanes import DTYPES, as_float64, dtype_name
from verify.oracle import LockStep
from verify.outcome import Mismatch
from verify.program import AddGroup, Copy, LoadFrom, Operation, Program, Reload, Repeat, Schedule, SetCount
from verify.scene import Change, Hypothesis, Other, Scene, differing, in_domain, state_inputs
from verify.sparse import exact_values, readings_of
from verify.subject import LoadedSubject
from verify.track import Track

# A wrong hypothesis fits by chance with a probability of 2^-ENOUGH, and about a hundred are tried.
ENOUGH = 16.0
# for a program that was made smaller: the cause is known, and only its numbers are looked up
KNOWN = 2.0
MOST_BITS_PER_ELEMENT = 24.0
TRIED_FIRST = 32
MOST_MOMENTS = 40
# a value that is set may be held in a float32 tensor
SINGLE = PRECISIONS["float32"].unit


class Moment:
    """One parameter after one step that is not as the rule says.

    Args:
        witness: the run, for how allowances are computed.
        scene: what was there before the step.
        track: the parameter.
        got: what came out, by quantity: the parameter and the state that can be seen.
        expected: what the rule gives, with its allowance.
    """

    def __init__(self, witness: Witness, scene: Scene, track: Track, got: Mapping[str, Any]):
        self.witness, self.scene, self.got = witness, scene, dict(got)
        self.dead = None if track.dead is None else track.dead.copy()
        if scene.parameter == 0 and witness.ignore:
            self.dead = np.zeros(len(got["p"]), bool) if self.dead is None else self.dead
            self.dead[[i for i in witness.ignore if i < len(self.dead)]] = True
        coarse = {n: witness._coarse_state(n, track) for n in got}
        self.coarse = {n: precision for n, precision in coarse.items() if precision}
        if scene.absent:
            self.expected = {n: (scene.v[n], 0.0) for n in got if n in scene.v}
        else:
            self.expected = self._evaluate(scene.step, scene.v)
        self.outside = self._outside()

    @cached_property
    def hypotheses(self) -> list[Hypothesis]:
        return list(hypotheses(self.scene))

    def is_at(self, mismatch: Mismatch) -> bool:
        """Whether this is where the mismatch was found."""
        here = (self.scene.operation, self.scene.parameter) == (mismatch.operation, mismatch.parameter)
        return here and (self.scene.counter is not None) == (mismatch.quantity == "step")

    def evidence(self, hypothesis: Hypothesis) -> float:
        """How improbable it is that a hypothesis fits by chance, in bits; below 0 when it does not fit."""
        if hypothesis.fact or self.scene.counter is not None:
            return ENOUGH
        if len(self.outside) > TRIED_FIRST and self._bits(hypothesis, self.outside[:TRIED_FIRST]) < 0:
            return -1.0
        return self._bits(hypothesis, None)

    def unmoved(self) -> Iterator[Hypothesis]:
        """That some elements stayed as they were and the others moved by the rule."""
        size, count = len(self.got["p"]), len(self.outside)
        if not 0 < count < size:
            return
        first, last = self.outside[0], self.outside[-1]
        which = ", ".join(map(str, self.outside[:4])) + (" and others" if count > 4 else "")
        if count > 2 and last - first == count - 1:
            which = f"{first} to {last}"
        if np.array_equal(np.nonzero(self.scene.v["g"] == 0)[0], self.outside):
            which = "those whose gradient is zero"
        verb = "stayed as it was" if count == 1 else "stayed as they were"
        text = f"{count} of {size} elements {verb}, and the rest moved by the rule: {which}"
        for kept in ((*self.scene.state, "p"), ("p",)):
            yield Hypothesis("elements", text, kept=kept, elements=True)

    def solved(self) -> Iterator[Hypothesis]:
        """Other values of one hyperparameter, or multiples of the gradient, that explain the best of the elements."""
        v = self.scene.v
        for name in ("g", *self.scene.names) if not self.scene.absent else ():
            size = 1.0 if name == "g" else v[name]
            if not size:
                continue
            times = 2.0 if in_domain({name: 2 * size}, self.scene) else 0.5
            changed = self._evaluate(self.scene.step, {**v, name: times * v[name]})
            for quantity, got in self.got.items():
                if quantity not in changed or not isinstance(got, np.ndarray):
                    continue
                value, error = (np.broadcast_to(x, got.shape) for x in self.expected[quantity])
                slope = changed[quantity][0] - value
                rough = np.nan_to_num(error / np.abs(slope), nan=math.inf)
                best = int(rough.argmin())
                factor = 1 + (times - 1) * (got[best] - value[best]) / slope[best]
                fits = math.isfinite(factor) and in_domain({name: size * factor}, self.scene)
                if not fits or rough[best] >= abs(factor):
                    continue
                digits = min(6, max(1, int(-math.log10(max(rough[best], 1e-9) / abs(factor)))))
                shown = f"{size * factor:.{digits}g}"
                if name == "g":
                    text = f"the step was that of {shown} times the gradient"
                else:
                    text = f"the step was that of {name} = {shown} instead of {size:g}"
                yield Hypothesis(f"solved/{name}", text, {name: v[name] * factor})

    def agrees(self, chosen: Hypothesis) -> bool:
        """Whether a hypothesis of another moment explains this one too."""
        if chosen.family == "solved":
            return True
        alike = (h for h in hypotheses(self.scene, {chosen.kind}) if h.source == chosen.source)
        return any(self.evidence(h) >= KNOWN for h in alike)

    def is_determined(self, hypothesis: Hypothesis) -> bool:
        """Whether half or twice the value of a hyperparameter would not fit as well."""
        if hypothesis.family != "default":
            return True
        for times in (0.5, 2.0):
            inputs = {n: times * x for n, x in hypothesis.inputs.items()}
            if in_domain(inputs, self.scene) and self.evidence(replace(hypothesis, inputs=inputs)) >= KNOWN:
                return False
        return True

    def _bits(self, hypothesis: Hypothesis, where: np.ndarray | None) -> float:
        predicted = self._predicted(hypothesis, where)
        bits = -1.0
        for name, got in self.got.items():
            if name not in predicted or name not in self.expected:
                continue
            one = self._quantity(name, got, predicted[name], where)
            if one < 0:
                return -1.0
            bits = max(bits, one)
        return bits

    def _quantity(self, name: str, got: Any, predicted: tuple[Any, Any], where: np.ndarray | None) -> float:
        lanes = isinstance(got, np.ndarray)
        got, before = np.atleast_1d(got), np.atleast_1d(self.scene.v[name])
        expected, allowed = (np.broadcast_to(x, got.shape) for x in self.expected[name])
        dead = self.dead if lanes and self.dead is not None else np.zeros(got.shape, bool)
        if where is not None and lanes:
            got, before, expected, allowed, dead = (x[where] for x in (got, before, expected, allowed, dead))
        value, error = (np.broadcast_to(x, got.shape) for x in predicted)
        sure = ~dead & self._is_useful(value, error, before)
        off = np.abs(got - value)
        if np.any(sure & ~(off <= error) & ~(np.isnan(got) & np.isnan(value))):
            return -1.0
        distance = np.abs(got - expected)
        wrong = sure & self._is_useful(expected, allowed, before) & (distance > allowed)
        times = distance[wrong] / np.maximum(error[wrong], distance[wrong] * 2.0**-MOST_BITS_PER_ELEMENT)
        return float(np.sum(np.log2(times, where=times > 1, out=np.zeros(times.shape))))

    def _is_useful(self, value, error, before) -> np.ndarray:
        return (np.isfinite(error) & (error < self.witness._size(value, before))) | (error == 0)

    def _predicted(self, hypothesis: Hypothesis, where: np.ndarray | None) -> dict[str, tuple[Any, Any]]:
        step = hypothesis.step or self.scene.step
        v: dict[str, Any] = {**self.scene.v, **hypothesis.inputs}
        for variable in step.state:
            if f"e_{variable.name}" not in v:
                v |= self.witness.fresh(variable, v)
        if where is not None and not step.is_elementwise:
            whole = self._predicted(hypothesis, None)
            return {n: tuple(x[where] if isinstance(x, np.ndarray) else x for x in r) for n, r in whole.items()}
        if where is not None:
            v = {k: (x[where] if isinstance(x, np.ndarray) else x) for k, x in v.items()}
        found = self._evaluate(step, v)
        if hypothesis.twice:
            found = self._then(step, v, found)
        if hypothesis.moved_again is not None:
            gradient = hypothesis.moved_again if where is None else hypothesis.moved_again[where]
            found = {**self._then(step, {**v, "g": gradient}, found), "p": found["p"]}
        kept = {n: (v[n], 0.0) for n in hypothesis.kept}
        if hypothesis.elements:
            kept = {n: self._partly(n, found[n], where) for n in hypothesis.kept if n in found}
        return {**found, **kept}

    def _then(self, step: Step, v: dict[str, Any], found: Mapping[str, tuple[Any, Any]]) -> dict[str, tuple[Any, Any]]:
        """One more step after the one that gave ``found``."""
        then = {**v, "t": v["t"] + 1}
        for name, (value, error) in found.items():
            then |= {name: value, f"e_{name}": error, unset_symbol(name).name: 0}
        again = self._evaluate(step, then)
        # the first step's errors enter the second a little magnified
        return {n: (value, 2 * (error + found[n][1])) for n, (value, error) in again.items()}

    def _partly(self, name: str, moved: tuple[Any, Any], where: np.ndarray | None) -> tuple[Any, Any]:
        """What becomes of a quantity when those elements that the rule does not explain stay as they were."""
        before = self.scene.v[name]
        if not isinstance(before, np.ndarray):
            return moved
        value, error = (np.array(np.broadcast_to(x, before.shape if where is None else where.shape)) for x in moved)
        stay = self.outside if where is None else slice(None)
        value[stay], error[stay] = before[self.outside] if where is None else before[where], 0.0
        return value, error

    def _evaluate(self, step: Step, v: dict[str, Any] | Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        results = self.witness._evaluate(step, lower_to_arrays(step, True, True, "e_g" in v), dict(v))
        found = {}
        for name, (value, error) in zip(step.outputs, results, strict=True):
            if name in self.coarse:
                error = self.witness._stored_coarsely(value, error, self.coarse[name])
            found[name] = (value, 0.0 if error is None else error)
        return found

    def _outside(self) -> np.ndarray:
        """Elements that the rule's own step does not explain."""
        outside = np.zeros(len(self.got["p"]), bool)
        for name, got in self.got.items():
            if isinstance(got, np.ndarray) and name in self.expected:
                value, error = self.expected[name]
                outside |= ~(np.abs(got - value) <= error)
        return np.nonzero(outside)[0]


class Witness(LockStep):
    """A failing program once more, with all that a hypothesis may need; goes on after steps that are wrong.

    Args:
        mismatch: what was found in it.
        apart: whether the constructor gets other hyperparameters than group 0, which then has its own.
    """

    def __init__(
        self, loaded: LoadedSubject, program: Program, mismatch: Mismatch, *, apart: bool = False, **choices: Any
    ):
        super().__init__(loaded, program, **choices)
        self.mismatch, self.apart = mismatch, apart
        self.moments: list[Moment] = []
        self.constructor = dict(loaded.rule.defaults) | loaded.fixed | numbers(program.groups[0])
        self.signature = _signature(loaded)
        if apart:
            self.constructor |= self.signature
        self.changes: list[Change] = []
        self.loads: list[tuple[int, Operation]] = []
        self.added: dict[int, int] = {}
        self.aside: list[dict[str, Any]] = []
        self.calls = 0
        parameters = range(len(program.parameters))
        self.last_step = dict.fromkeys(parameters, -1)
        self.count_at_load = dict.fromkeys(parameters, 0)
        self.nonzero = dict.fromkeys(parameters, 0)
        self.left: dict[int, np.ndarray | None] = {}
        self.moved: set[int] = set()
        self.right: set[int] = set()
        self.live_before: list[dict[str, float]] = [{} for _ in program.groups]

    def own_group(self, group: int) -> dict[str, Any]:
        """A group as the caller would pass it; with all that it has where the constructor is given other numbers."""
        whole = self.loaded.constructor_arguments(self.own_values(group), {}) if self.apart else {}
        return {**super().own_group(group), **whole}

    def built(self):
        """A new instance."""
        if not self.apart:
            return super().built()
        values = {k: v for k, v in self.constructor.items() if k not in self.loaded.fixed}
        groups = [self.own_group(g) for g in self.present]
        return self.loaded.build(groups, values, self.program.options, self.program.implementation)

    def do(self, index: int, op: Operation) -> None:
        """Do one operation, and note what it changes."""
        before = [dict(v) for v in self.values]
        if isinstance(op, Reload | Copy | LoadFrom | SetCount):
            self.loads.append((index, op))
        if isinstance(op, AddGroup):
            self.added[op.group] = index
        super().do(index, op)
        if isinstance(op, Reload | Copy | LoadFrom | SetCount):
            self.count_at_load = {i: t.count for i, t in enumerate(self.tracks)}
        scheduled = isinstance(op, Schedule)
        for group, (old, new) in enumerate(zip(before, self.values, strict=True)):
            changed = [n for n in new if new[n] != old.get(n)]
            self.changes += [Change(index, group, n, old[n], new[n], scheduled) for n in changed]

    def _step_aside(self) -> None:
        super()._step_aside()
        self.aside = [{**self._read_state(t), "t": 2} for t in self.tracks]

    def fresh(self, variable, v: Mapping[str, Any]) -> dict[str, Any]:
        """A state variable that has no value yet."""
        start = variable.initial
        number = float(v[start] if isinstance(start, str) else start)
        name = variable.name
        value = number if variable.scalar else np.full(len(v["p"]), number)
        return {name: value, f"e_{name}": 0.0, f"store_{name}": (0.0, 0.0), unset_symbol(name).name: 1}

    def _compare(self, operation: int) -> None:
        self.calls += 1
        self.moved = set()
        for index, track in enumerate(self.tracks):
            self._turn_to(track)
            if self._replaced(operation, index, track):
                return
            after = as_float64(track.tensor)
            earlier = track.history[-1] if track.history else {}
            if track.gradient is None or track.spec.group not in self.present:
                if not np.array_equal(after, track.before, equal_nan=True):
                    v, _ = self._inputs(track)
                    given = np.zeros(len(after)) if track.gradient is None else track.gradient
                    v |= {"g": given, "t": track.count + 1}
                    state = self._read_state(track)
                    self._note(operation, track, v, earlier, {**state, "p": after}, absent=True)
                    track.before, track.seen = after, state
                continue
            track.count += 1
            self.nonzero[index] += bool(np.any(track.gradient))
            state = self._read_state(track)
            self._compare_parameter(operation, index, track, after, state)
            if self.outcome.mismatches:
                self._note(operation, track, track.history[-1], earlier, {**state, "p": after})
                if len(track.history) > 1 and operation >= self.mismatch.operation:
                    return
                self.outcome.mismatches = []
            else:
                self._compare_count(operation, index, track)
                for found in self.outcome.mismatches:
                    seen = {**state, "p": after}
                    self._note(operation, track, track.history[-1], earlier, seen, counter=found.got)
                self.outcome.mismatches = []
                self.right.add(index)
            self.moved.add(index)
            self.last_step[index] = operation
            track.before, track.seen = after, state
        for index, track in enumerate(self.tracks):
            self.left[index] = None if track.tensor.grad is None else exact_values(track.tensor.grad)
        self.live_before = self._live()

    def _live(self) -> list[dict[str, float]]:
        """Hyperparameters in the subject's own groups that are not what they were set to."""
        found: list[dict[str, float]] = [{} for _ in self.values]
        for group in self.present:
            for name, argument in self.loaded.hyperparameters.items():
                value = self._group(group).get(argument.name)
                if argument.index is not None:
                    value = value[argument.index] if isinstance(value, tuple | list) else None
                if isinstance(value, torch.Tensor):
                    value = value.item() if value.numel() == 1 else None
                wanted = self.values[group][name]
                if isinstance(value, int | float) and not math.isclose(value, wanted, rel_tol=SINGLE):
                    found[group][name] = float(value)
        return found

    def _note(self, operation: int, track: Track, v: dict, earlier: dict, seen: dict, **facts: Any) -> None:
        """Keep what there is to know of a step that is wrong."""
        if len(self.moments) < MOST_MOMENTS or operation <= self.mismatch.operation:
            got = {n: x for n, x in seen.items() if n == "p" or (n in self.variables and self._is_kept(n, v))}
            self.moments.append(Moment(self, self._scene(operation, track, v, earlier, **facts), track, got))

    def _scene(
        self, operation: int, track: Track, v: dict, earlier: dict, absent: bool = False, counter: float | None = None
    ) -> Scene:
        index = self.tracks.index(track)
        group = track.spec.group
        load = next((x for x in reversed(self.loads) if x[0] > self.last_step[index]), None)
        again = isinstance(self.program.operations[operation], Repeat)
        left = self.left.get(index)
        idle = [i for i, t in enumerate(self.tracks) if t.gradient is None and t.spec.group in self.present]
        grad = track.tensor.grad
        now = None if grad is None else exact_values(grad)
        changed = now is not None and track.gradient is not None and not np.array_equal(now, track.gradient)
        return Scene(
            parameter=index,
            group=group,
            operation=operation,
            step=self.rule_step,
            v=v,
            names=differing(self.rule_step, self.loaded.hyperparameters),
            earlier=earlier,
            values=tuple(dict(x) for x in self.values),
            constructor=self.constructor,
            signature=self.signature,
            changes=tuple(self.changes),
            others=tuple(self._others(index)),
            counters=self._counters(index, track),
            load=load,
            since_load=track.count - self.count_at_load[index] if self.loads else None,
            aside=self.aside[index] if self.aside else {},
            left=left if again else None,
            taken=again and index in self.left and left is None,
            now=now if changed else None,
            sizes=self._sizes(group),
            idle=tuple(i for i in idle if i != index),
            wild=tuple(i for i, t in enumerate(self.tracks) if t.gradient is not None and not _finite(t.gradient)),
            late=self.added.get(group),
            absent=absent,
            live=(self.live_before[group], self._live()[group]),
            count_dtype=self._count_dtype(track),
            counter=counter,
            shared=tuple(self._shared(index, track, changed)),
            unit=self.u,
            readings=readings_of(track.given) if track.given is not None else {},
        )

    def _count_dtype(self, track: Track) -> str:
        count = self.loaded.find_count(self.optimizer, track.tensor)
        name = dtype_name(count.dtype) if isinstance(count, torch.Tensor) else ""
        return name if name in DTYPES else ""

    def _shared(self, index: int, track: Track, changed: bool) -> Iterator[str]:
        """Tensors of the state that are other tensors too."""
        grad = track.tensor.grad
        for name, mine in self._tensors(track):
            if changed and grad is not None and not grad.is_sparse and grad.data_ptr() == mine.data_ptr():
                yield f"{name} is p.grad itself and not a copy of it"
            for other, one in enumerate(self.tracks):
                if other != index and any(x.data_ptr() == mine.data_ptr() for _, x in self._tensors(one)):
                    yield f"{name} of parameters {min(index, other)} and {max(index, other)} is one tensor"

    def _tensors(self, track: Track) -> list[tuple[str, torch.Tensor]]:
        found = self.loaded.find_state(self.optimizer, track.tensor)
        return [(n, x) for n, x in found.items() if isinstance(x, torch.Tensor) and x.numel()]

    def _others(self, index: int) -> Iterator[Other]:
        for other, track in enumerate(self.tracks):
            if other == index:
                continue
            present, _ = self._inputs(track)
            states = [state_inputs(self.rule_step, present)]
            counts = [track.count]
            if other in self.moved:
                # it may have gone before, and what is there now comes first
                states.append(state_inputs(self.rule_step, track.history[-1]))
                counts.append(track.count - 1)
            elif track.gradient is not None:
                counts.append(track.count + 1)
            yield Other(other, tuple(counts), track.gradient, tuple(states))

    def _counters(self, index: int, track: Track) -> dict[str, int]:
        """What a step counter may have counted."""
        here = [i for i, t in enumerate(self.tracks) if t.spec.group in self.present]
        every = sum(t.count for t in self.tracks)
        return {
            "the number of step() calls": self.calls,
            "that of all parameters together": every,
            "that of all parameters together with those that had no gradient": (self.calls - 1) * len(here)
            + sum(i <= index for i in here),
            "the number of its gradients that are not zero": self.nonzero[index],
            "one too many": track.count + 1,
            "one too few": track.count - 1,
        }

    def _sizes(self, group: int) -> dict[str, int]:
        present = [t for t in self.tracks if t.spec.group in self.present]
        return {
            "the number of groups": len(self.present),
            "the number of parameters in the group": sum(t.spec.group == group for t in present),
            "the number of parameters with a gradient": sum(t.gradient is not None for t in present),
            "the number of parameters": len(present),
        }


def _finite(x: np.ndarray) -> bool:
    return bool(np.isfinite(x).all())


def _signature(loaded: LoadedSubject) -> dict[str, float]:
    """Hyperparameters as the constructor's signature has them."""
    found = {}
    for name, argument in loaded.hyperparameters.items():
        parameter = loaded.parameters.get(argument.name)
        value = parameter.default if parameter else None
        if argument.index is not None:
            entries = value if isinstance(value, tuple | list) else ()
            value = entries[argument.index] if argument.index < len(entries) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = float(value)
    return found
