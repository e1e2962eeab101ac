"""Drives a subject through a program: builds it, sets gradients, steps, edits, saves and loads.

What is to be seen in between is left to who derives from it: the lock-step oracle compares every step with
the reference (verify.oracle), a trajectory records it (verify.trajectory).
"""

from __future__ import annotations

import copy
import io
import pickle
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from reference.quasi_newton.trace import Call
from verify.errors import one_line
from verify.outcome import Outcome
from verify.program import (
    AddGroup,
    Copy,
    Edit,
    Filling,
    Freeze,
    LoadFrom,
    Minimise,
    Operation,
    Program,
    Reload,
    Repeat,
    Schedule,
    SetCount,
    Step,
    ZeroGrad,
)
from verify.quasi_newton.minimise import minimise
from verify.quasi_newton.objectives import OBJECTIVES
from verify.sparse import in_form
from verify.sparsely import sparse_filling, sparsely
from verify.subject import SUBJECT_ERRORS, LoadedSubject
from verify.track import Track, gradient_tensor

# by which a constructor says that it does not take a value
REFUSALS = (ValueError, AssertionError)


# more than any checkpoint here has taken
STEPS_ASIDE = 5


class SubjectRaised(Exception):
    """The subject raised where it had no reason to."""


class Unsupported(Exception):
    """The program asks for something that this subject need not offer."""


@contextmanager
def quiet():
    """Silence warnings of the subject and of array code that meets infinities."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


class Driver:
    """One program on one subject.

    Args:
        loaded: the subject.
        program: what to do.
        in_subject: called with True before and False after control is handed to the subject.
    """

    def __init__(self, loaded: LoadedSubject, program: Program, *, in_subject: Callable[[bool], Any] | None = None):
        self.loaded = loaded
        self.program = program = sparsely(program) if loaded.sparse_alone else program
        self.outcome = Outcome()
        self.in_subject = in_subject or (lambda inside: None)
        self.values = [dict(loaded.rule.defaults) | loaded.fixed | numbers(g) for g in program.groups]
        self.options = [program.options_of(g) for g in range(len(program.groups))]
        # one by one, in the order of the subject's param_groups
        self.present = [g for g in range(len(program.groups)) if g not in program.late_groups]
        self.optimizer: Any = None
        self.scheduler: Any = None
        self.holds_tensors = False
        self.tracks: list[Track] = []
        self.neighbour: Driver | None = None
        if program.beside:
            halved = [{**g, "lr": g["lr"] / 2} if "lr" in g else dict(g) for g in program.groups]
            other = replace(program, beside=False, groups=tuple(halved))
            self.neighbour = Driver(loaded, other, in_subject=in_subject)

    def run(self) -> Outcome:
        """Do every operation, stopping at the first thing that is wrong."""
        with quiet():
            try:
                self.start()
                for index, op in enumerate(self.program.operations):
                    self.outcome.error_operation = index
                    self.do(index, op)
                    if self.outcome.failed or self.outcome.unsupported:
                        break
            except SubjectRaised as error:
                if self.holds_tensors and "tensor" in str(error).lower():
                    self.outcome.unsupported = f"it refuses a hyperparameter as a tensor: {error}"
                elif self.optimizer is None and isinstance(error.__cause__, REFUSALS):
                    self.outcome.refused = str(error)
                else:
                    self.outcome.error = str(error)
            except Unsupported as reason:
                self.outcome.unsupported = str(reason)
            if self.program.implementation == "differentiable":
                self._forget_graph()
        return self.outcome

    def stepped(self, operation: int) -> None:
        """Called after every step of the subject."""

    def loaded_foreign(self, operation: int, source: Driver) -> None:
        """Called after the state of parameters of another dtype was loaded."""

    # -- building ------------------------------------------------------------------------------

    def make_parameters(self) -> None:
        """Fresh parameters, as the program describes them."""
        started = time.perf_counter()
        self.tracks = [Track(p, self.program) for p in self.program.parameters]
        self.outcome.seconds.generation += time.perf_counter() - started

    def start(self) -> None:
        """Make the parameters and build the subject."""
        self.make_parameters()
        if self.neighbour:
            self.neighbour.start()
        self.optimizer = self.call(self.built)

    def call(self, function, *args):
        """Hand control to the subject, on the clock.

        Raises:
            SubjectRaised: with the subject's exception as its cause.
        """
        self.in_subject(True)
        started = time.perf_counter()
        try:
            return function(*args)
        except SUBJECT_ERRORS as error:
            raise SubjectRaised(one_line(error)) from error
        finally:
            self.outcome.seconds.subject += time.perf_counter() - started
            self.in_subject(False)

    def own_values(self, group: int) -> dict[str, float]:
        """Hyperparameters with which a group is built: those that the subject has an argument for."""
        values = dict(self.loaded.rule.defaults) | numbers(self.program.groups[group])
        return {k: v for k, v in values.items() if k not in self.loaded.fixed}

    def members(self, group: int) -> list[torch.Tensor]:
        """The parameters of a group."""
        return [t.tensor for t in self.tracks if t.spec.group == group]

    def own_group(self, group: int) -> dict[str, Any]:
        """A group as the caller would pass it: its parameters, and what differs from the constructor's arguments."""
        own = self.loaded.constructor_arguments(self.own_values(group), self.program.options_of(group))
        common = self.loaded.constructor_arguments(self.own_values(0), self.program.options_of(0))
        return {"params": self.members(group), **{k: v for k, v in own.items() if v != common.get(k)}}

    def built(self):
        """A new instance, on the groups that are there, with the hyperparameters of the program."""
        groups = [{"params": self.members(0)}, *map(self.own_group, self.present[1:])]
        options = self.program.options_of(0)
        return self.loaded.build(groups, self.own_values(0), options, self.program.implementation)

    # -- operations ----------------------------------------------------------------------------

    def do(self, index: int, op: Operation) -> None:
        """Do one operation."""
        if self.neighbour:
            self.neighbour.do(index, op)
        match op:
            case Step():
                self._step(index, op)
            case Repeat():
                self.call(lambda: self.optimizer.step())
                self.stepped(index)
            case ZeroGrad():
                self._zero_grad(op)
            case Edit():
                self._edit(op)
            case Schedule():
                self._schedule(op)
            case AddGroup():
                self._add_group(op.group)
            case Freeze():
                self._freeze(op)
            case Reload():
                self._reload(op)
            case Copy():
                self._copy(op)
            case LoadFrom():
                self._load_from(index, op.dtype)
            case SetCount():
                self._set_count(op.count)
            case Minimise():
                self._minimise(index, op)

    def _step(self, index: int, op: Step) -> None:
        if not op.closure:
            self._set_gradients(op.gradients)
            self.call(lambda: self.optimizer.step())
        else:
            self._step_with_closure(op)
        if self.outcome.broken is None:
            self.stepped(index)

    def _step_with_closure(self, op: Step) -> None:
        enabled: list[bool] = []
        loss = torch.tensor(0.25, requires_grad=True) * 2
        for track in self.tracks:
            track.tensor.grad = None

        def closure():
            enabled.append(torch.is_grad_enabled())
            if len(enabled) == 1:
                self._set_gradients(op.gradients)
            return loss

        returned = self.call(lambda: self.optimizer.step(closure))
        if len(enabled) != 1:
            self.outcome.broken = f"step(closure) ran the closure {len(enabled)} times; it must run it once"
        elif not enabled[0]:
            self.outcome.broken = (
                "step(closure) ran the closure with gradients disabled; it must run under enable_grad()"
            )
        elif not _is_loss(returned, loss):
            what = type(returned).__name__ if not isinstance(returned, int | float) else repr(returned)
            self.outcome.broken = f"step(closure) returned {what}; it must return the closure's loss"

    def _minimise(self, index: int, op: Minimise) -> None:
        objective = OBJECTIVES[op.objective]
        parameters = [t.tensor for t in self.tracks]
        self.minimised(self.call(minimise, self.optimizer, parameters, objective, op.coefficients, op.unused))
        self.stepped(index)

    def minimised(self, call: Call) -> None:
        """Called with the trace of every minimisation."""

    def _set_gradients(self, gradients: tuple[Filling | None, ...]) -> None:
        started = time.perf_counter()
        for track, filling in zip(self.tracks, gradients, strict=True):
            if filling is None or track.frozen:
                track.tensor.grad = None
                track.take(None)
                continue
            gradient = self.gradient(filling, track)
            track.take(gradient)
            if self.program.reuse_gradients and track.tensor.grad is not None:
                with torch.no_grad():
                    track.tensor.grad.copy_(gradient)
            else:
                track.tensor.grad = gradient
        self.outcome.seconds.generation += time.perf_counter() - started

    def gradient(self, filling: Filling, track: Track) -> torch.Tensor:
        """The gradient that a parameter gets in this step."""
        filling = sparse_filling(filling) if self.loaded.sparse_alone else filling
        return gradient_tensor(filling, track.spec, self.program)

    def _zero_grad(self, op: ZeroGrad) -> None:
        self.call(lambda: self.optimizer.zero_grad(set_to_none=op.set_to_none))
        for track in self.tracks:
            if track.spec.group not in self.present or track.gradient is None:
                continue
            left = track.tensor.grad
            left = left.to_dense() if left is not None and left.is_sparse else left
            wrong = left is not None if op.set_to_none else left is not None and bool(left.count_nonzero())
            if wrong or (not op.set_to_none and left is None):
                wanted = "None" if op.set_to_none else "a tensor of zeros"
                found = "None" if left is None else "a tensor" if op.set_to_none else "not zero"
                self.outcome.broken = (
                    f"after zero_grad(set_to_none={op.set_to_none}) p.grad is {found}; it must be {wanted}"
                )
            track.take(None if op.set_to_none else track.tensor.grad)

    def _group(self, group: int) -> dict[str, Any]:
        """The live param group."""
        groups = getattr(self.optimizer, "param_groups", [])
        place = self.present.index(group)
        return groups[place] if place < len(groups) else {}

    def _edit(self, op: Edit) -> None:
        if op.name in self.loaded.options:
            self._edit_option(op)
            return
        value = torch.tensor(op.value, dtype=torch.float64) if op.tensor else op.value
        self.holds_tensors = self.holds_tensors or op.tensor
        if self.call(lambda: self.loaded.edit(self._group(op.group), op.name, value)):
            self.values[op.group][op.name] = op.value
            for name in self.loaded.ended_by(op.name):
                self.options[op.group][name] = False

    def _edit_option(self, op: Edit) -> None:
        group, key = self._group(op.group), self.loaded.options[op.name]
        if key not in group:
            raise Unsupported(f"its param groups do not hold {key!r}")
        group[key] = self.loaded.option_value(op.name, bool(op.value))
        self.options[op.group][op.name] = bool(op.value)

    def _schedule(self, op: Schedule) -> None:
        argument = self.loaded.hyperparameters.get("lr")
        groups = getattr(self.optimizer, "param_groups", [])
        if argument is None or argument.name != "lr" or not all("lr" in g for g in groups):
            raise Unsupported("its groups hold no 'lr'")
        if not isinstance(self.optimizer, torch.optim.Optimizer):
            raise Unsupported("torch's schedulers take only torch.optim.Optimizer")

        def step():
            if self.scheduler is None:
                self.scheduler = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, op.factor)
            self.scheduler.step()

        self.call(step)
        for group in self.present:
            self.values[group]["lr"] *= self.scheduler.gamma

    def _add_group(self, group: int) -> None:
        if not hasattr(self.optimizer, "add_param_group"):
            raise Unsupported("it has no add_param_group")
        self.call(self.optimizer.add_param_group, self.own_group(group))
        self.present.append(group)

    def _freeze(self, op: Freeze) -> None:
        track = self.tracks[op.parameter]
        if not track.tensor.is_leaf:
            raise Unsupported("a parameter that belongs to a graph cannot be frozen")
        track.tensor.requires_grad_(not op.frozen)
        track.frozen, track.tensor.grad = op.frozen, None
        track.take(None)

    # -- saving and loading --------------------------------------------------------------------

    def saved(self, how: str = "direct") -> Any:
        """The state dict, on its way through memory or a file."""
        if not hasattr(self.optimizer, "state_dict"):
            raise Unsupported("it has no state_dict")
        data = self.call(self.optimizer.state_dict)
        if self.program.implementation == "differentiable":
            data = _detached(data)
        return self.call(travel, data, how)

    def _reload(self, op: Reload) -> None:
        data = self.saved(op.how)
        if op.lacking:
            data = {**data, "param_groups": [_without(g, op.lacking) for g in data["param_groups"]]}
        if op.into != "same":
            self.optimizer = self.call(self.built)
            self.scheduler = None
        if op.into == "stepped":
            self._step_aside()
        try:
            self.call(self.optimizer.load_state_dict, data)
        except SubjectRaised as error:
            if op.lacking and op.lacking in str(error):
                raise Unsupported(f"it refuses a file without {op.lacking!r}, in words") from None
            raise

    def _step_aside(self) -> None:
        """Some steps of the present optimizer that leave parameters and gradients as they were."""
        before = [(t.tensor.detach().clone(), t.tensor.grad) for t in self.tracks]
        for track in self.tracks:
            ones = torch.ones_like(track.tensor)
            track.tensor.grad = in_form(ones, "rows") if self.loaded.sparse_alone else ones
        for _ in range(STEPS_ASIDE):
            self.call(lambda: self.optimizer.step())
        for track, (values, gradient) in zip(self.tracks, before, strict=True):
            with torch.no_grad():
                track.tensor.copy_(values)
            track.tensor.grad = gradient

    def _copy(self, op: Copy) -> None:
        if self.program.implementation in ("differentiable", "compiled"):
            raise Unsupported(f"{self.program.implementation} steps cannot be copied")
        whole = ([t.tensor for t in self.tracks], self.optimizer)
        copied = self.call(copy.deepcopy if op.how == "deepcopy" else _pickled, whole)
        tensors, self.optimizer = copied
        self.scheduler = None
        for track, tensor in zip(self.tracks, tensors, strict=True):
            track.tensor = track.leaf = tensor
            track.tensor.grad = None
            track.take(None)

    def _load_from(self, index: int, dtype: str) -> None:
        prefix = replace(self.program, dtype=dtype, operations=self.program.operations[:index], beside=False)
        source = Driver(self.loaded, prefix, in_subject=self.in_subject)
        outcome = source.run()
        if outcome.failed or outcome.refused or outcome.unsupported:
            raise Unsupported(f"it cannot be run in {dtype}")
        data = source.saved("file")
        self.call(self.optimizer.load_state_dict, data)
        self.loaded_foreign(index, source)

    def _set_count(self, count: int) -> None:
        saved = _detached(self.saved())
        known = {"step", self.loaded.subject.state_keys.get("step", "step")}
        for s in self.loaded.rule.state:
            known |= {s.name, *s.keys, self.loaded.subject.state_keys.get(s.name, s.name)}
        key = self.loaded.subject.state_keys.get("step", "step")
        found = False
        entries = saved.get("state") if isinstance(saved, Mapping) else None
        if not isinstance(entries, Mapping) or not all(isinstance(own, Mapping) for own in entries.values()):
            raise Unsupported("its file holds no state by parameter")
        for own in entries.values():
            for name, value in own.items():
                scalar = isinstance(value, int | float) or (isinstance(value, torch.Tensor) and value.ndim == 0)
                if name not in known and scalar and not isinstance(value, bool):
                    raise Unsupported(f"its state holds {name!r}, which a changed counter would contradict")
            if key in own:
                old = own[key]
                own[key] = torch.full_like(old, count) if isinstance(old, torch.Tensor) else type(old)(count)
                found = True
        if not found:
            raise Unsupported("its state holds no step counter")
        self.call(self.optimizer.load_state_dict, saved)
        for track in self.tracks:
            if track.count:
                track.count = count

    def _forget_graph(self) -> None:
        """Let go of the graph that differentiable steps have built, which can be large."""
        state = getattr(self.optimizer, "state", None)
        for track in self.tracks:
            own = state.get(track.tensor) if isinstance(state, Mapping) else None
            held = own.values() if isinstance(own, Mapping) else ()
            for tensor in (track.tensor, *held):
                if isinstance(tensor, torch.Tensor) and not tensor.is_leaf:
                    tensor.detach_()


def numbers(group: Mapping[str, Any]) -> dict[str, float]:
    """The hyperparameters of a group, without its options."""
    return {k: v for k, v in group.items() if not isinstance(v, bool)}


def travel(data: Any, how: str) -> Any:
    """A state dict after it has been passed on as it is, copied, pickled, or written to a file and read."""
    if how == "deepcopy":
        return copy.deepcopy(data)
    if how == "pickle":
        return _pickled(data)
    if how == "file":
        file = io.BytesIO()
        torch.save(data, file)
        file.seek(0)
        return torch.load(file, weights_only=True)
    return data


def _pickled(data: Any) -> Any:
    return pickle.loads(pickle.dumps(data))


def _without(group: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in group.items() if k != key}


def _is_loss(returned: Any, loss: torch.Tensor) -> bool:
    if isinstance(returned, torch.Tensor):
        return returned.numel() == 1 and returned.item() == loss.item()
    return isinstance(returned, int | float) and returned == loss.item()


def _detached(data: Any) -> Any:
    """A deep copy of a state dict, also of tensors that belong to a graph."""
    if isinstance(data, torch.Tensor):
        return data.detach().clone()
    if isinstance(data, Mapping):
        return {k: _detached(v) for k, v in data.items()}
    if isinstance(data, list):
        return [_detached(v) for v in data]
    return copy.deepcopy(data)
