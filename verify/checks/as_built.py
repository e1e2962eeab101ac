"""Edits of hyperparameters without a reference: an instance that is built with the new value does the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from reference.rounding import FACTOR, PRECISIONS
from verify.checks.context import Context
from verify.checks.judged import is_separate, or_not_separate, run, same_bits
from verify.checks.measured import apart, explicit, told
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
        if not hasattr(edited.optimizer, "state_dict") or "state_dict" in self.context.loaded.lacks:
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
            before = own_values["lr"]
            change = abs(self.edit.value / before - 1) if before else np.inf
            for index in own:
                old, new = plain.moments[number - 1].values[index], plain.moments[number].values[index]
                if self._is_seen(old, new, change) and unequal(new, later.moments[number].values[index]) is None:
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

    def _is_seen(self, one: np.ndarray, other: np.ndarray, share: float = 1.0) -> bool:
        """Whether a share of what two results are apart by is more than rounding can hide."""
        unit = FACTOR * PRECISIONS[self.program.dtype].unit
        return bool(np.any(share * np.abs(one - other) > unit * (np.abs(one) + np.abs(other))))

    def as_tensor(self) -> str | None:
        """As a tensor it does what it does as a number, but for rounding."""
        if "tensor_lr" in self.context.loaded.lacks:
            return None
        program = explicit(self.program)
        steps = tuple(op for op in program.operations if isinstance(op, Step))
        number, tensor = (
            program.with_operations((*steps[: len(self.before)], edit, *steps[len(self.before) :][:2]))
            for edit in (replace(self.edit, tensor=False), self.edit)
        )
        try:
            other = run(self.context, tensor)
        except Unsupported:
            return None
        one = run(self.context, number)
        found = apart(self.context, number, one, other)
        what = f"with {self.what} edited to torch.tensor({self.edit.value:g}) after step {len(self.before)}"
        return told(found, one, other, what) if found else None

    def state_goes_on(self) -> str | None:
        """With an lr of zero, as in the first step of a warm-up, state is made and moves as with a tiny one."""
        steps = (*self.before, *self.after)[:3]
        for start in (0, 1):
            runs = (
                self.run(*steps[:start], replace(self.edit, value=value), *steps[start:])
                for value in (0.0, HARDLY, HARDLY / 2)
            )
            for step, moments in enumerate(zip(*(r.moments for r in runs), strict=True)):
                for index, (zero, tiny, half) in enumerate(zip(*(m.state for m in moments), strict=True)):
                    found = self._other_state(zero, tiny, half)
                    if found and self.program.parameters[index].group == self.edit.group:
                        return f"with {self.what} at 0, {found} of parameter {index} after step {step + 1}"
        return None

    def _other_state(self, zero: dict, tiny: dict, half: dict) -> str | None:
        """Between none and a tiny one lies what lies between a tiny one and half of it, and rounding."""
        unit = PRECISIONS[self.program.dtype].unit
        for key in tiny:
            if key not in zero:
                return f"there is no state {key!r}, which a tiny {HARDLY:.1g} makes,"
            x, y, z = (np.ravel(state.get(key, np.nan)).astype(float) for state in (zero, tiny, half))
            if not x.shape == y.shape == z.shape:
                return f"the state {key!r} has another shape than with a tiny {HARDLY:.1g}"
            near = np.abs(x - y) <= FACTOR * (np.abs(y - z) + unit * np.abs(y))
            if not np.all(near | (x == y) | (np.isnan(x) & np.isnan(y))):
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
