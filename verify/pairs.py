"""Two runs of one subject side by side: what is related before a step must be related after it.

Both start every step from the same numbers (the second is put where the relation wants it), so each step is
judged alone: the difference must stay within the sum of the two allowances. No reference value is used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from reference.rounding import FACTOR, PRECISIONS
from verify.driver import REFUSALS, SubjectRaised, Unsupported
from verify.lanes import DTYPES, as_float64, fill
from verify.oracle import LockStep
from verify.outcome import Sentence, Twin
from verify.program import Filling, Program, Repeat, Step
from verify.sparse import in_form
from verify.subject import LoadedSubject
from verify.track import Track
from verify.trajectory import Refused

CONFIRMED = 16
ALL = ...  # numpy's "every element"


@dataclass(frozen=True)
class Place:
    """Elements ``take`` of one run's parameter ``one`` belong to elements ``put`` of the other run's ``other``."""

    one: int
    other: int
    take: Any = ALL
    put: Any = ALL


@dataclass(frozen=True)
class Relation:
    """How the second run differs from the first.

    Args:
        what: in words, as in "with the gradient negated".
        places: which elements belong together; None: each to its own.
        factors: powers of two or minus one by which ``"p"``, ``"g"`` and state variables are multiplied.
        offset: added to the parameter.
        reorder: permutation of the elements of every parameter and gradient.
    """

    what: str
    places: Sequence[Place] | None = None
    factors: Mapping[str, float] = field(default_factory=dict)
    offset: float = 0.0
    reorder: int | None = None

    def factor(self, name: str) -> float:
        return self.factors.get(name, 1.0)

    def places_for(self, tracks: list[Track]) -> Sequence[Place]:
        if self.places is not None:
            return self.places
        if self.reorder is None:
            return [Place(i, i) for i in range(len(tracks))]
        return [Place(i, i, permutation(len(t.before), self.reorder)) for i, t in enumerate(tracks)]


def permutation(size: int, seed: int) -> np.ndarray:
    """A fixed permutation of elements (of whole tensors: complex ones are not permuted)."""
    return np.random.default_rng(seed).permutation(size)


class _Measured(LockStep):
    """Keeps what every quantity was, and its allowance, instead of judging it."""

    def __init__(self, *args: Any, relation: Relation | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.relation = relation
        self.measured: dict[tuple[int, str], tuple] = {}

    def make_parameters(self) -> None:
        super().make_parameters()
        if self.relation is None:
            return
        for track in self.tracks:
            with torch.no_grad():
                track.tensor.copy_(self._moved(track.tensor, "p") + self.relation.offset)
            track.before = as_float64(track.tensor)

    def gradient(self, filling: Filling, track: Track) -> torch.Tensor:
        gradient = super().gradient(filling, track)
        if self.relation is None or not gradient.is_sparse:
            return gradient if self.relation is None else self._moved(gradient, "g")
        return in_form(self._moved(gradient.to_dense(), "g"), filling.sparse or "rows")

    def _moved(self, tensor: torch.Tensor, name: str) -> torch.Tensor:
        assert self.relation is not None
        if self.relation.reorder is not None:
            order = torch.from_numpy(permutation(tensor.numel(), self.relation.reorder))
            tensor = tensor.reshape(-1)[order].reshape(tensor.shape)
        factor = self.relation.factor(name)
        return tensor if factor == 1 else tensor * factor

    def _judge(self, name, value, error, got, v, carried, operation, index, track):
        scalar = not isinstance(got, np.ndarray)
        got = np.atleast_1d(got)
        error = np.broadcast_to(0.0 if error is None else error, got.shape)
        self.measured[index, name] = (got, error, (v, carried, track, scalar))
        return None

    def careful(self, index: int, name: str, element: int) -> float:
        """Allowance of one element, infinite where some order of evaluation overflows on the way."""
        v, carried, track, scalar = self.measured[index, name][2]
        return self._careful_allowance(name, element, v, carried, track, scalar)


def compare(
    loaded: LoadedSubject,
    program: Program,
    other: Program,
    relation: Relation,
    *,
    scalars: tuple[str, str] = ("float64", "float64"),
    in_subject=None,
) -> tuple[str | None, bool]:
    """Run two programs side by side; ``other`` has the same operations, on other tensors or with other numbers.

    Returns:
        None or a sentence that says where they part, and whether they were equal bit for bit throughout.

    Raises:
        SubjectRaised, Refused, Unsupported: as :func:`verify.trajectory.record`.
    """
    first = _Measured(loaded, program, scalars=scalars[0], in_subject=in_subject)
    second = _Measured(loaded, other, scalars=scalars[1], in_subject=in_subject, relation=relation)
    bits = True
    for run in (first, second):
        try:
            run.start()
        except SubjectRaised as error:
            if isinstance(error.__cause__, REFUSALS):
                raise Refused(str(error)) from None
            raise
    for index, (op, twin) in enumerate(zip(program.operations, other.operations, strict=True)):
        first.do(index, op)
        second.do(index, twin)
        for run in (first, second):
            if run.outcome.mismatches or run.outcome.broken:
                raise Unsupported("one of the runs breaks another claim")
        if not isinstance(op, Step | Repeat):
            continue
        for place in relation.places_for(first.tracks):
            found, same = _parted(first, second, place, relation, index)
            bits = bits and same
            if found:
                return found, False
        for place in relation.places_for(first.tracks):
            _seat(first, second, place, relation)
    return None, bits


def _parted(first: _Measured, second: _Measured, place: Place, relation: Relation, operation: int):
    """None or a sentence, and whether everything is the same bit for bit."""
    bits = True
    names = {n for i, n in first.measured if i == place.one} & {n for i, n in second.measured if i == place.other}
    for name in sorted(names, key=lambda n: n == "p"):
        factor = relation.factor(name)
        one, one_error, one_more = first.measured[place.one, name]
        two, two_error, two_more = second.measured[place.other, name]
        scalar = one_more[3] or two_more[3]
        take, put = (ALL, ALL) if scalar else (place.take, place.put)
        expected = factor * one[take]
        allowed = abs(factor) * one_error[take] + two_error[put]
        if name == "p" and relation.offset:
            expected = expected + relation.offset
            # the shifted parameter was rounded when it was put there
            allowed = allowed + FACTOR * PRECISIONS[second.program.dtype].unit * (
                np.abs(expected) + abs(relation.offset)
            )
        got = two[put]
        difference = np.abs(got - expected)
        bits = bits and bool(np.all((got == expected) | (np.isnan(got) & np.isnan(expected))))
        # a state that the rule keeps above zero and the subject does not has no allowance to speak of
        outside = ~(difference <= allowed) & np.isfinite(allowed) & (allowed >= 0) & np.isfinite(expected)
        for at in np.nonzero(outside)[0][np.argsort(-difference[outside] / np.maximum(allowed[outside], 1e-300))][
            :CONFIRMED
        ]:
            here = 0 if scalar else int(np.arange(len(one))[take][at])
            there = 0 if scalar else int(np.arange(len(two))[put][at])
            sure = abs(factor) * first.careful(place.one, name, here) + second.careful(place.other, name, there)
            if name == "p" and relation.offset:
                sure += float(allowed[at])
            if math.isfinite(sure) and not difference[at] <= sure:
                quantity = "the parameter" if name == "p" else name
                count = first.tracks[place.one].count
                text = (
                    f"{relation.what}, {quantity} is {got[at]:.9g} where {expected[at]:.9g} is due after step {count} "
                    f"(parameter {place.one}, element {here}): {difference[at]:.2g} apart, and the allowances of both "
                    f"add up to {sure:.2g}"
                )
                twin = Twin(
                    first.program.with_operations(first.program.operations[: operation + 1]),
                    explicit(second.program, relation, operation + 1),
                    place.one,
                    here,
                    place.other,
                    there,
                    "" if name == "p" else _key(first, place.one, name),
                    sure * count,
                    factor,
                    relation.offset if name == "p" else 0.0,
                )
                return Sentence(text, twin), False
    return None, bits


def _key(run: _Measured, index: int, name: str) -> Any:
    """The key under which the subject keeps a state variable of a parameter."""
    own = run.loaded.own_state(run.optimizer, run.tracks[index].tensor)
    variable = run.variables[name]
    return next((k for k in (run.loaded.subject.state_keys.get(name), *variable.keys, name) if k in own), name)


def explicit(program: Program, relation: Relation, operations: int) -> Program:
    """The second run's program with the numbers it really had, and so many operations."""
    ops = program.operations[:operations]
    if relation.reorder is None and relation.offset == 0 and relation.factor("p") == relation.factor("g") == 1:
        return program.with_operations(ops)

    def moved(filling: Filling | None, shape: tuple[int, ...], name: str) -> Filling | None:
        if filling is None:
            return None
        values = as_float64(fill(filling, shape, DTYPES[program.dtype]))
        if relation.reorder is not None:
            values = values[permutation(len(values), relation.reorder)]
        values = relation.factor(name) * values + (relation.offset if name == "p" else 0.0)
        return replace(filling, values=tuple(float(x) for x in values)) if len(values) else filling

    shapes = [p.shape for p in program.parameters]
    steps = tuple(
        replace(op, gradients=tuple(moved(g, s, "g") for g, s in zip(op.gradients, shapes, strict=True)))
        if isinstance(op, Step)
        else op
        for op in ops
    )
    parameters = tuple(replace(p, initial=moved(p.initial, p.shape, "p") or p.initial) for p in program.parameters)
    return replace(program, parameters=parameters, operations=steps)


def _seat(first: _Measured, second: _Measured, place: Place, relation: Relation) -> None:
    """Put the second run where the relation wants it, so that the next step is judged alone."""
    one, two = first.tracks[place.one], second.tracks[place.other]
    _write(two.tensor, relation.factor("p") * as_float64(one.tensor)[place.take] + relation.offset, place.put)
    two.before = as_float64(two.tensor)
    mine = first.loaded.find_state(first.optimizer, one.tensor)
    theirs = second.loaded.find_state(second.optimizer, two.tensor)
    for name in mine.keys() & theirs.keys() & second.variables.keys():
        source, target = mine[name], theirs[name]
        if isinstance(target, torch.Tensor) and isinstance(source, torch.Tensor):
            scalar = second.variables[name].scalar or bool(second.variables[name].common)
            values = relation.factor(name) * as_float64(source)
            _write(target, values if scalar else values[place.take], ALL if scalar else place.put)
    two.seen = second._read_state(two)


def _write(tensor: torch.Tensor, values: np.ndarray, put: Any) -> None:
    """Set elements (of real parts) of a tensor, exactly where they are representable."""
    flat = as_float64(tensor).copy()
    flat[put] = values
    new = torch.from_numpy(flat)
    # state that was made in inference mode can be written there alone
    with torch.inference_mode() if tensor.is_inference() else torch.no_grad():
        if tensor.is_complex():
            real = torch.view_as_real(tensor)
            real.copy_(new.to(real.dtype).reshape(real.shape))
        else:
            tensor.copy_(new.to(tensor.dtype).reshape(tensor.shape))
