"""Family ``groups``: param groups, their hyperparameters, and who else is in the optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from verify.checks import check
from verify.checks.context import Context, Report, search, try_all
from verify.checks.judged import judged, run, same_bits
from verify.checks.programs import differing_groups, edits, late_groups, scenarios, settings
from verify.program import Edit, Filling, Parameter, Program, Repeat, Step
from verify.strategies import programs
from verify.trajectory import Recorder

BEHAVIOUR_DTYPES = ("float32", "bfloat16")


def _lock_step(context: Context, fixed: Iterator[Program], salt: int, operations: tuple[str, ...]) -> Report:
    """Fixed programs, then drawn ones, judged by the reference."""
    report = Report()
    if try_all(context, report, fixed):
        return report
    strategy = programs(
        context.loaded.rule, editable=context.editable, operations=operations, **context.strategy_arguments
    )
    search(context, report, strategy, context.budget.programs, salt=salt)
    return report


@check(
    "groups.hyperparameters",
    "With several parameters and groups, each follows its own hyperparameters, gradient and count.",
    needs=("rule",),
)
def hyperparameters(context: Context) -> Report:
    """One to three parameters in one or two groups that differ in every hyperparameter.

    Gradients are missing, arrive late, stay away for a while or are written into one buffer again and
    again; hyperparameters are edited between steps; step() is called twice on one gradient.

    Bugs of this kind: one step counter for all parameters, or advanced inside the parameter loop; the
    last group's hyperparameters used for all; a saved gradient that is not a copy; decay added into
    p.grad; a variable of the first loop used in the second.
    """
    report = Report()
    if try_all(context, report, scenarios(context)):
        return report
    strategy = programs(context.loaded.rule, editable=context.editable, **context.strategy_arguments)
    search(context, report, strategy, 2 * context.budget.programs, salt=3)
    return report


@check(
    "groups.edits",
    "An edit of a hyperparameter takes effect at the next step, in its own group alone: as a number, as a tensor "
    "where that is allowed, or through an lr scheduler.",
    dtypes=("float64", "float32", "bfloat16"),
    needs=("rule",),
)
def edited(context: Context) -> Report:
    """Three groups; every hyperparameter of some of them is edited between steps, lr also as a tensor and by a
    real ExponentialLR; then drawn programs in which edits, schedules, loads and late groups follow each other.

    Bugs of this kind: lr or betas read once, at construction or at the first step; products of hyperparameters
    computed ahead; an edit of one group that is read from another; a schedule that reaches the last group only.
    """
    return _lock_step(context, edits(context), 21, ("edit", "tensor", "schedule", "reload", "freeze"))


@check(
    "groups.late",
    "A group that is added later moves from then on, with its own hyperparameters and its own step 1.",
    dtypes=("float64", "float32", "bfloat16"),
    needs=("rule", "add_param_group"),
)
def late(context: Context) -> Report:
    """A group is added with add_param_group before the first step, after it, and after several; before that
    its parameters have gradients and must not move.

    Bugs of this kind: groups or learning rates copied at construction and walked with zip; state made in the
    constructor only; a step counter shared by all groups.
    """
    return _lock_step(context, late_groups(context), 22, ("add_group", "edit", "zero_grad", "closure"))


# -- without a reference: what must change nothing -------------------------------------------


def _ordinary(context: Context) -> Iterator[Program]:
    """Parameters in groups that differ, with gradients that come and go, under every choice of options."""
    for number, (options, values) in enumerate(settings(context)):
        groups = differing_groups(context, values, options)
        shapes = ((5,), (3, 2), (17,), ())
        parameters = tuple(
            Parameter(shape, k * len(groups) // len(shapes), Filling(60 * number + 7 * k))
            for k, shape in enumerate(shapes)
        )
        steps = tuple(
            Step(tuple(Filling(211 * number + 31 * k + 5 * j) if (j + k) % 4 else None for k in range(len(shapes))))
            for j in range(3)
        )
        yield context.program(
            groups=tuple(groups), options=dict(options), parameters=parameters, operations=(*steps, Repeat())
        )


def _reordered(program: Program, parameters: list[int], groups: list[int]) -> Program:
    """The program with its parameters and groups in another order."""
    place = {old: new for new, old in enumerate(groups)}
    operations = tuple(
        replace(op, gradients=tuple(op.gradients[i] for i in parameters))
        if isinstance(op, Step)
        else replace(op, group=place[op.group])
        if isinstance(op, Edit)
        else op
        for op in program.operations
    )
    moved = tuple(replace(program.parameters[i], group=place[program.parameters[i].group]) for i in parameters)
    return replace(program, groups=tuple(program.groups[g] for g in groups), parameters=moved, operations=operations)


@judged(
    "groups.order",
    "The order of groups, and of parameters in a group, changes nothing.",
    _ordinary,
    dtypes=BEHAVIOUR_DTYPES,
)
def order(context: Context, program: Program) -> str | None:
    """The same program with parameters and groups in reverse must give every parameter the same bits.

    Bugs of this kind: a counter advanced in the loop over parameters; a quantity of one parameter that is
    still there when the next one is updated; buffers keyed by position.
    """
    one = run(context, program)
    count = len(program.parameters)
    swapped = _reordered(program, list(range(count))[::-1], list(range(len(program.groups)))[::-1])
    return same_bits(
        one,
        run(context, swapped),
        "with parameters and groups in reverse order",
        [count - 1 - i for i in range(count)],
    )


@judged(
    "groups.split",
    "Splitting a group into two with equal hyperparameters changes nothing.",
    _ordinary,
    dtypes=BEHAVIOUR_DTYPES,
)
def split(context: Context, program: Program) -> str | None:
    """The last parameter is put into a group of its own, with the hyperparameters of the one it was in.

    Bugs of this kind: buffers keyed by the index within a group; a mean over the group; a return where a
    continue was meant, so that later groups are not updated.
    """
    last = len(program.parameters) - 1
    own = len(program.groups)
    twin = replace(
        program,
        groups=(*program.groups, program.groups[program.parameters[last].group]),
        parameters=(*program.parameters[:last], replace(program.parameters[last], group=own)),
    )
    return same_bits(run(context, program), run(context, twin), f"with parameter {last} in a group of its own")


@judged(
    "groups.bystander",
    "Another parameter, with or without a gradient, changes nothing for the others.",
    _ordinary,
    dtypes=BEHAVIOUR_DTYPES,
)
def bystander(context: Context, program: Program) -> str | None:
    """A further parameter is put first, once without any gradient, once with a huge one, once in a group of its own.

    Bugs of this kind: clipping by a norm over everything, early return at the first missing gradient, one
    counter for all, state keyed by shape.
    """
    alone = run(context, program)
    huge = Filling(values=(3.0e4, -2.0e4))
    for gradient, own_group, what in (
        (None, False, "with a parameter before it that has no gradient"),
        (huge, False, "with a parameter before it that has a large gradient"),
        (huge, True, "with a group after it that has a large gradient"),
    ):
        group = len(program.groups) if own_group else 0
        extra = Parameter(program.parameters[0].shape or (2,), group, Filling(values=(2.0, -3.0)))
        operations = tuple(
            replace(op, gradients=(gradient, *op.gradients)) if isinstance(op, Step) else op
            for op in program.operations
        )
        twin = replace(
            program,
            groups=(*program.groups, program.groups[0]) if own_group else program.groups,
            parameters=(extra, *program.parameters),
            operations=operations,
        )
        moved = [i + 1 for i in range(len(program.parameters))]
        found = same_bits(alone, run(context, twin), what, moved)
        if found:
            return found
    return None


@judged(
    "groups.empty",
    "An empty group, a group without gradients, and step() before any gradient are harmless.",
    _ordinary,
    dtypes=BEHAVIOUR_DTYPES,
)
def empty(context: Context, program: Program) -> str | None:
    """The program is run again with an empty group, with a group that never has gradients, and after two steps
    without any gradient.

    Bugs of this kind: the first element of an empty list, zip(*[]), 0/0 over no elements, a variable that is
    set in the loop over parameters and used after it, a counter that advances without gradients.
    """
    plain = run(context, program)
    own = len(program.groups)
    more = (*program.groups, program.groups[0])
    found = same_bits(plain, run(context, replace(program, groups=more)), "with an empty group beside it")
    if found:
        return found
    idle = tuple(
        replace(op, gradients=(*op.gradients, None)) if isinstance(op, Step) else op for op in program.operations
    )
    parameters = (*program.parameters, Parameter((3,), own, Filling(values=(1.0,))))
    beside = replace(program, groups=more, parameters=parameters, operations=idle)
    found = same_bits(plain, run(context, beside), "with a group beside it that has no gradients")
    if found:
        return found
    nothing = Step((None,) * len(program.parameters))
    later = run(context, program.with_operations((nothing, nothing, *program.operations)))
    start = [p for p in later.moments[1].values]
    initial = run(context, program.with_operations((nothing,))).moments[0].values
    for index, (a, b) in enumerate(zip(start, initial, strict=True)):
        if not np.array_equal(a, b, equal_nan=True):
            return f"step() without any gradient moved parameter {index}"
    later.moments = later.moments[2:]
    return same_bits(plain, later, "after two steps without any gradient")


@judged(
    "groups.arguments",
    "What the caller passes as groups stays the caller's: its values and its lists of parameters stay as they are.",
    _ordinary,
    dtypes=("float32",),
)
def arguments(context: Context, program: Program) -> str | None:
    """Groups are passed as dicts, and looked at again after construction and after a step. torch itself fills
    defaults into the caller's dicts (pytorch#51794); that is not judged, but what the caller wrote must stay.

    Bugs of this kind: keys popped from the caller's dicts, the caller's list sorted, cleared or extended.
    """
    driver = Recorder(context.loaded, program, in_subject=context.in_subject)
    driver.make_parameters()
    passed = [driver.own_group(g) for g in driver.present]
    lists = [g["params"] for g in passed]
    members = [list(params) for params in lists]
    values = [{k: v for k, v in g.items() if k != "params"} for g in passed]
    loaded = context.loaded
    arguments = loaded.constructor_arguments(driver.own_values(0), program.options)
    arguments |= {**loaded.switches(program.implementation), **loaded.subject.arguments}
    driver.call(lambda: loaded.factory(passed, **arguments))
    for index, group in enumerate(passed):
        where = f"of the dict that the caller passed for group {index}"
        params = lists[index]
        if len(params) != len(members[index]) or any(a is not b for a, b in zip(params, members[index], strict=True)):
            return f"the constructor changed the list of parameters that the caller passed for group {index}"
        for key in ("params", *values[index]):
            if key not in group:
                return f"the constructor took the key {key!r} out {where}"
        for key, value in values[index].items():
            if group[key] is not value and group[key] != value:
                return f"the constructor changed {key!r} {where} from {value!r} to {group[key]!r}"
    return None
