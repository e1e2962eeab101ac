"""The fixed programs that checks run in every cell, whatever the seed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from reference.rule import Options, UpdateRule
from verify.checks.context import Context
from verify.program import AddGroup, Edit, Filling, Parameter, Program, Reload, Repeat, Schedule, Step
from verify.shaped import lanes_for, shaped
from verify.subject import LoadedSubject


def first_trials(context: Context, number: int = 0) -> dict[str, float]:
    """A value for each hyperparameter the subject takes: its first trial, or a later one that is not zero; its default
    where the options that are on by default want it."""
    loaded = context.loaded
    found = {}
    for h in loaded.rule.hyperparameters:
        if h.name not in loaded.fixed:
            active = [x for x in h.trials if x] or list(h.trials) or [h.default]
            found[h.name] = active[min(number, len(active) - 1)] if number else (h.trials or (h.default,))[0]
    return fitted(loaded, found, loaded.rule.step().options) or found


def fitted(loaded: LoadedSubject, values: dict[str, float], options: Options) -> dict[str, float] | None:
    """The values, with as few defaults among them as the options need; None where even defaults do not go with them."""
    rule = loaded.rule
    one_default = ({**values, name: rule.defaults[name]} for name in values)
    for candidate in (values, *one_default, {name: rule.defaults[name] for name in values}):
        if rule.constraint({**rule.defaults, **loaded.fixed, **candidate}, options):
            return candidate
    return None


def choices_of(context: Context) -> list[Options]:
    """Every choice of the options that the subject lets one choose."""
    rule, loaded = context.loaded.rule, context.loaded
    if rule.kind:
        return [rule.step().options]  # its options are for whole calls, which its own checks make
    fixed = [o for o in rule.options if o.name not in loaded.options]
    by_shape = {o.name for o in rule.options if o.of_shape}
    return [
        Options({name: on for name, on in chosen.items() if name not in by_shape})
        for chosen in rule.choices()
        if all(chosen[o.name] == o.default for o in fixed)
    ]


def sweep(context: Context) -> Iterator[Program]:
    """One program for each trial value of each hyperparameter, the others at their first trial.

    What depends on one special value is then found by every run, whatever its seed.
    """
    loaded, rule = context.loaded, context.loaded.rule
    first = first_trials(context)
    choices = choices_of(context)
    steps = (1, 2) if context.budget.name == "quick" else (1, 2, 2)
    number = 0
    for h in rule.hyperparameters:
        # what the rule allows at the edge and by default is tried too
        edge = [h.low] if not h.low_open and math.isfinite(h.low) else []
        for trial in dict.fromkeys([*h.trials, h.default, *edge]) if h.name in first else ():
            values = {**first, h.name: trial}
            full = {**loaded.fixed, **values}
            fitting = [o for o in choices if rule.constraint(full, o)]
            if not fitting:
                continue
            number += 1
            start = 4099 * number
            bulk = context.program(
                groups=(values,),
                options=dict(fitting[number % len(fitting)]),
                parameters=(Parameter((lanes_for(rule, context.budget.lanes),), 0, Filling(start)),),
                operations=tuple(Step((Filling(start + 601 * k),)) for k in steps),
            )
            yield bulk if rule.is_elementwise else shaped(with_tensors(bulk, number), rule)


# shape, scale of the numbers, and scale of the gradients
TENSORS = (((3,), 1.0, 1.0), ((4, 5), 0.125, 8.0), ((2, 3), 8.0, 0.125), ((7,), 0.0, 1.0), ((1, 6), 1.0, 0.0))


def with_tensors(program: Program, number: int) -> Program:
    """The program with small parameters beside its own: where elements act on each other, a tensor is one trial.

    Their numbers are ordinary, for what is large hides all the others in a sum; one is zero, and another one's gradient.
    """
    parameters = tuple(
        Parameter(shape, 0, scaled(plainly(7 * k + number), scale)) for k, (shape, scale, _) in enumerate(TENSORS)
    )

    def step(j: int, op: Step) -> Step:
        own = (scaled(plainly(11 * k + 5 * j + number), scale) for k, (_, _, scale) in enumerate(TENSORS))
        return replace(op, gradients=(*op.gradients, *own))

    operations = (step(j, op) if isinstance(op, Step) else op for j, op in enumerate(program.operations))
    return replace(program, parameters=(*program.parameters, *parameters)).with_operations(operations)


def settings(context: Context) -> Iterator[tuple[Options, dict[str, float]]]:
    """Every choice of options (at quick the default, and all together where the rule allows it), each with values."""
    rule, loaded = context.loaded.rule, context.loaded
    several = [first_trials(context), first_trials(context, 1)]
    choices = choices_of(context)
    if context.budget.name == "quick":
        choices = [choices[0], *[o for o in choices[1:] if rule.constraint({**loaded.fixed, **several[0]}, o)][-1:]]
    for options in choices[:16]:
        fitting = [v for v in several if rule.constraint({**loaded.fixed, **v}, options)]
        if fitting:
            yield options, fitting[0]


def differing_groups(context: Context, values: dict[str, float], options: Options) -> list[dict[str, float]]:
    """Up to three groups that differ in every hyperparameter that lives in groups."""
    rule, loaded = context.loaded.rule, context.loaded
    groups = [values]
    if rule.kind:
        return groups  # it has one H, and one group
    for later in (first_trials(context, 1), first_trials(context, 2)):
        other = {**values, **{k: v for k, v in later.items() if k in context.editable}}
        if context.editable and rule.constraint({**loaded.fixed, **other}, options):
            groups.append(other)
    return groups


def scenarios(context: Context) -> Iterator[Program]:
    """What a training script does to several parameters, for every choice of options (at quick, for two of them).

    A gradient that arrives late, stays away and comes back, one buffer for all gradients, step() again
    on the same gradient; then two groups with different hyperparameters, and an edit of each.
    """
    if context.budget.name != "quick":
        yield many_parameters(context)
    for number, (options, values) in enumerate(settings(context)):

        def gradients(*present: bool, at: int = 100 * number) -> Step:
            return Step(tuple(Filling(at + 17 * i) if there else None for i, there in enumerate(present)))

        steps = (
            gradients(True, False, True, at=1),
            gradients(True, True, False, at=2),
            Repeat(),
            gradients(False, True, True, at=3),
            gradients(True, False, True, at=4),
            Repeat(),
            Step((Filling(values=(0.0,)), Filling(values=(0.0,)), None)),
            gradients(True, True, True, at=6),
        )
        together = tuple(Parameter((n,), 0, Filling(50 * number + n)) for n in (5, 3, 5))
        yield context.program(
            groups=(values,),
            options=dict(options),
            parameters=together,
            operations=steps,
            reuse_gradients=number % 2 == 0,
        )
        if not context.editable:
            continue
        yield from _differing_in_one(context, values, options)
        yield from _switched_on(context, values, options)
        yield from _edited(context, values, options)


def _differing_in_one(context: Context, values: dict[str, float], options: Options) -> Iterator[Program]:
    """Two groups that differ in a single hyperparameter, each in turn; an edit takes the first to where the other is."""
    rule, loaded = context.loaded.rule, context.loaded
    for k, name in enumerate(context.editable):
        other = {**values, name: _another(rule, name, values[name])}
        if other == values or not rule.constraint({**loaded.fixed, **other}, options):
            continue
        parameters = tuple(Parameter((4,), g, Filling(81 + 9 * g + k)) for g in range(2))
        steps = tuple(Step((Filling(33 + 5 * j + k), Filling(53 + 5 * j))) for j in range(4))
        yield context.program(
            groups=(values, other),
            options=dict(options),
            parameters=parameters,
            operations=(*steps[:2], Edit(0, name, other[name]), *steps[2:]),
        )


def _edited(context: Context, values: dict[str, float], options: Options, *, tensor: bool = False) -> Iterator[Program]:
    """Three groups that differ in every hyperparameter, and an edit of each, in two of the groups."""
    rule, loaded = context.loaded.rule, context.loaded
    groups = differing_groups(context, values, options)
    parameters = tuple(Parameter((3,), g, Filling(70 + 9 * g)) for g in range(len(groups)))

    def step(at: int) -> Step:
        return Step(tuple(Filling(at + 17 * g) for g in range(len(groups))))

    operations: list = [step(11), step(12)]
    now = [dict(g) for g in groups]
    for k, name in enumerate(sorted(context.editable)):
        for group in {k % len(groups), (k + 1) % len(groups)}:
            changed = {**now[group], name: _another(rule, name, now[group][name])}
            if rule.constraint({**loaded.fixed, **changed}, options):
                now[group] = changed
                operations.append(Edit(group, name, changed[name], tensor))
        operations += [step(20 + 2 * k), step(21 + 2 * k)]
    yield context.program(
        groups=tuple(groups), options=dict(options), parameters=parameters, operations=tuple(operations)
    )


def edits(context: Context) -> Iterator[Program]:
    """Every hyperparameter of some groups is edited between steps; then lr as a tensor, and by a real scheduler."""
    for options, values in settings(context):
        yield from _edited(context, values, options)
        if "lr" not in context.editable:
            continue
        groups = tuple(differing_groups(context, values, options))
        parameters = tuple(Parameter((3,), g, Filling(40 + 9 * g)) for g in range(len(groups)))

        def step(at: int, groups=groups) -> Step:
            return Step(tuple(Filling(at + 17 * g) for g in range(len(groups))))

        last = len(groups) - 1
        for between in (
            (Schedule(0.5),),
            (Edit(last, "lr", groups[last]["lr"] * 4, tensor=True),),
            (Schedule(0.5), Edit(0, "lr", groups[0]["lr"] * 2), Schedule(0.5)),
        ):
            yield context.program(
                groups=groups,
                options=dict(options),
                parameters=parameters,
                operations=(step(1), *between, step(2), step(3)),
            )


def late_groups(context: Context) -> Iterator[Program]:
    """A group is added before the first step, after it, and after several; edits reach it as any other.

    And one that brings nothing but parameters, after every hyperparameter of the first group was edited, and after
    a load too.
    """
    loaded = context.loaded
    for number, (options, values) in enumerate(settings(context)):
        groups = tuple(differing_groups(context, values, options))
        if len(groups) == 1:
            groups = (values, values)
        last = len(groups) - 1
        parameters = tuple(Parameter((n,), g, Filling(33 * n)) for n, g in ((4, 0), (3, 0), (5, last), (2, last)))

        def step(at: int, *absent: int) -> Step:
            return Step(tuple(None if i in absent else Filling(at + 19 * i) for i in range(4)))

        for before in ((), (step(3),), (step(3, 0), step(4), step(5, 1))):
            operations = (*before, AddGroup(last), step(101 * number), step(6, 2), step(7))
            yield context.program(groups=groups, options=dict(options), parameters=parameters, operations=operations)
        edited = _all_edited(context, values, options)
        if not edited:
            continue
        parameters = tuple(replace(p, group=min(p.group, 1)) for p in parameters)
        for between in ((), (Reload(),)) if "state_dict" not in loaded.lacks else ((),):
            operations = (step(8), *edited, step(9), *between, AddGroup(1), step(10), step(11))
            yield context.program(
                groups=(values, values), options=dict(options), parameters=parameters, operations=operations
            )


def _all_edited(context: Context, values: dict[str, float], options: Options) -> list[Edit]:
    """Edits of every hyperparameter of the first group, one after the other."""
    rule, loaded = context.loaded.rule, context.loaded
    now, found = dict(values), []
    for name in context.editable:
        changed = {**now, name: _another(rule, name, now[name])}
        if changed != now and rule.constraint({**loaded.fixed, **changed}, options):
            now = changed
            found.append(Edit(0, name, changed[name]))
    return found


def many_parameters(context: Context) -> Program:
    """More parameters than an implementation may take at once."""
    count = 600
    parameters = tuple(Parameter((1,), 0, Filling(31 * k)) for k in range(count))
    steps = tuple(Step(tuple(Filling(7 + 13 * k + j) for k in range(count))) for j in range(2))
    return context.program(groups=(first_trials(context),), parameters=parameters, operations=steps)


def _switched_on(context: Context, values: dict[str, float], options) -> Iterator[Program]:
    """Whatever may be zero is zero at first, and is switched on between steps.

    What a rule is seldom tried without, as the lr of a warm-up's first step, is zero alone.
    """
    rule, loaded = context.loaded.rule, context.loaded
    known = [h for h in rule.hyperparameters if h.name in context.editable]
    may_vanish = [h.name for h in known if 0 in h.trials or h.absent == 0]
    alone = [h.name for h in known if h.name not in may_vanish and h.low == 0 and not h.low_open and not h.integer]
    for names in (may_vanish, *([name] for name in alone)):
        off = {**values, **dict.fromkeys(names, 0.0)}
        if not names or not rule.constraint({**loaded.fixed, **off}, options):
            continue
        operations: list = [Step((Filling(5),)), Step((Filling(6),))]
        now = dict(off)
        for k, name in enumerate(names):
            on = {**now, name: values[name] or _another(rule, name, 0.0)}
            if rule.constraint({**loaded.fixed, **on}, options):
                now = on
                operations += [Edit(0, name, on[name]), Step((Filling(7 + k),)), Step((Filling(27 + k),))]
        yield context.program(
            groups=(off,),
            options=dict(options),
            parameters=(Parameter((5,), 0, Filling(9)),),
            operations=tuple(operations),
        )


# ordinary numbers that every dtype holds, none of them zero
PLAIN = tuple(float(k or 8) / 64 for k in np.random.default_rng(7).integers(-96, 96, 61))


def plainly(at: int) -> Filling:
    """Ordinary numbers, beginning elsewhere in their cycle."""
    at %= len(PLAIN)
    return Filling(values=(*PLAIN[at:], *PLAIN[:at]))


def scaled(filling: Filling, factor: float) -> Filling:
    """Explicit numbers times a power of two, or zero."""
    return replace(filling, values=tuple(factor * x for x in filling.values or ()))


def edits_without_rule(context: Context) -> Iterator[Program]:
    """Ordinary numbers in two groups, and one edit of every hyperparameter of the first; several of lr."""
    rule, loaded = context.loaded.rule, context.loaded
    for options, values in settings(context):
        groups = tuple(differing_groups(context, values, options)[:2])
        shapes = ((33,), (4, 5), (7,))
        parameters = tuple(Parameter(s, min(k // 2, len(groups) - 1), plainly(k)) for k, s in enumerate(shapes))
        steps = tuple(Step(tuple(plainly(11 * j + 17 * k + 5) for k in range(3))) for j in range(6))
        edits = []
        for name in context.editable:
            new = [values["lr"] * 2, values["lr"] / 4] if name == "lr" else [_another(rule, name, values[name])]
            for value in new:
                changed = {**values, name: value}
                if changed != values and rule.constraint({**loaded.fixed, **changed}, options):
                    edits.append(Edit(0, name, value))
        if "lr" in context.editable:
            edits.append(Edit(0, "lr", values["lr"] / 2, tensor=True))
            if rule.constraint({**loaded.fixed, **values, "lr": 0.0}, options):
                edits.append(Edit(0, "lr", 0.0))
        yield context.program(
            groups=groups,
            options=dict(options),
            parameters=parameters,
            operations=(*steps[:2], *edits, *steps[2:]),
        )


def _another(rule: UpdateRule, name: str, value: float) -> float:
    """A trial value of a hyperparameter that is not ``value``."""
    h = next(h for h in rule.hyperparameters if h.name == name)
    return next((x for x in (*h.trials, h.default) if x != value and h.contains(x)), value)
