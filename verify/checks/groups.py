"""Family ``groups``: param groups, their hyperparameters, and who else is in the optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from verify.checks import check
from verify.checks.as_built import as_built
from verify.checks.context import Context, Report, search, try_all
from verify.checks.judged import Judge, has_one_group, is_separate, judged, or_not_separate, outcome_of, run, same_bits
from verify.checks.programs import (
    differing_groups,
    edits,
    edits_without_rule,
    late_groups,
    plainly,
    scenarios,
    settings,
)
from verify.driver import Unsupported
from verify.outcome import Outcome
from verify.program import AddGroup, Edit, Filling, Operation, Parameter, Program, Repeat, Step
from verify.shaped import shaped
from verify.strategies import programs
from verify.trajectory import Recorder, unequal

BEHAVIOUR_DTYPES = ("float32", "bfloat16")
# with more parameters than this, some of them alone stand for each
MANY = 100


def _judged_by_rule(
    context: Context, fixed: Iterable[Program], salt: int, operations: tuple[str, ...], most: int
) -> Report:
    """Fixed programs, then drawn ones, judged by the reference."""
    report = Report()
    if try_all(context, report, fixed):
        return report
    strategy = programs(
        context.loaded.rule, editable=context.editable, operations=operations, **context.strategy_arguments
    )
    search(context, report, strategy, most, salt=salt)
    return report


def _or_by_twin(twin: Judge) -> Callable[[Context, Program], Outcome]:
    """Judges by the reference, or by a second run of the subject where no rule is known."""

    def judge(context: Context, program: Program) -> Outcome:
        return context.run(program) if context.loaded.rule.known else outcome_of(twin, context, program)

    return judge


def _by_twin(context: Context, fixed: Iterable[Program], twin: Judge, *, separate: bool = False) -> Report:
    report = Report()
    if separate and not is_separate(context):
        return report.not_applicable("declared: it lacks 'separate', and no rule says how its parameters move")
    try_all(context, report, fixed, lambda program: outcome_of(twin, context, program))
    return report


def one_group(program: Program, group: int, operations=None) -> tuple[Program, list[int]]:
    """One group as an optimizer of its own, and which parameters it has."""
    members = [i for i, p in enumerate(program.parameters) if p.group == group]
    own: list = []
    for op in program.operations if operations is None else operations:
        if isinstance(op, Step):
            own.append(replace(op, gradients=tuple(op.gradients[i] for i in members)))
        elif isinstance(op, Edit):
            own += [replace(op, group=0)] if op.group == group else []
        elif not isinstance(op, AddGroup):
            own.append(op)
    parameters = tuple(replace(program.parameters[i], group=0) for i in members)
    twin = replace(program, groups=(program.groups[group],), parameters=parameters, operations=tuple(own))
    return twin, members


def _each_alone(context: Context, program: Program) -> str | None:
    together = run(context, program)
    if len(program.parameters) > MANY:
        return or_not_separate(context, _some_alone(context, together))
    steps = [i for i, op in enumerate(program.operations) if isinstance(op, Step | Repeat)]
    for group in range(len(program.groups)):
        joins = next((i for i, op in enumerate(program.operations) if op == AddGroup(group)), -1)
        twin, members = one_group(program, group, program.operations[joins + 1 :])
        if not members:
            continue
        alone = run(context, twin)
        part = Recorder(context.loaded, program)
        part.replayable = False
        missed = sum(1 for i in steps if i < joins)
        part.moments = [
            replace(m, values=tuple(m.values[i] for i in members), state=tuple(m.state[i] for i in members))
            for m in together.moments[missed:]
        ]
        found = same_bits(alone, part, f"beside the other groups (group {group}; its parameters counted from 0)")
        if found:
            return or_not_separate(context, found)
    return None


def _of_some(program: Program, chosen: list[int], operations: Iterable[Operation]) -> Program:
    """Some of the parameters in an optimizer of their own, with these operations."""
    own = tuple(
        replace(op, gradients=tuple(op.gradients[i] for i in chosen)) if isinstance(op, Step) else op
        for op in operations
    )
    return replace(program, parameters=tuple(program.parameters[i] for i in chosen), operations=own)


def _some_alone(context: Context, together: Recorder) -> str | None:
    """The first parameter, one in the middle and the last in an optimizer of their own."""
    program = together.program
    count = len(program.parameters)
    chosen = [0, count // 2, count - 1]
    few = run(context, _of_some(program, chosen, program.operations))
    return same_bits(few, together, f"beside {count - len(chosen)} others", chosen)


@check(
    "groups.hyperparameters",
    "With several parameters and groups, each follows its own hyperparameters, gradient and count.",
    judge=_or_by_twin(_each_alone),
)
def hyperparameters(context: Context) -> Report:
    """One to three parameters in one or two groups that differ in every hyperparameter.

    Gradients are missing, arrive late, stay away for a while or are written into one buffer again and
    again; hyperparameters are edited between steps; step() is called twice on one gradient. Where no rule is
    known, each group must move as it does in an optimizer of its own.

    Bugs of this kind: one step counter for all parameters, or advanced inside the parameter loop; the
    last group's hyperparameters used for all; a saved gradient that is not a copy; decay added into
    p.grad; a variable of the first loop used in the second.
    """
    if not context.loaded.rule.known:
        return _by_twin(context, scenarios(context), _each_alone, separate=True)
    return _judged_by_rule(context, scenarios(context), 3, ("edit",), 2 * context.budget.programs)


@check(
    "groups.edits",
    "An edit of a hyperparameter takes effect at the next step, in its own group alone: as a number, as a tensor "
    "where that is allowed, or through an lr scheduler.",
    dtypes=("float64", "float32", "bfloat16"),
    judge=_or_by_twin(as_built),
)
def edited(context: Context) -> Report:
    """Three groups; every hyperparameter of some of them is edited between steps, lr also as a tensor and by a
    real ExponentialLR; then drawn programs in which edits, schedules, loads and late groups follow each other.
    Where no rule is known, an edit before the first step must be as good as the constructor; a later one as good
    as an instance that is built with the new value and loads the state of that moment. It is seen in its own group
    alone, that of lr in the very next step, and a tensor does what the number does. With an lr of zero, as a warm-up
    begins, the state goes on as with a tiny one.

    Bugs of this kind: lr or betas read once, at construction or at the first step; products of hyperparameters
    computed ahead; an edit of one group that is read from another; a schedule that reaches the last group only.
    """
    if not context.editable:
        return Report().not_applicable("its param groups hold no hyperparameter")
    if not context.loaded.rule.known:
        return _by_twin(context, edits_without_rule(context), as_built)
    operations = ("edit", "tensor", "schedule", "reload", "freeze")
    return _judged_by_rule(context, edits(context), 21, operations, context.budget.programs)


@check(
    "groups.late",
    "A group that is added later moves from then on, with its own hyperparameters and its own step 1.",
    dtypes=("float64", "float32", "bfloat16"),
    needs=("add_param_group",),
    judge=_or_by_twin(_each_alone),
)
def late(context: Context) -> Report:
    """A group is added with add_param_group before the first step, after it, and after several; before that
    its parameters have gradients and must not move. Where no rule is known, it must move as an optimizer of its
    own that is built at that moment.

    Bugs of this kind: groups or learning rates copied at construction and walked with zip; state made in the
    constructor only; a step counter shared by all groups.
    """
    if not context.loaded.rule.known:
        return _by_twin(context, late_groups(context), _each_alone, separate=True)
    operations = ("add_group", "edit", "zero_grad", "closure", "beside", "copy")
    return _judged_by_rule(context, late_groups(context), 22, operations, context.budget.programs)


# -- without a reference: what must change nothing -------------------------------------------


def _ordinary(context: Context) -> Iterator[Program]:
    """Parameters in groups that differ, with gradients that come and go, under every choice of options."""
    for number, (options, values) in enumerate(settings(context)):
        groups = differing_groups(context, values, options)
        shapes = ((5,), (3, 2), (17,), (), (4,))
        parameters = tuple(
            Parameter(shape, k * len(groups) // len(shapes), Filling(60 * number + 7 * k))
            for k, shape in enumerate(shapes)
        )
        steps = tuple(
            Step(
                tuple(
                    Filling(211 * number + 31 * k + 5 * j) if j == 1 or (j + k) % 4 else None
                    for k in range(len(shapes))
                )
            )
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
    needs=("separate",),
)
def order(context: Context, program: Program) -> str | None:
    """The same program with parameters and groups in reverse must give every parameter the same bits.

    Bugs of this kind: a counter advanced in the loop over parameters; a quantity of one parameter that is
    still there when the next one is updated; buffers keyed by position.
    """
    one = run(context, program)
    count = len(program.parameters)
    swapped = _reordered(program, list(range(count))[::-1], list(range(len(program.groups)))[::-1])
    found = same_bits(
        one,
        run(context, swapped),
        "with parameters and groups in reverse order",
        [count - 1 - i for i in range(count)],
    )
    return or_not_separate(context, found)


@judged(
    "groups.split",
    "Splitting a group into two with equal hyperparameters changes nothing.",
    _ordinary,
    dtypes=BEHAVIOUR_DTYPES,
    needs=("separate",),
)
def split(context: Context, program: Program) -> str | None:
    """One of two parameters in a group is put into a group of its own, with the hyperparameters it had.

    Bugs of this kind: buffers keyed by the index within a group; a mean over the group; a return where a
    continue was meant, so that later groups are not updated.
    """
    members = [p.group for p in program.parameters]
    together = [i for i, g in enumerate(members) if members.count(g) > 1]
    if not together:
        raise Unsupported("no group has two parameters")
    last, own = together[-1], len(program.groups)
    parameters = list(program.parameters)
    parameters[last] = replace(parameters[last], group=own)
    twin = replace(program, groups=(*program.groups, program.groups[members[last]]), parameters=tuple(parameters))
    found = same_bits(run(context, program), run(context, twin), f"with parameter {last} in a group of its own")
    return or_not_separate(context, found)


@judged(
    "groups.bystander",
    "Another parameter, with or without a gradient, changes nothing for the others.",
    _ordinary,
    dtypes=BEHAVIOUR_DTYPES,
    needs=("separate",),
)
def bystander(context: Context, program: Program) -> str | None:
    """A further parameter is put first, once without any gradient, once with a huge one, once in another dtype, once
    in a group of its own.

    Bugs of this kind: clipping by a norm over everything, early return at the first missing gradient, one
    counter for all, state keyed by shape, a list of tensors that takes the dtype of its first.
    """
    other = "float32" if program.dtype == "float64" else "float64"
    alone = run(context, program)
    huge, small = Filling(values=(3.0e4, -2.0e4)), Filling(values=(0.25, -0.5))
    for gradient, dtype, own_group, what in (
        (None, "", False, "with a parameter before it that has no gradient"),
        (huge, "", False, "with a parameter before it that has a large gradient"),
        (small, "", False, "with a parameter before it that has a small gradient"),
        (small, other, False, f"with a parameter of {other} before it"),
        (huge, "", True, "with a group after it that has a large gradient"),
    ):
        group = len(program.groups) if own_group else 0
        extra = Parameter(program.parameters[0].shape or (2,), group, Filling(values=(2.0, -3.0)), dtype=dtype)
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
            return or_not_separate(context, found)
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
    beside = shaped(replace(program, groups=more, parameters=parameters, operations=idle), context.loaded.rule)
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


def _gaps(context: Context) -> Iterator[Program]:
    """Parameters whose gradients stay away for one or two steps after they have had some, and come back."""
    away = {(2, 1), (3, 1), (2, 2)}
    for number, (options, values) in enumerate(settings(context)):
        shapes = ((5,), (3, 2), (), (4,))
        parameters = tuple(Parameter(s, 0, plainly(9 * k)) for k, s in enumerate(shapes))
        steps = tuple(
            Step(tuple(None if (j, k) in away else plainly(7 * j + 13 * k + number) for k in range(4)))
            for j in range(6)
        )
        yield context.program(groups=(values,), options=dict(options), parameters=parameters, operations=steps)


@judged(
    "groups.absent",
    "A parameter without a gradient stays where it is, and goes on later as if that step had not been.",
    _gaps,
    dtypes=BEHAVIOUR_DTYPES,
)
def absent(context: Context, program: Program) -> str | None:
    """Gradients of some parameters are None for one or two steps, after steps in which they were there. The parameters
    must keep their bits, and go on afterwards as in an optimizer of their own that takes the other steps alone.

    Bugs of this kind: a missing gradient taken for zero, so that momentum or decay goes on moving; the last
    gradient used again; a counter that advances all the same.
    """
    if not all(isinstance(op, Step) for op in program.operations):
        raise Unsupported("it is no program for this check")
    if has_one_group(context):
        raise Unsupported(
            f"rule {context.loaded.rule.name} takes a missing gradient as zero, for all parameters together"
        )
    steps = [op for op in program.operations if isinstance(op, Step)]
    whole = run(context, program)
    before = [t.before for t in whole.tracks]
    for number, (op, moment) in enumerate(zip(steps, whole.moments, strict=True)):
        for index, gradient in enumerate(op.gradients):
            at = unequal(before[index], moment.values[index]) if gradient is None else None
            if at is not None:
                return (
                    f"parameter {index} has no gradient in step {number + 1} and moved from {before[index][at]:.9g} "
                    f"to {moment.values[index][at]:.9g} (element {at}); it must stay, bit for bit"
                )
        before = list(moment.values)
    if not is_separate(context):
        return None
    for index, parameter in enumerate(program.parameters):
        present = [k for k, op in enumerate(steps) if op.gradients[index] is not None]
        if not present or len(present) == len(steps):
            continue
        own = replace(parameter, group=0)
        twin = _of_some(
            replace(program, groups=(program.groups[parameter.group],)), [index], [steps[k] for k in present]
        )
        alone = run(context, replace(twin, parameters=(own,)))
        part = Recorder(context.loaded, program)
        part.replayable = False
        part.moments = [
            replace(m, values=(m.values[index],), state=(m.state[index],)) for m in (whole.moments[k] for k in present)
        ]
        counter = context.loaded.subject.state_keys.get("step", "step")
        what = f"after steps without a gradient (parameter {index}, counted as 0)"
        found = same_bits(alone, part, what, state={counter}.__contains__)
        if found:
            return or_not_separate(context, found)
    return None


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
    passed = [
        {"params": driver.members(g), **context.loaded.constructor_arguments(driver.own_values(g), {})}
        for g in driver.present
    ]
    outer, lists = list(passed), [g["params"] for g in passed]
    members = [list(params) for params in lists]
    values = [{k: v for k, v in g.items() if k != "params"} for g in passed]
    loaded = context.loaded
    arguments = loaded.constructor_arguments(driver.own_values(0), loaded.chosen(program.options))
    arguments |= {**loaded.switches(program.implementation), **loaded.subject.arguments}
    driver.call(lambda: loaded.factory(passed, **arguments))
    if len(passed) != len(outer):
        return (
            f"the constructor changed the list of {len(outer)} groups that the caller passed; it has {len(passed)} now"
        )
    for index, group in enumerate(outer):
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
