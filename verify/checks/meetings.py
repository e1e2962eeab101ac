"""Check ``groups.meetings``: whatever happens between steps, in whatever order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from verify.checks import check
from verify.checks.context import Context, Report, search, try_all
from verify.checks.judged import has_one_group, outcome_of, run, same_bits
from verify.checks.programs import differing_groups, settings
from verify.driver import Unsupported
from verify.outcome import Outcome
from verify.program import (
    AddGroup,
    Copy,
    Edit,
    Filling,
    Freeze,
    Operation,
    Parameter,
    Program,
    Reload,
    Repeat,
    Schedule,
    Step,
    ZeroGrad,
)
from verify.strategies import OPERATIONS, programs

# what happens, by name; the numbers are filled in where it happens
KINDS = (
    "edit",
    "tensor",
    "schedule",
    "add_group",
    "freeze",
    "thaw",
    "zero_grad",
    "zero_in_place",
    "reload",
    "reload_fresh",
    "reload_stepped",
    "copy",
    "pickle",
    "closure",
    "repeat",
    "missing",
)
# operations of one program, before the steps between them
LENGTH = 9
# these change nothing that a step depends on
NEUTRAL = (Reload, Copy)


def sequences() -> list[tuple[str, ...]]:
    """Kinds of operations so that every one comes right after every other in one of the sequences."""
    left = {a: [b for b in KINDS] for a in KINDS}
    whole, now = [KINDS[0]], KINDS[0]
    while any(left.values()):
        # an Eulerian walk where it goes on; else from wherever something is left
        now = left[now].pop(0) if left[now] else next(a for a in KINDS if left[a])
        whole.append(now)
    return [tuple(whole[i : i + LENGTH + 1]) for i in range(0, len(whole) - 1, LENGTH)]


def meetings(context: Context) -> Iterator[Program]:
    """Groups that differ in their options; every kind of operation right after every other, with a step between."""
    chosen = list(settings(context))
    if context.loaded.rule.known:
        yield from _options_meet(context)
    for number, kinds in enumerate(sequences()):
        options, values = chosen[number % len(chosen)]
        for between in (True, False) if context.budget.name != "quick" else (True,):
            yield _program(context, kinds, options, values, number, between)


def _options_meet(context: Context) -> Iterator[Program]:
    """Two groups that differ in one option, each in turn; and an edit of it, where it needs no state of its own."""
    rule, loaded = context.loaded.rule, context.loaded
    own_state = {s.option for s in rule.state}
    for name in loaded.editable_options():
        for options, values in settings(context):
            both = [{**options, name: value} for value in (False, True)]
            if not all(
                rule.constraint({**rule.defaults, **loaded.fixed, **values}, rule.step(o).options) for o in both
            ):
                continue
            groups = ({**values, name: False}, {**values, name: True})
            edited = [] if name in own_state else [Edit(0, name, 1.0), Edit(1, name, 0.0)]
            for late in ([], [AddGroup(1)]):
                steps = [Step((Filling(70 + 9 * k), Filling(170 + 9 * k))) for k in range(4)]
                yield context.program(
                    groups=groups,
                    options=dict(options),
                    parameters=(Parameter((6,), 0, Filling(3)), Parameter((4,), 1, Filling(5))),
                    operations=(steps[0], *late, *steps[1:3], *edited, steps[3]),
                )
            break


def _program(context: Context, kinds: Iterable[str], options, values, number: int, between: bool) -> Program:
    groups = differing_groups(context, values, options)[:3]
    groups += [dict(groups[-1])] * (3 - len(groups))
    members = ((5, 0), (2, 0), (3, 1), (4, 2))
    late = [2, 1] if "add_group" in kinds else []
    operations: list[Operation] = [_step(number, 0)]
    for place, kind in enumerate(kinds):
        operations += _operations(kind, context, groups, late, number + place)
        if between:
            operations.append(_step(number, place + 1))
    operations += [AddGroup(g) for g in late]
    operations += [Freeze(1, False)] if "freeze" in kinds else []
    operations += [_step(number, 31), _step(number, 32)]
    return context.program(
        groups=tuple(groups),
        options=dict(options),
        parameters=tuple(Parameter((n,), g, Filling(19 * number + 7 * n)) for n, g in members),
        operations=tuple(operations),
        reuse_gradients=number % 3 == 0,
    )


def _step(number: int, place: int, *, missing: int = -1, closure: bool = False) -> Step:
    return Step(tuple(None if i == missing else Filling(400 * number + 37 * place + 11 * i) for i in range(4)), closure)


def _operations(kind: str, context: Context, groups: list, late: list[int], number: int) -> list[Operation]:
    """One operation of a kind; none where the subject keeps no lr in its groups, or no group is left to add."""
    lr = groups[0].get("lr", 1.0) * (0.53, 0.71, 0.97)[number % 3]
    match kind:
        case "edit" | "tensor" if "lr" in context.editable:
            return [Edit(0, "lr", lr, tensor=kind == "tensor")]
        case "schedule" if "lr" in context.editable:
            return [Schedule(0.5)]
        case "add_group" if late:
            return [AddGroup(late.pop())]
        case "freeze" | "thaw":
            return [Freeze(1, kind == "freeze")]
        case "zero_grad" | "zero_in_place":
            return [ZeroGrad(kind == "zero_grad")]
        case "reload":
            return [Reload("direct", "same")]
        case "reload_fresh" | "reload_stepped":
            return [Reload("file", kind.removeprefix("reload_"))]
        case "copy" | "pickle":
            return [Copy("deepcopy" if kind == "copy" else "pickle")]
        case "closure":
            return [_step(number, 41, closure=True)]
        case "missing":
            return [_step(number, 43, missing=number % 4)]
        case "repeat":
            return [Repeat()]
    return []


def _without_neutral(context: Context, program: Program) -> str | None:
    """Saving, loading and copying at any point must change nothing of a run."""
    # a copy has no gradients, so what is done on the old ones would differ
    used = [op for op in program.operations if not isinstance(op, Repeat | ZeroGrad)]
    plain = [op for op in used if not isinstance(op, NEUTRAL)]
    if len(plain) == len(used):
        raise Unsupported("nothing is saved or copied in it")
    twin = run(context, program.with_operations(used))
    return same_bits(run(context, program.with_operations(plain)), twin, "saved, loaded and copied on the way")


def _judge(context: Context, program: Program) -> Outcome:
    if context.loaded.rule.known:
        return context.run(program)
    return outcome_of(_without_neutral, context, program)


@check(
    "groups.meetings",
    "Whatever a training script does between steps, in whatever order, every step is where the rule puts it.",
    dtypes=("float32", "bfloat16"),
    judge=_judge,
)
def meet(context: Context) -> Report:
    """Edits as numbers and tensors, schedules, late groups, freezing and thawing, zero_grad both ways, saving and
    loading into the same, a fresh or a stepped instance, copies, closures, repeated steps and missing gradients: each
    comes right after each other, with a step between them and without; then drawn programs of all of them. Where no
    rule is known, saving, loading and copying on the way must change nothing.

    Bugs of this kind: an edit after a load that is ignored, a group added after a load that starts from the file's
    values, a parameter frozen while the state was saved that is forgotten, a tensor lr that a checkpoint rounds.
    """
    report = Report()
    if has_one_group(context):
        return report.not_applicable(f"rule {context.loaded.rule.name} has one param group")

    def judge(program: Program) -> Outcome:
        return _judge(context, program)

    if try_all(context, report, meetings(context), judge) or not context.loaded.rule.known:
        return report
    own = context.strategy_arguments
    strategy = programs(context.loaded.rule, editable=context.editable, operations=OPERATIONS, most_steps=6, **own)
    search(context, report, strategy, context.budget.programs, judge=judge, salt=23)
    return report


def covered(kinds: Iterable[tuple[str, ...]]) -> set[tuple[str, str]]:
    """Which kind comes right after which."""
    return {pair for sequence in kinds for pair in pairwise(sequence)}
