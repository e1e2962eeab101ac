"""The lock-step oracle: run a program on subject and reference together and compare every step.

Before every step the reference starts from the subject's actual parameter, and from its actual state
where that can be matched; otherwise it carries its own state with the allowance that has gathered.
Bulk values come from array code; whatever looks outside is evaluated again in ball arithmetic.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from reference.lowering.array import lower_to_arrays
from reference.lowering.ball import distance, exact_step
from reference.lowering.tensor_ball import ExactTensor
from reference.rounding import FACTOR, PRECISIONS, Precision
from reference.rule import Step as RuleStep
from reference.rule import unset_symbol
from verify.curve import Curve
from verify.driver import Driver
from verify.lanes import DTYPES, as_float64, dtype_name, real_shape
from verify.matrix_precision import matrix_precision
from verify.outcome import Mismatch, Outcome
from verify.program import Program
from verify.subject import LoadedSubject, common_shape
from verify.track import Track

# Bulk float64 values are off by at most 1/FACTOR of an allowance (see reference.rounding).
CERTAIN = (FACTOR - 1) / FACTOR
CONFIRMED_PER_STEP = 16
# elements of a tensor whose exact sums are worth making for a ratio that is inside
MOST_FOR_MARGIN = 1 << 14


class LockStep(Driver):
    """One program on one subject, with the reference beside it.

    Args:
        loaded: the subject.
        program: what to do.
        scalars: precision in which the subject computes numbers common to all elements.
        judge: ``"p"`` to judge the parameter alone, ``"state"`` for state and counters alone, or
            ``"all"``.
        ignore: elements of the first parameter (of its real parts) that are not judged.
        worst: worst ratios so far; only worse ones are made exact.
        in_subject: called with True before and False after control is handed to the subject.
        curve: where errors of the parameter are noted.
    """

    def __init__(
        self,
        loaded: LoadedSubject,
        program: Program,
        *,
        scalars: str = "float64",
        judge: str = "all",
        ignore: Sequence[int] = (),
        worst: Mapping[str, float] | None = None,
        in_subject=None,
        curve: Curve | None = None,
    ):
        super().__init__(loaded, program, in_subject=in_subject)
        self.outcome.curve = curve
        self.judge, self.ignore = judge, list(ignore)
        self.rule_step = loaded.rule.step(program.options)
        self.variables = {s.name: s for s in self.rule_step.state}
        self.outcome.scalars, self.outcome.worst = scalars, dict(worst or {})
        self._use_precision(program.dtype)
        self.matrices = matrix_precision(loaded, program) if loaded.rule.has_matrices else None
        self.outcome.matrices = self.matrices.name if self.matrices else ""
        self.w = FACTOR * PRECISIONS[scalars].unit
        self.w_entry = 0.0 if scalars == "float64" else self.w
        # of the step that was looked at last, for its sums are of the whole tensor
        self._exact_tensor: tuple[dict[str, Any], ExactTensor] | None = None

    # -- comparing -----------------------------------------------------------------------------

    def _read_state(self, track: Track) -> dict[str, Any]:
        found = self.loaded.find_state(self.optimizer, track.tensor)
        state: dict[str, Any] = {}
        for name, value in found.items():
            if name not in self.variables:
                continue
            if self.variables[name].scalar:
                kept = PRECISIONS["float64"]
                if isinstance(value, torch.Tensor):
                    kept = PRECISIONS[dtype_name(value.dtype)]
                    value = value.item()
                state[name] = float(value.real if isinstance(value, complex) else value)
                state["store_" + name] = (FACTOR * kept.unit, FACTOR * kept.smallest)
            else:
                state[name] = as_float64(self._at_every_element(name, value, track))
                coarse = PRECISIONS.get(dtype_name(value.dtype))
                if coarse and coarse.digits < self.precision.digits:
                    state["dtype_" + name] = coarse
        return state

    def _at_every_element(self, name: str, value: torch.Tensor, track: Track) -> torch.Tensor:
        """A state of the parameter's shape, also where it is kept once for many elements."""
        common = self.variables[name].common
        if common == "all":
            return value.reshape(()).expand(real_shape(track.tensor))
        shape = tuple(track.tensor.shape)
        return value.reshape(common_shape(shape, common)).expand(shape) if common else value

    def _use_precision(self, dtype: str) -> None:
        self.precision = PRECISIONS[dtype]
        self.u, self.tiny = FACTOR * self.precision.unit, FACTOR * self.precision.smallest

    def _turn_to(self, track: Track) -> None:
        """Judge by the options of a parameter's group and shape, and in its own dtype."""
        if self.program.dtype_of(track.spec) != self.program.dtype or any(t.spec.dtype for t in self.tracks):
            self._use_precision(self.program.dtype_of(track.spec))
        step = self.loaded.rule.step(self.options[track.spec.group], track.spec.shape)
        if step is not self.rule_step:
            self.rule_step, self.variables = step, {s.name: s for s in step.state}

    def stepped(self, operation: int) -> None:
        """Compare every parameter and its state with the reference."""
        started = time.perf_counter()
        self._compare(operation)
        self.outcome.seconds.reference += time.perf_counter() - started

    def loaded_foreign(self, operation: int, source: Driver) -> None:
        """What was loaded must be the source's state, rounded to the dtype in which it is kept now."""
        for index, (track, other) in enumerate(zip(self.tracks, source.tracks, strict=True)):
            self._turn_to(track)
            if not other.count and not self.loaded.own_state(source.optimizer, other.tensor):
                continue
            found = self.loaded.find_state(self.optimizer, track.tensor)
            for name, value in self.loaded.find_state(source.optimizer, other.tensor).items():
                got = found.get(name)
                if self._restored(got, value):
                    continue
                note = f"{name} was not restored from the state of a {source.program.dtype} run"
                self.outcome.mismatches.append(
                    Mismatch(name, operation, track.count, index, 0, math.nan, math.nan, 0.0, math.inf, note=note)
                )
                return
            track.seen = self._read_state(track)
            track.set_variables |= set(track.seen)

    @staticmethod
    def _restored(got: Any, source: Any) -> bool:
        if isinstance(got, torch.Tensor) and isinstance(source, torch.Tensor):
            return np.array_equal(as_float64(got), as_float64(source.to(got.dtype)), equal_nan=True)
        return got is not None and float(got) == float(source)

    def _compare(self, operation: int) -> None:
        for index, track in enumerate(self.tracks):
            self._turn_to(track)
            if self._replaced(operation, index, track):
                return
            after = as_float64(track.tensor)
            if track.gradient is None or track.spec.group not in self.present:
                if not np.array_equal(after, track.before, equal_nan=True):
                    self._moved_without_gradient(operation, index, track, after)
                    return
                continue
            track.count += 1
            state = self._read_state(track)
            self._compare_parameter(operation, index, track, after, state)
            if self.outcome.mismatches:
                return
            self._compare_count(operation, index, track)
            track.before, track.seen = after, state

    def _replaced(self, operation: int, index: int, track: Track) -> bool:
        """Whether the subject put a tensor of another kind in the place of a parameter."""
        now, spec = track.tensor, track.spec
        wanted = (tuple(spec.shape), DTYPES[self.program.dtype_of(spec)], track.device)
        found = (tuple(now.shape), now.dtype, now.device)
        if found == wanted and now.layout == torch.strided:
            return False
        note = f"the parameter became {_kind(*found)}; it must stay {_kind(*wanted)}"
        self.outcome.mismatches.append(
            Mismatch("p", operation, track.count + 1, index, 0, math.nan, math.nan, 0.0, math.inf, note=note)
        )
        return True

    def _inputs(self, track: Track) -> tuple[dict[str, Any], bool]:
        """Symbols before the step, and whether any state is carried by the reference."""
        v: dict[str, Any] = dict(self.values[track.spec.group])
        v |= {"p": track.before, "g": track.gradient, "t": track.count}
        v["machine_epsilon"] = 2 * self.precision.unit
        if not self.rule_step.is_elementwise:
            v["p.shape"] = real_shape(track.tensor)
        if track.entries is not None:
            v["g.entry"] = track.entries.times > 0
        if np.max(track.times, initial=1.0) > 1:
            v["g.times"] = np.broadcast_to(np.maximum(track.times, 1.0), track.before.shape)
            sizes = 0.0 if track.entries is None else track.entries.sizes
            v["e_g"] = self.u * (v["g.times"] - 1) * sizes
        if self.matrices is not None and self.matrices.digits < self.precision.digits:
            v["p.matrices"] = FACTOR * self.matrices.unit, FACTOR * self.matrices.smallest, self.matrices.largest
        carried = False
        for name, variable in self.variables.items():
            error: Any = 0.0
            if name in track.seen and name in (track.set_variables or ()):
                value = track.seen[name]
            elif name in track.carried:
                value, error = track.carried[name]
                carried = True
            else:
                start = variable.initial
                number = float(v[start] if isinstance(start, str) else start)
                value = number if variable.scalar else np.full(len(track.before), number)
            v[name], v["e_" + name] = value, error
            if variable.scalar:
                v["store_" + name] = track.seen.get("store_" + name, (FACTOR * 2.0**-53, 0.0))
            if variable.unset_at_first:
                v[unset_symbol(name).name] = int(name not in track.set_variables)
        return v, carried

    def _compare_parameter(self, operation, index, track: Track, after: np.ndarray, state: dict) -> None:
        v, carried = self._inputs(track)
        for name in self.variables:
            # how a scalar state tensor rounds is known once it is there; it rounds its initial value too
            if "store_" + name in state:
                unit, least = v["store_" + name] = state["store_" + name]
                if name not in track.set_variables and unit > FACTOR * 2.0**-53:
                    v["e_" + name] = unit * abs(v[name]) + least
                    carried = True
        # what will be carried must know where it may have overflowed
        hidden = any(name not in state and self._is_kept(name, v) for name in self.variables)
        evaluate = self._lowered(v, carried, careful=hidden)
        results = self._evaluate(self.rule_step, evaluate, v)
        if carried:
            track.history.append(v)
        else:
            track.history = [v]
        outside: list[Mismatch] = []
        agrees: list[str] = []
        self.outcome.element_steps += len(after)
        for name, (value, error) in zip(self.rule_step.outputs, results, strict=True):
            if name == "p":
                if self.judge == "state":
                    continue
                got: Any = after
            elif not self._is_kept(name, v):
                continue
            elif name in state:
                got = state[name]
                track.set_variables.add(name)
                track.carried.pop(name, None)
                if self.judge == "p":
                    self._bury_overflowed(track, value, got, state.get("dtype_" + name, self.precision))
                    continue
                if "dtype_" + name in state:
                    error = self._stored_coarsely(value, error, state["dtype_" + name])
            else:
                track.set_variables.add(name)
                track.carried[name] = (value, 0.0 if error is None else error)
                continue
            found = self._judge(name, value, error, got, v, carried, operation, index, track)
            if found is None:
                agrees.append(name)
            else:
                outside.append(found)
        # state that cannot be seen may be kept as a sum of entries itself
        track.piled = v["g.times"] if track.carried and "g.times" in v else 0.0
        if outside:
            where = outside[0].element
            same = [m for m in outside if m.element == where]
            self.outcome.mismatches = [replace(m, agrees=tuple(agrees)) for m in same]

    def _is_kept(self, name: str, v: dict) -> bool:
        needs = self.variables[name].needs
        return needs is None or v[needs] != 0

    def _stored_coarsely(self, value, error, precision: Precision):
        """Rounding of a state that is kept in a coarser dtype than the parameter's."""
        own = FACTOR * (precision.unit * np.abs(value) + precision.smallest)
        return own if error is None else own + error

    def _lowered(self, v: Mapping[str, Any], carried: bool, careful: bool):
        return lower_to_arrays(self.rule_step, carried, careful, "e_g" in v)

    def _evaluate(self, step: RuleStep, evaluate, v: dict):
        if "g.times" in v:
            return self._entry_by_entry(step, evaluate, v)
        results = evaluate(np, self.u, self.tiny, self.w, self.w_entry, self.precision.largest, v)
        if "p.shape" not in v:
            return results
        # what is common to all elements comes out once
        numbers = {s.name for s in step.state if s.scalar}
        return [
            result if name in numbers else tuple(np.broadcast_to(0.0 if x is None else x, v["p"].shape) for x in result)
            for name, result in zip(step.outputs, results, strict=True)
        ]

    def _entry_by_entry(self, step: RuleStep, evaluate, v: dict):
        """What has several entries may be updated by one after the other: with so many times the roundings."""
        numbers = {s.name for s in step.state if s.scalar}
        times, lanes = v["g.times"], {k: x for k, x in v.items() if isinstance(x, np.ndarray)}
        found: list[Any] = [(np.empty(len(times)), np.empty(len(times))) for _ in step.outputs]
        for count in np.unique(times):
            where = times == count
            some = {**v, **{k: x[where] for k, x in lanes.items()}}
            results = evaluate(np, count * self.u, self.tiny, self.w, self.w_entry, self.precision.largest, some)
            for index, (name, (value, error)) in enumerate(zip(step.outputs, results, strict=True)):
                if name in numbers:
                    found[index] = (value, error)
                else:
                    found[index][0][where], found[index][1][where] = value, 0.0 if error is None else error
        return found

    def _evaluate_at(self, evaluate, v: dict, where):
        """Values and errors of some elements, by output; a rule with reductions is evaluated as a whole."""
        if "p.shape" not in v:
            some = self._evaluate(
                self.rule_step, evaluate, {k: (x[where] if isinstance(x, np.ndarray) else x) for k, x in v.items()}
            )
            return dict(zip(self.rule_step.outputs, some, strict=True))
        whole = dict(zip(self.rule_step.outputs, self._evaluate(self.rule_step, evaluate, v), strict=True))
        numbers = {s.name for s in self.rule_step.state if s.scalar}
        return {n: r if n in numbers else tuple(x[where] for x in r) for n, r in whole.items()}

    def _judge(self, name, value, error, got, v, carried, operation, index, track) -> Mismatch | None:
        """None when the quantity is inside its allowance for every element that can be verified."""
        scalar = not isinstance(got, np.ndarray)
        got = np.atleast_1d(got)
        if np.shape(value) != got.shape:
            value = np.broadcast_to(value, got.shape)
        error = 0.0 if error is None else error
        difference = np.abs(got - value)
        if name == "p":
            self._count_not_verified(value, error, track)
            if self.outcome.curve is not None and self.outcome.curve.wants_more:
                self.outcome.curve.add(value, difference, error)
        ratios = difference / error
        highest = ratios.max(initial=0.0)
        if highest <= CERTAIN:
            if highest > self.outcome.worst.get(name, -1.0):
                self._note_worst(name, ratios, error, got, v, carried, track, scalar)
            return None
        inside = difference <= CERTAIN * error
        if self.ignore and index == 0 and not scalar:
            inside[[i for i in self.ignore if i < len(inside)]] = True
        if track.dead is not None and not scalar:
            inside |= track.dead
        if not inside.all():
            found = self._confirm(name, ~inside, got, v, carried, operation, index, track, scalar)
            if found is not None:
                return found
            if not scalar:
                self._bury(track, ~inside)
        ratios = np.nan_to_num(np.where(inside, ratios, 0.0), nan=0.0, posinf=0.0)
        if track.dead is not None and not scalar:
            ratios[track.dead] = 0.0
        self._note_worst(name, ratios, error, got, v, carried, track, scalar)
        return None

    def _bury(self, track: Track, suspicious: np.ndarray) -> None:
        finite = np.isfinite(as_float64(track.tensor))
        for value in self._read_state(track).values():
            if isinstance(value, np.ndarray):
                finite &= np.isfinite(value)
        dead = suspicious & ~finite
        if dead.any():
            if track.tensor.is_complex():
                # nan in one part spreads to the other in any complex multiplication
                dead = np.repeat(dead.reshape(-1, 2).any(axis=1), 2)
            track.dead = dead if track.dead is None else track.dead | dead

    def _bury_overflowed(self, track: Track, value, got, precision: Precision) -> None:
        """State that is not judged: nothing more can be said of elements in which it had to overflow."""
        if isinstance(got, np.ndarray):
            over = ~(np.abs(value) <= precision.largest / 2)
            self._bury(track, np.broadcast_to(over, got.shape))

    def _count_not_verified(self, value, error, track: Track) -> None:
        size = self._size(value, track.before)
        self.outcome.not_verified += len(value) - int(np.count_nonzero(error < size))

    def _note_worst(self, name, ratios: np.ndarray, error, got, v, carried, track, scalar) -> None:
        """Record the exact ratio of the element nearest to its allowance, if it is the worst so far."""
        worst = self.outcome.worst.get(name, -1.0)
        if not len(ratios) or ratios.max() <= worst:
            return
        if not self.rule_step.is_elementwise and len(ratios) > MOST_FOR_MARGIN:
            return
        for _ in range(CONFIRMED_PER_STEP):
            at = int(ratios.argmax())
            if ratios[at] <= worst:
                return
            allowance = self._careful_allowance(name, at, v, carried, track, scalar)
            if not math.isfinite(allowance):
                ratios[at] = 0.0
            else:
                ratio = self._exact_ratio(name, at, float(got[at]), allowance, track)[0]
                self.outcome.worst[name] = max(ratio, worst, 0.0)
                return

    def _size(self, value, before):
        """What an allowance must be smaller than to say anything: the size of the quantity itself."""
        return np.abs(value) + np.abs(before) + self.precision.smallest * 2.0**self.precision.digits

    def _careful_allowance(self, name, element: int, v, carried, track, scalar: bool) -> float:
        """Allowance of one element, infinite where some order of evaluation overflows on the way."""
        careful = self._lowered(v, carried, careful=True)
        value, error = self._evaluate_at(careful, v, slice(element, element + 1))[name]
        coarse = None if scalar else self._coarse_state(name, track)
        if coarse:
            error = self._stored_coarsely(value, error, coarse)
        allowance = float(np.ravel(0.0 if error is None else error)[0])
        before = v[name] if scalar else v[name][element]
        size = float(np.ravel(self._size(value, before))[0])
        return allowance if allowance < size or allowance == 0 else math.inf

    def _exact_ratio(self, name, element: int, got: float, allowance: float, track) -> tuple[float, float]:
        """Certain ratio of one element, and the exact value."""
        ball = self._exact(name, element, allowance, track)
        middle = float(ball.mid())
        if not math.isfinite(got):
            return (math.inf if ball.is_finite() else 0.0), middle
        certain = distance(ball, got)
        if math.isnan(certain):
            return 0.0, middle
        if allowance == 0:
            return (0.0 if certain <= 0 else math.inf), middle
        return max(0.0, certain) / allowance, middle

    def _exact(self, name: str, element: int, allowance: float, track: Track):
        """Enclosure of a new value, through all steps for which the state was carried."""
        if not self.rule_step.is_elementwise:
            return self._exact_of_tensor(name, element, allowance, track)
        resolution = {n: allowance for n in self.rule_step.outputs}
        exact: dict[str, Any] = {}
        for v in track.history:
            inputs = _element(v, element)
            for state, ball in exact.items():
                if state != "p" and v.get("e_" + state) is not None and not _is_zero(v["e_" + state]):
                    inputs[state] = ball
            exact = exact_step(self.rule_step, inputs, resolution)
        return exact[name]

    def _exact_of_tensor(self, name: str, element: int, allowance: float, track: Track):
        """As :meth:`_exact`, for a rule whose elements depend on each other."""
        now = track.history[-1]
        if self._exact_tensor is None or self._exact_tensor[0] is not now:
            history: list[dict[str, Any]] = []
            for v in track.history:
                left = {s for s in self.variables if history and not _is_zero(v.get("e_" + s, 0.0))}
                kept = {k: x for k, x in v.items() if not k.startswith(("e_", "store_"))}
                history.append({k: None if k in left else x for k, x in kept.items()})
            self._exact_tensor = now, ExactTensor(self.rule_step, history, now["p.shape"])
        return self._exact_tensor[1].new(name, element, allowance)

    def _confirm(self, name, suspicious, got, v, carried, operation, index, track, scalar) -> Mismatch | None:
        """Careful evaluation of suspicious elements, then ball arithmetic for the furthest out."""
        where = np.nonzero(suspicious)[0]
        careful = self._lowered(v, carried, careful=True)
        value, error = self._evaluate_at(careful, v, slice(None) if scalar else where)[name]
        shape = where.shape
        value = np.broadcast_to(value, shape)
        coarse = self._coarse_state(name, track)
        if coarse:
            error = self._stored_coarsely(value, error, coarse)
        error = np.broadcast_to(0.0 if error is None else error, shape).astype(float)
        before = v[name] if scalar else v[name][where]
        useful = np.isfinite(error) & (error < self._size(value, before)) | (error == 0)
        if track.tensor.is_complex() and not scalar:
            useful &= _partner_is_finite(v, where) & self._is_bounded(name, careful, v, where ^ 1)
        ratios = np.where(useful, np.abs(got[where] - value) / error, -1.0)
        ratios = np.where(np.isnan(ratios), np.where(useful, math.inf, -1.0), ratios)
        if (error == 0).any():
            same = (got[where] == value) | (np.isnan(got[where]) & np.isnan(value))
            ratios = np.where((error == 0) & same, 0.0, ratios)
        for at in np.argsort(-ratios)[:CONFIRMED_PER_STEP]:
            if ratios[at] <= CERTAIN:
                break
            element = int(where[at])
            ratio, exact = self._exact_ratio(name, element, float(got[element]), float(error[at]), track)
            if ratio > 1:
                return Mismatch(
                    name,
                    operation,
                    track.count,
                    index,
                    element,
                    float(got[element]),
                    exact,
                    float(error[at]),
                    ratio,
                    values=_element(v, element),
                )
            self.outcome.worst[name] = max(ratio, self.outcome.worst.get(name, 0.0))
        return None

    def _is_bounded(self, name, careful, v: dict, where: np.ndarray) -> np.ndarray:
        """Whether the allowance of elements is finite: nan in one part of a complex number spreads to the other."""
        error = self._evaluate_at(careful, v, where)[name][1]
        return np.isfinite(np.broadcast_to(0.0 if error is None else error, where.shape))

    def _coarse_state(self, name: str, track: Track) -> Precision | None:
        if name == "p" or self.variables[name].scalar:
            return None
        return self._read_state(track).get("dtype_" + name)

    def _compare_count(self, operation: int, index: int, track: Track) -> None:
        if self.judge == "p":
            return
        count = self.loaded.find_count(self.optimizer, track.tensor)
        if count is None:
            return
        got = float(count.item() if isinstance(count, torch.Tensor) else count)
        if got != track.count:
            self.outcome.mismatches.append(
                Mismatch("step", operation, track.count, index, 0, got, float(track.count), 0.0, math.inf)
            )

    def _moved_without_gradient(self, operation, index, track: Track, after: np.ndarray) -> None:
        element = int(np.nonzero(~((after == track.before) | np.isnan(after)))[0][0])
        self.outcome.mismatches.append(
            Mismatch(
                "p",
                operation,
                track.count,
                index,
                element,
                float(after[element]),
                float(track.before[element]),
                0.0,
                math.inf,
                note="it has no gradient and must not move"
                if track.gradient is None
                else "its group has not been added yet and it must not move",
            )
        )


def _kind(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> str:
    return f"{dtype_name(dtype)} of shape {shape} on {device}"


def _element(v: Mapping[str, Any], element: int) -> dict[str, Any]:
    """Symbols of one element, as plain numbers."""

    def one(x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return x
        # scalars of an empty parameter depend on no element
        return float(x[element]) if len(x) else 0.0

    return {k: one(x) for k, x in v.items() if not k.startswith(("e_", "store_", "p.", "g.times"))}


def _partner_is_finite(v: Mapping[str, Any], where: np.ndarray) -> np.ndarray:
    """For parts of complex numbers: whether the other part of every input is finite."""
    fine = np.ones(where.shape, dtype=bool)
    for value in v.values():
        if isinstance(value, np.ndarray) and value.ndim == 1 and len(value) > where.max(initial=0):
            fine &= np.isfinite(value[where ^ 1])
    return fine


def _is_zero(error: Any) -> bool:
    return not isinstance(error, np.ndarray) and error == 0


def run_program(
    loaded: LoadedSubject,
    program: Program,
    *,
    scalars: str = "float64",
    judge: str = "all",
    ignore: Sequence[int] = (),
    worst: Mapping[str, float] | None = None,
    in_subject=None,
    curve: bool = False,
) -> Outcome:
    """Run a program in lock-step.

    When it is outside with Python doubles for scalars, and the subject keeps scalars of a parameter in
    tensors of a lower precision (a float32 step counter, say), it is judged once more with that
    precision; ``outcome.scalars`` says which was used.
    """
    choices: dict[str, Any] = {"judge": judge, "ignore": ignore, "worst": worst, "in_subject": in_subject}
    run = LockStep(loaded, program, scalars=scalars, curve=Curve() if curve else None, **choices)
    outcome = run.run()
    lower = scalar_dtype(run)
    if outcome.mismatches and lower and PRECISIONS[lower].digits < PRECISIONS[scalars].digits:
        # ratios against the wrong precision say nothing
        anew = {**choices, "worst": None, "curve": Curve() if curve else None}
        again = LockStep(loaded, program, scalars=lower, **anew).run()
        again.seconds.add(outcome.seconds)
        if not again.failed:
            return again
    return outcome


def scalar_dtype(run: LockStep) -> str | None:
    """The lowest precision among the scalars of the rule that the subject keeps in tensors.

    None when all are Python numbers. Nothing below float32 excuses anything: a counter in bfloat16
    is a finding, and not the precision of what is computed from it.
    """
    subject = run.loaded.subject
    keys = {subject.state_keys.get("step", "step")}
    for s in run.rule_step.state:
        if s.scalar:
            keys |= {s.name, *s.keys, subject.state_keys.get(s.name, s.name)}
    found = []
    for track in run.tracks:
        own = run.loaded.own_state(run.optimizer, track.tensor)
        for key in keys:
            value = own.get(key)
            if isinstance(value, torch.Tensor) and value.numel() == 1 and value.is_floating_point():
                found.append(dtype_name(value.dtype))
    if not found:
        return None
    return "float64" if set(found) == {"float64"} else "float32"
