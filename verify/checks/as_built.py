"""Edits of hyperparameters without a reference: an instance that is built with the new value does the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from reference.rounding import PRECISIONS
from verify.checks.context import Context
from verify.checks.judged import is_separate, or_not_separate, run, same_bits
from verify.driver import Unsupported
from verify.program import Edit, Operation, Program, Reload, Step
from verify.trajectory import Recorder, unequal

# what these are called everybody means; an edit of them must be seen, where a constructor's argument is
EVERYDAY = ("lr", "weight_decay", "momentum", "beta", "betas_0", "betas_1", "beta1", "beta2")
# with it parameters stay, and state goes on
HARDLY = 2.0**-90


def as_built(context: Context, program: Program) -> str | None:
    """Each edit in turn: before the first step, and in the middle of a run that is saved then and goes on elsewhere."""
    found: str | None = None
    done: dict[Any, Recorder] = {}
    for edit in (op for op in program.operations if isinstance(op, Edit) and op.name in context.loaded.hyperparameters):
        start = next((k for k, op in enumerate(program.operations) if op == edit), 0)
        steps = tuple(op for op in program.operations if isinstance(op, Step))
        before = steps[: max(1, sum(isinstance(op, Step) for op in program.operations[:start]))]
        case = _EditCase(context, program, edit, before, steps[len(before) :], done)
        if edit.tensor:
            found = case.as_tensor()
        elif edit.name == "lr" and edit.value == 0:
            found = case.state_goes_on()
        else:
            found = case.from_the_start() or case.in_the_middle() or case.has_effect()
        if found:
            break
    return found


class _EditCase:
    """One edit, tried on some steps before it and some after it; ``done`` is what was run already."""

    def __init__(
        self,
        context: Context,
        program: Program,
        edit: Edit,
        before: tuple[Step, ...],
        after: tuple[Step, ...],
        done: dict[Any, Recorder],
    ):
        self.context, self.program, self.edit, self.done = context, program, edit, done
        self.before, self.after = before, after
        self.what = f"{edit.name} of group {edit.group}"

    def run(self, *operations: Operation, make: type[Recorder] = Recorder) -> Recorder:
        key = (operations, make)
        if key not in self.done:
            self.done[key] = run(self.context, self.program.with_operations(operations), make)
        return self.done[key]

    def built(self) -> Recorder:
        key = ("built", self.edit)
        if key not in self.done:
            self.done[key] = self._build()
        return self.done[key]

    def _build(self) -> Recorder:
        groups = list(self.program.groups)
        groups[self.edit.group] = {**groups[self.edit.group], self.edit.name: self.edit.value}
        operations = (*self.before, *self.after)
        return run(self.context, replace(self.program, groups=tuple(groups), operations=operations))

    def from_the_start(self) -> str | None:
        edited = self.run(self.edit, *self.before, *self.after)
        return same_bits(self.built(), edited, f"with {self.what} edited before the first step")

    def in_the_middle(self) -> str | None:
        """An instance that is built with the new value, and loads the state at that moment, goes on the same."""
        edited = self.run(*self.before, self.edit, *self.after)
        if not hasattr(edited.optimizer, "state_dict") or "state_dict" in self.context.loaded.subject.lacks:
            return None
        elsewhere = self.run(*self.before, self.edit, Reload("deepcopy", "fresh"), *self.after, make=_BuiltAnew)
        what = f"with {self.what} edited after step {len(self.before)}, beside an instance built with it"
        return same_bits(elsewhere, edited, what)

    def has_effect(self) -> str | None:
        """A later edit is seen, in its own group alone; that of lr at the very next step."""
        own_values = {**self.context.loaded.rule.defaults, **self.program.groups[self.edit.group]}
        if not self.after or own_values[self.edit.name] == self.edit.value:
            return None
        plain = self.run(*self.before, *self.after)
        later = self.run(*self.before, self.edit, *self.after)
        number = len(self.before)
        own = [i for i, p in enumerate(self.program.parameters) if p.group == self.edit.group]
        for index in sorted({*range(len(self.program.parameters))} - {*own}):
            moved = any(
                unequal(a.values[index], b.values[index]) is not None
                for a, b in zip(plain.moments, later.moments, strict=True)
            )
            if moved and is_separate(self.context):
                group = self.program.parameters[index].group
                text = f"an edit of {self.what} moved parameter {index} of group {group}"
                return or_not_separate(self.context, text)
        if self.edit.name == "lr":
            for index in own:
                old, new = plain.moments[number - 1].values[index], plain.moments[number].values[index]
                if self._is_seen(old, new) and unequal(new, later.moments[number].values[index]) is None:
                    return (
                        f"an edit of {self.what} to {self.edit.value:g} after step {number} "
                        f"had no effect on parameter {index} in the next step"
                    )
        elif self.edit.name in EVERYDAY and len(self.after) > 1:
            ends = [r.moments[-1].values for r in (plain, later, self.built())]
            active = any(self._is_seen(ends[0][i], ends[2][i]) for i in own)
            if active and all(unequal(ends[0][i], ends[1][i]) is None for i in own):
                return (
                    f"an edit of {self.what} to {self.edit.value:g} after step {number} had no effect, "
                    "and the same value had one when the constructor got it"
                )
        return None

    def _is_seen(self, one: np.ndarray, other: np.ndarray) -> bool:
        """Whether two results are apart by more than a change of it can hide in rounding."""
        unit = 32 * PRECISIONS[self.program.dtype].unit
        return bool(np.any(np.abs(one - other) > unit * (np.abs(one) + np.abs(other))))

    def as_tensor(self) -> str | None:
        """As a tensor it does what it does as a number, but for rounding."""
        if "tensor_lr" in self.context.loaded.subject.lacks:
            return None
        number = self.run(*self.before, replace(self.edit, tensor=False), *self.after[:2])
        try:
            tensor = self.run(*self.before, self.edit, *self.after[:2])
        except Unsupported:
            return None
        plain = self.run(*self.before, *self.after[:2])
        for step, moments in enumerate(zip(number.moments, tensor.moments, plain.moments, strict=True)):
            for index, (a, b, c) in enumerate(zip(*(m.values for m in moments), strict=True)):
                apart, allowed = np.abs(a - b), np.max(np.abs(a - c), initial=0.0) / 4
                allowed += 32 * PRECISIONS[self.program.dtype].unit * np.max(np.abs(a), initial=0.0)
                if np.any(apart > allowed):
                    at = int(np.argmax(apart))
                    return (
                        f"with {self.what} edited to torch.tensor({self.edit.value:g}) after step {len(self.before)}, "
                        f"parameter {index} is {b[at]:.9g} after step {step + 1} (element {at}); "
                        f"with the number {self.edit.value:g} it is {a[at]:.9g}"
                    )
        return None

    def state_goes_on(self) -> str | None:
        """With an lr of zero, as in the first step of a warm-up, state is made and moves as with a tiny one."""
        steps = (*self.before, *self.after)[:3]
        for start in (0, 1):
            zero, tiny = (
                self.run(*steps[:start], replace(self.edit, value=value), *steps[start:]) for value in (0.0, HARDLY)
            )
            for step, (a, b) in enumerate(zip(zero.moments, tiny.moments, strict=True)):
                for index, (mine, due) in enumerate(zip(a.state, b.state, strict=True)):
                    found = self._other_state(mine, due)
                    if found and self.program.parameters[index].group == self.edit.group:
                        return f"with {self.what} at 0, {found} of parameter {index} after step {step + 1}"
        return None

    @staticmethod
    def _other_state(mine: dict, due: dict) -> str | None:
        for key, value in due.items():
            if key not in mine:
                return f"there is no state {key!r}, which a tiny {HARDLY:.1g} makes,"
            x, y = np.ravel(mine[key]).astype(float), np.ravel(value).astype(float)
            if x.shape != y.shape or not np.allclose(x, y, rtol=1e-3, atol=1e-12, equal_nan=True):
                return f"the state {key!r} is not what it is with a tiny {HARDLY:.1g}"
        return None


class _BuiltAnew(Recorder):
    """Builds instances with the hyperparameters of that moment."""

    replayable = False

    def built(self):
        groups = tuple(
            {**g, **{k: v for k, v in now.items() if k in self.loaded.hyperparameters}}
            for g, now in zip(self.program.groups, self.values, strict=True)
        )
        self.program, program = replace(self.program, groups=groups), self.program
        try:
            return super().built()
        finally:
            self.program = program
