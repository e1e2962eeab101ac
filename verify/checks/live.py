"""Check ``groups.live``: param groups that are changed by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

import torch

from verify.checks.context import Context
from verify.checks.groups import one_group
from verify.checks.judged import judged, run, same_bits
from verify.checks.programs import differing_groups, plainly, settings
from verify.driver import SubjectRaised, Unsupported
from verify.program import Edit, Operation, Parameter, Program, Step
from verify.trajectory import Recorder


class _ByHand(Recorder):
    """Before its second operation, something is done to the optimizer's param_groups."""

    replayable = False

    def start(self) -> None:
        super().start()
        groups = getattr(self.optimizer, "param_groups", None)
        if not isinstance(groups, list) or not all(isinstance(g, dict) and "params" in g for g in groups):
            raise Unsupported("its param_groups are no list of dicts")

    def do(self, index: int, op: Operation) -> None:
        if index == 1:
            self.call(self.change)
        super().do(index, op)

    def change(self) -> None:
        raise NotImplementedError


class _Appends(_ByHand):
    """The last parameter of the first group is appended to it."""

    def members(self, group: int) -> list:
        found = super().members(group)
        return found[:-1] if group == 0 else found

    def start(self) -> None:
        super().start()
        if _holds_tensors(self.optimizer, [t.tensor for t in self.tracks]):
            raise Unsupported("what it needs for a parameter is made when a group is added")

    def change(self) -> None:
        self.optimizer.param_groups[0]["params"].append(Recorder.members(self, 0)[-1])


class _Deletes(_ByHand):
    """The last group is taken out."""

    def change(self) -> None:
        del self.optimizer.param_groups[-1]


class _Lists(_ByHand):
    """Hyperparameters that belong to a tuple are a list from the second step on, whose entries are edited in place."""

    def do(self, index: int, op: Operation) -> None:
        if isinstance(op, Edit):
            argument = self.loaded.hyperparameters[op.name]
            entries = self.optimizer.param_groups[op.group].get(argument.name)
            if argument.index is not None and isinstance(entries, list):
                entries[argument.index] = op.value
                return
        super().do(index, op)

    def change(self) -> None:
        for group in self.optimizer.param_groups:
            for name in {a.name for a in self.loaded.hyperparameters.values() if a.index is not None}:
                if isinstance(group.get(name), tuple):
                    group[name] = list(group[name])


def _holds_tensors(optimizer, parameters: list) -> bool:
    """Whether an optimizer that has not stepped holds tensors other than its parameters."""
    known, seen = {id(p) for p in parameters}, set()

    def holds(value) -> bool:
        if isinstance(value, torch.Tensor):
            return id(value) not in known
        if id(value) in seen:
            return False
        seen.add(id(value))
        if isinstance(value, Mapping):
            return any(map(holds, value.values()))
        return isinstance(value, list | tuple | set) and any(map(holds, value))

    return (
        holds(getattr(optimizer, "state", {}))
        or holds(optimizer.param_groups)
        or holds(getattr(optimizer, "__dict__", {}))
    )


def _appended(context: Context, program: Program, due: Recorder, what: str) -> str | None:
    """Whether a parameter that is appended moves, where the optimizer is not to be told of it otherwise."""
    group = due.optimizer.param_groups[0]
    entries = (v for k, v in group.items() if k != "params" and k not in context.loaded.parameters)
    listed = any(isinstance(v, list | tuple | dict) and len(v) == len(group["params"]) for v in entries)
    try:
        got = run(context, program, _Appends)
    except Unsupported:
        return None
    except SubjectRaised:
        # lists that belong to the parameters were too short
        if listed:
            return None
        raise
    return same_bits(due, got, what)


def _by_hand(context: Context) -> Iterator[Program]:
    """Two groups of which each has several parameters, and an edit of every entry of a tuple."""
    rule, loaded = context.loaded.rule, context.loaded
    for number, (options, values) in enumerate(settings(context)):
        groups = (values, differing_groups(context, values, options)[-1])
        parameters = tuple(Parameter((n,), k // 2, plainly(9 * k)) for k, n in enumerate((4, 3, 2, 5)))
        steps = tuple(Step(tuple(plainly(7 * j + 13 * k + number) for k in range(4))) for j in range(5))
        changed, now = [], dict(values)
        for h in rule.hyperparameters:
            argument = loaded.hyperparameters.get(h.name)
            if argument is not None and argument.index is not None and h.name in context.editable:
                other = next((x for x in (*h.trials, h.default) if x != now[h.name] and h.contains(x)), now[h.name])
                if rule.constraint({**loaded.fixed, **now, h.name: other}, options):
                    now[h.name] = other
                    changed.append(Edit(0, h.name, other))
        yield context.program(
            groups=groups,
            options=dict(options),
            parameters=parameters,
            operations=(*steps[:2], *steps[2:3], *changed, *steps[3:]),
        )


def _without_gradients(program: Program, absent: Iterable[int], missing: Callable[[int], bool]) -> Program:
    """The program without edits, and without gradients of some parameters in some steps."""
    steps = [op for op in program.operations if isinstance(op, Step)]
    chosen = set(absent)
    return program.with_operations(
        replace(op, gradients=tuple(None if i in chosen and missing(k) else g for i, g in enumerate(op.gradients)))
        for k, op in enumerate(steps)
    )


@judged(
    "groups.live",
    "What is done to param_groups by hand holds: a parameter appended, a group deleted, betas written as a list.",
    _by_hand,
    dtypes=("float32",),
    implementations=("for-loop", "foreach", "fused", "capturable"),
)
def live(context: Context, program: Program) -> str | None:
    """After a step a parameter is appended to the params of a group: it must move from then on, as one that had
    no gradient before. A group is deleted: its parameters must stay, and the others go on. betas become a list,
    which is edited in place: as good as new tuples. An optimizer that makes tensors when a group is added, and
    so knows nothing of a parameter that is appended, need not take it; one whose groups hold lists beside their
    parameters may raise.

    Bugs of this kind: a list of parameters or of groups that is made once; betas compared by identity with those
    cached.
    """
    plain_steps = _without_gradients(program, (), lambda k: False)
    first = [i for i, p in enumerate(program.parameters) if p.group == 0]
    if len(first) > 1:
        last = first[-1]
        due = run(context, _without_gradients(program, [last], lambda k: k < 1))
        found = _appended(context, plain_steps, due, f"with parameter {last} appended to its group after step 1")
        if found:
            return found
    gone = [i for i, p in enumerate(program.parameters) if p.group == len(program.groups) - 1]
    if len(program.groups) > 1:
        due = run(context, _without_gradients(program, gone, lambda k: k >= 1))
        got = run(context, plain_steps, _Deletes)
        found = same_bits(due, got, "with the last group deleted from param_groups after step 1")
        if found:
            return found
    if not any(isinstance(op, Edit) for op in program.operations):
        return None
    for case in (program, one_group(program, 0)[0]):
        got = run(context, case, _Lists)
        found = same_bits(run(context, case), got, "with tuples of hyperparameters as lists, edited in place")
        if found:
            return found
    return None
