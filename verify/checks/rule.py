"""Family ``rule``: the numbers of single steps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from reference.rounding import PRECISIONS
from reference.rule import UpdateRule
from reference.walk import Walk
from verify.checks import FORMULA_DTYPES, check
from verify.checks.context import Context, Finding, Report, search, shrink
from verify.lanes import DTYPES, as_float64, fill
from verify.program import Edit, Filling, Parameter, Program, Repeat, SetCount, Step
from verify.strategies import TAIL_SIZES, bulk_programs, programs


def bulk(context: Context, judge: str, salt: int) -> Report:
    """Every trial value of every hyperparameter once, then a search among drawn programs."""
    budget = context.budget
    report = Report()
    for program in sweep(context):
        outcome = context.run(program, judge)
        report.record(outcome)
        if outcome.failed:
            return report.fail(shrink(context, program, outcome, judge))
    strategy = bulk_programs(
        context.loaded.rule, lanes=budget.lanes, steps=budget.steps, **context.strategy_arguments
    )
    search(context, report, strategy, budget.programs, judge=judge, salt=salt)
    return report


def sweep(context: Context) -> Iterator[Program]:
    """One program for each trial value of each hyperparameter, the others at their first trial.

    What depends on one special value is then found by every run, whatever its seed.
    """
    loaded, rule = context.loaded, context.loaded.rule
    first = _first_trials(context)
    choices = [
        o for o in rule.choices() if all(o[x.name] == x.default for x in rule.options if x.name not in loaded.options)
    ]
    number = 0
    for h in rule.hyperparameters:
        for trial in h.trials if h.name in first else ():
            values = {**first, h.name: trial}
            full = {**loaded.fixed, **values}
            fitting = [o for o in choices if rule.constraint(full, o)]
            if not fitting:
                continue
            number += 1
            start = 4099 * number
            yield Program(
                **context.place,
                groups=(values,),
                options=dict(fitting[number % len(fitting)]),
                parameters=(Parameter((context.budget.lanes,), 0, Filling(start)),),
                operations=tuple(Step((Filling(start + 601 * k),)) for k in (1, 2, 2)),
            )


@check(
    "rule.step",
    "After every step, every element of the parameter is where the rule puts it.",
    dtypes=FORMULA_DTYPES,
)
def step(context: Context) -> Report:
    """Certifies the formula.

    One parameter with thousands of elements filled with hostile numbers (zeros of both signs, ties,
    subnormals, every binade, p and g of equal and of wildly different size), hyperparameters that are
    large enough for every mistake to show, all options, up to 24 steps. Before each step the reference
    starts from the subject's own parameter and state, so each step is judged alone; whatever is outside
    its allowance in bulk is confirmed in ball arithmetic.

    Bugs of this kind: epsilon inside the root or divided by the bias correction, decay after the step
    or without the learning rate, bias correction missing or twice, squares, signs, wrong betas.
    """
    report = bulk(context, "p", salt=1)
    if context.dtype == "float32" and context.implementation == "for-loop" and report.status == "passed":
        report.speed = measure_speed(context, report)
    return report


def scenarios(context: Context) -> Iterator[Program]:
    """What a training script does to several parameters, once for every choice of options.

    A gradient that arrives late, stays away and comes back, one buffer for all gradients, step() again
    on the same gradient; then two groups with different hyperparameters, and an edit of each.
    """
    rule, loaded = context.loaded.rule, context.loaded
    first, second = _first_trials(context), _first_trials(context, 1)
    choices = [
        o for o in rule.choices() if all(o[x.name] == x.default for x in rule.options if x.name not in loaded.options)
    ]
    for number, options in enumerate(choices[:16]):
        settings = [v for v in (first, second) if rule.constraint({**loaded.fixed, **v}, options)]
        if not settings:
            continue
        values = settings[0]

        def gradients(*present: bool, at: int = 100 * number) -> Step:
            return Step(tuple(Filling(at + 17 * i) if there else None for i, there in enumerate(present)))

        steps = (
            gradients(True, False, True, at=1), gradients(True, True, False, at=2), Repeat(),
            gradients(False, True, True, at=3), gradients(True, False, True, at=4), Repeat(),
            Step((Filling(values=(0.0,)), Filling(values=(0.0,)), None)), gradients(True, True, True, at=6),
        )
        together = tuple(Parameter((n,), 0, Filling(50 * number + n)) for n in (5, 3, 5))
        for reuse in (False, True):
            yield Program(
                **context.place, groups=(values,), options=dict(options), parameters=together,
                operations=steps, reuse_gradients=reuse,
            )
        if not context.editable:
            continue
        yield from _switched_on(context, values, options)
        other = {**values, **{k: v for k, v in settings[-1].items() if k in context.editable}}
        apart = tuple(Parameter((n,), g, Filling(70 * number + n)) for n, g in ((4, 0), (2, 0), (4, 1), (3, 1)))
        edits: list = [gradients(True, True, True, True, at=11)]
        now = [dict(values), dict(other)]
        for k, name in enumerate(sorted(context.editable)):
            group = k % 2
            changed = {**now[group], name: _another(rule, name, now[group][name])}
            if rule.constraint({**loaded.fixed, **changed}, options):
                now[group] = changed
                edits += [Edit(group, name, changed[name]), gradients(True, True, True, True, at=20 + k)]
        yield Program(
            **context.place, groups=(values, other), options=dict(options), parameters=apart, operations=tuple(edits)
        )


def _switched_on(context: Context, values: dict[str, float], options) -> Iterator[Program]:
    """Whatever may be zero is zero at first, and is switched on between steps."""
    rule, loaded = context.loaded.rule, context.loaded
    may_vanish = [h.name for h in rule.hyperparameters if h.name in context.editable and (0 in h.trials or h.absent == 0)]
    off = {**values, **dict.fromkeys(may_vanish, 0.0)}
    if not may_vanish or not rule.constraint({**loaded.fixed, **off}, options):
        return
    operations: list = [Step((Filling(5),)), Step((Filling(6),))]
    now = dict(off)
    for k, name in enumerate(may_vanish):
        on = {**now, name: values[name] or _another(rule, name, 0.0)}
        if rule.constraint({**loaded.fixed, **on}, options):
            now = on
            operations += [Edit(0, name, on[name]), Step((Filling(7 + k),)), Step((Filling(27 + k),))]
    yield Program(
        **context.place, groups=(off,), options=dict(options), parameters=(Parameter((5,), 0, Filling(9)),),
        operations=tuple(operations),
    )


def _another(rule: UpdateRule, name: str, value: float) -> float:
    """A trial value of a hyperparameter that is not ``value``."""
    h = next(h for h in rule.hyperparameters if h.name == name)
    return next((x for x in (*h.trials, h.default) if x != value and h.contains(x)), value)


def measure_speed(context: Context, report: Report) -> dict[str, float]:
    """Our own time per step against a warm loop of the subject's steps on the same elements."""
    import time

    loaded, lanes = context.loaded, context.budget.lanes
    p = fill(Filling(11), (lanes,), DTYPES[context.dtype]).requires_grad_(True)
    p.grad = fill(Filling(70_001), (lanes,), DTYPES[context.dtype])
    optimizer = loaded.build([{"params": [p]}], _first_trials(context), {}, context.implementation)
    best = math.inf
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(20):
            optimizer.step()
        best = min(best, (time.perf_counter() - started) / 20)
    steps = report.element_steps / lanes
    ours = report.seconds.reference + report.seconds.generation
    return {
        "lanes": lanes,
        "subject_step": best,
        "own_step": ours / steps,
        "own_over_subject": ours / steps / best,
    }


def _first_trials(context: Context, number: int = 0) -> dict[str, float]:
    """A value for each hyperparameter the subject takes: its first trial, or a later one."""
    loaded = context.loaded
    trials = {h.name: h.trials or (h.default,) for h in loaded.rule.hyperparameters if h.name not in loaded.fixed}
    return {name: values[min(number, len(values) - 1)] for name, values in trials.items()}


@check(
    "rule.state",
    "After every step, every state variable that can be matched is what the rule says, and so is the step counter.",
    dtypes=FORMULA_DTYPES,
)
def state(context: Context) -> Report:
    """The same programs as rule.step, judging state instead of the parameter.

    A state that is wrong but not yet used (a maximum that is never stored, a buffer re-bound instead
    of written) shows here first. State variables are matched by torch's key and by shape; those that
    cannot be matched are carried by the reference and judged through the parameter.
    """
    if not context.loaded.rule.state:
        return Report().not_applicable("the rule keeps no state")
    report = bulk(context, "state", salt=2)
    if report.status == "passed" and not report.worst_quantity and not _sees_state(context):
        return report.not_applicable("none of the rule's state variables can be seen in the optimizer's state")
    return report


def _sees_state(context: Context) -> bool:
    program = Program(
        **context.place,
        groups=(_first_trials(context),),
        options={},
        operations=(Step((Filling(1),)),),
    )
    from verify.oracle import LockStep

    run = LockStep(context.loaded, program)
    run.run()
    return bool(run.tracks and run.tracks[0].seen)


@check(
    "rule.groups",
    "With several parameters and groups, each follows its own hyperparameters, gradient and count, "
    "and an edit takes effect at the next step.",
)
def groups(context: Context) -> Report:
    """One to three parameters in one or two groups that differ in every hyperparameter.

    Gradients are missing, arrive late, stay away for a while or are written into one buffer again and
    again; hyperparameters are edited between steps; step() is called twice on one gradient.

    Bugs of this kind: one step counter for all parameters, or advanced inside the parameter loop; the
    last group's hyperparameters used for all; a saved gradient that is not a copy; decay added into
    p.grad; a variable of the first loop used in the second.
    """
    report = Report()
    for program in scenarios(context):
        outcome = context.run(program)
        report.record(outcome)
        if outcome.failed:
            return report.fail(shrink(context, program, outcome))
    strategy = programs(context.loaded.rule, editable=context.editable, **context.strategy_arguments)
    search(context, report, strategy, 2 * context.budget.programs, salt=3)
    return report


@check(
    "rule.arguments",
    "Every constructor argument that chooses numbers changes something.",
    dtypes=("float64", "float32"),
    implementations=("for-loop", "foreach", "fused"),
)
def arguments(context: Context) -> Report:
    """Two runs that differ in one argument alone must not end in the same bits.

    Each hyperparameter and option of the rule is changed while the others are such that the rule
    itself notices; then each further argument with a boolean or float default is changed. Arguments
    that choose an implementation (foreach, fused, ...) are meant to change nothing and are left out.

    Bugs of this kind: maximize, amsgrad or weight_decay accepted, validated, stored and never used.
    """
    report = Report()
    loaded = context.loaded
    for name in (*loaded.hyperparameters, *loaded.options):
        verdict = _argument_matters(context, report, name)
        if verdict is False:
            called = loaded.hyperparameters[name].name if name in loaded.hyperparameters else loaded.options[name]
            return report.fail(
                Finding(f"the argument {called!r} changes nothing: runs that differ in {name} alone end in the same bits, "
                        "where the rule gives different parameters")
            )
    for name, default in loaded.unmatched.items():
        changed = _changed_default(name, default)
        if changed is not None and _extra_matters(context, report, name, changed) is False:
            return report.fail(
                Finding(f"the argument {name!r} changes nothing: {name}={default!r} and {name}={changed!r} end in the same "
                        "bits for every other hyperparameter tried")
            )
    return report


_HOW_NOT_WHAT = (
    "foreach", "fused", "differentiable", "capturable", "compile", "verbose", "debug", "kernel", "triton",
    "cuda", "backend", "device", "jit", "chunk", "bucket", "cache", "memory", "check", "strict", "name",
    "upcast", "promote", "precision", "dtype", "pin", "async", "closure", "set_to_none", "workers",
)


def _changed_default(name: str, default) -> object | None:
    if any(word in name.lower() for word in _HOW_NOT_WHAT) or default is None:
        return None
    if isinstance(default, bool):
        return not default
    if isinstance(default, float):
        return default / 2 if default else 0.1
    return None


def _argument_program(context: Context, values, options) -> Program:
    steps = tuple(Step((Filling(3000 * k + 7),)) for k in range(8))
    return Program(
        **context.place, groups=(values,), options=options,
        parameters=(Parameter((256,), 0, Filling(50_021)),), operations=steps,
    )


def _settings_to_try(context: Context) -> list[tuple[dict, dict]]:
    """Settings in which nothing is switched off: every hyperparameter at its first trials, all options."""
    rule, loaded = context.loaded.rule, context.loaded
    found = []
    for index in range(2):
        values = {}
        for h in rule.hyperparameters:
            if h.name not in loaded.fixed:
                active = [x for x in h.trials if x] or [h.default]
                values[h.name] = active[min(index, len(active) - 1)]
        for options in rule.choices():
            settable = all(options[o.name] == o.default for o in rule.options if o.name not in loaded.options)
            if settable and rule.constraint({**rule.defaults, **loaded.fixed, **values}, options):
                found.append((values, dict(options)))
    return found[:24]


def _final_bits(context: Context, report: Report, program: Program, extra: dict | None = None):
    loaded = context.loaded
    if extra:
        subject = replace(loaded.subject, arguments={**loaded.subject.arguments, **extra})
        loaded = type(loaded)(subject, loaded.rule, loaded.factory)
    from verify.oracle import LockStep

    run = LockStep(loaded, program, judge="state", in_subject=context.in_subject)
    run._compare = lambda operation: None  # type: ignore[method-assign]
    outcome = run.run()
    report.record(outcome)
    if outcome.error or not run.tracks:
        return None
    state = run._read_state(run.tracks[0])
    return as_float64(run.tracks[0].tensor).tobytes(), {k: np.asarray(x).tobytes() for k, x in state.items()}


def _rule_notices(context: Context, one: Program, two: Program, seen: set[str]) -> str:
    """Where the rule itself ends the two programs in numbers that this dtype tells apart.

    ``"p"`` for the parameter, ``"state"`` for state that can be ``seen`` in the subject, else nothing.
    """
    ends = []
    for program in (one, two):
        walk = Walk(context.loaded.rule, program.options, context.dtype)
        p = as_float64(fill(program.parameters[0].initial, program.parameters[0].shape, DTYPES[context.dtype]))
        values = {**context.loaded.fixed, **program.groups[0]}
        for op in program.operations:
            assert isinstance(op, Step) and op.gradients[0] is not None
            g = as_float64(fill(op.gradients[0], program.parameters[0].shape, DTYPES[context.dtype]))
            p = walk.step(p, g, values)
        ends.append((p, walk.allowance, walk.state))
    (p, room, state), (q, more, other) = ends
    if np.any(np.abs(p - q) > 8 * (room + more)):
        return "p"
    unit = PRECISIONS[context.dtype].unit
    differs = any(
        np.any(np.abs(np.subtract(state[k], other[k])) > 1e3 * unit * (np.abs(state[k]) + np.abs(other[k])))
        for k in state.keys() & other.keys() & seen
    )
    return "state" if differs else ""


def _argument_matters(context: Context, report: Report, name: str) -> bool | None:
    """False when no setting shows a difference; None when the rule itself shows none either."""
    loaded = context.loaded
    hyper = {h.name: h for h in loaded.rule.hyperparameters}
    tried = False
    for values, options in _settings_to_try(context):
        if name in hyper:
            h = hyper[name]
            pool = [x for x in (*h.trials, h.default, values[name] / 2, values[name] / 4) if x != values[name] and h.contains(x)]
            other = (
                {**values, name: int(pool[0]) if h.integer else pool[0]} if pool else None, options
            )
        else:
            other = values, {**options, name: not options[name]}
        if other[0] is None:
            continue
        full = {**loaded.rule.defaults, **loaded.fixed, **other[0]}
        if not loaded.rule.constraint(full, loaded.rule.step(other[1]).options):
            continue
        one, two = (_argument_program(context, v, o) for v, o in ((values, options), other))
        bits = [_final_bits(context, report, p) for p in (one, two)]
        if bits[0] is None or bits[1] is None:
            continue
        where = _rule_notices(context, one, two, set(bits[0][1]))
        if not where:
            continue
        tried = True
        if bits[0][0] != bits[1][0] or (where == "state" and _differ(*bits)):
            return True
    return False if tried else None


def _differ(one: tuple[bytes, dict[str, bytes]], two: tuple[bytes, dict[str, bytes]]) -> bool:
    """Whether parameter or common state differ; a buffer that is only there is no effect."""
    return one[0] != two[0] or any(one[1][k] != two[1][k] for k in one[1].keys() & two[1].keys())


def _extra_matters(context: Context, report: Report, name: str, changed) -> bool | None:
    tried = False
    for values, options in _settings_to_try(context)[:12]:
        program = _argument_program(context, values, options)
        plain, other = _final_bits(context, report, program), _final_bits(context, report, program, {name: changed})
        if plain is None or other is None:
            continue
        tried = True
        if _differ(plain, other):
            return True
    return False if tried else None


@check(
    "rule.counter",
    "Step counts stay right across 255 to 258 and 2047 to 2050.",
)
def counter(context: Context) -> Report:
    """A state is saved, its step counters are set to 254 or 2046, and it is loaded back; then four steps.

    A counter kept in bfloat16 stands still at 256, in float16 at 2048, in uint8 it wraps. Where the
    state holds no counter that can be set, the steps are really taken (up to 258 of them).
    """
    report = Report()
    rule = context.loaded.rule
    values = _first_trials(context)
    # with a slow correction step 256 still differs from step 257
    values |= {h.name: 0.999 for h in rule.hyperparameters if h.name in values and h.name.startswith("beta")}
    shape = (64,)
    gradients = [Step((Filling(977 * k + 5),)) for k in range(6)]
    place = dict(groups=(values,), parameters=(Parameter(shape, 0, Filling(301)),))
    for start in (254, 2046):
        program = Program(**context.place, **place, operations=(gradients[0], SetCount(start), *gradients[1:5]))
        if not _count_program(context, report, program):
            return report
    if report.status == "not-applicable":
        report.status, reason, report.reason = "passed", report.reason, ""
        report.notes.append(f"258 steps were really taken: {reason}")
        many = tuple(Step((Filling(31 * k),)) for k in range(258))
        _count_program(context, report, Program(**context.place, **place, operations=many))
    return report


def _count_program(context: Context, report: Report, program: Program) -> bool:
    outcome = context.run(program)
    report.record(outcome)
    if outcome.unsupported:
        report.not_applicable(outcome.unsupported)
    elif outcome.failed:
        report.fail(shrink(context, program, outcome))
        return False
    return True


@check(
    "rule.tails",
    "Every element of a tensor of any size is updated, also those that fill no whole vector register.",
)
def tails(context: Context) -> Report:
    """Sizes around 1, 8, 16, 32, 64 and 128, and 100,003, where vector loops end in a remainder."""
    report = Report()
    values = _first_trials(context)
    sizes = [*TAIL_SIZES, 100_003]
    for size in sizes:
        program = Program(
            **context.place,
            groups=(values,),
            parameters=(Parameter((size,), 0, Filling(size)),),
            operations=tuple(Step((Filling(1000 + 13 * size + k),)) for k in range(2 if size < 1000 else 1)),
        )
        outcome = context.run(program)
        report.record(outcome)
        if outcome.failed:
            return report.fail(shrink(context, program, outcome))
    return report


LAYOUT_CASES = (
    ((5, 7), "transposed", False),
    ((5, 7), "transposed_gradient", False),
    ((6, 9), "strided", False),
    ((33,), "strided", False),
    ((2, 3, 4, 5), "channels_last", False),
    ((4, 5), "contiguous", True),
    ((4, 5), "transposed", True),
    ((), "contiguous", False),
    ((), "contiguous", True),
    ((0,), "contiguous", False),
    ((3, 0), "contiguous", False),
    ((1, 1, 1), "contiguous", False),
)


@check(
    "rule.layouts",
    "The memory layout of parameter and gradient changes nothing; 0-d and empty tensors are fine.",
)
def layouts(context: Context) -> Report:
    """Transposed, strided, channels-last parameters; gradients with other strides than their parameter,
    or expanded from one cell; 0-d and empty tensors, alone and beside an ordinary one.

    Bugs of this kind: a kernel that walks storage linearly, p.view(-1) of a copy, state[:] on a 0-d tensor.
    """
    report = Report()
    values = _first_trials(context)
    for shape, layout, expanded in LAYOUT_CASES:
        for beside in (False, True):
            parameters = [Parameter(shape, 0, Filling(len(shape) + 40), layout)]
            gradients = [[Filling(500 + 77 * k, expanded=expanded)] for k in range(2)]
            if beside:
                parameters.append(Parameter((4,), 0, Filling(90)))
                for k, g in enumerate(gradients):
                    g.append(Filling(900 + k))
            program = Program(
                **context.place, groups=(values,), parameters=tuple(parameters),
                operations=tuple(Step(tuple(g)) for g in gradients),
            )
            outcome = context.run(program)
            report.record(outcome)
            if outcome.failed:
                return report.fail(shrink(context, program, outcome))
    return report


@check(
    "rule.nonfinite",
    "A nan or an infinity in one element of a gradient stays in that element.",
)
def nonfinite(context: Context) -> Report:
    """One element of the gradient is nan or infinite; all others must end as if it were not there.

    Judged by the same oracle: every other element, at this step and the next, is inside its allowance.
    Bugs of this kind: a global norm or mean, a whole tensor skipped because one element is bad.
    """
    report = Report()
    values = _first_trials(context)
    width = 2 if DTYPES[context.dtype].is_complex else 1
    for bad in (math.nan, math.inf, -math.inf):
        first = as_float64(fill(Filling(4001), (37,), DTYPES[context.dtype]))
        first[5 * width] = bad
        program = Program(
            **context.place,
            groups=(values,),
            parameters=(Parameter((37,), 0, Filling(801)),),
            operations=(
                Step((Filling(values=tuple(first)),)),
                Step((Filling(2203),)),
            ),
        )
        # what becomes of the bad element itself is the subject's own affair
        bad_element = tuple(range(5 * width, 6 * width))
        outcome = context.run(program, ignore=bad_element)
        report.record(outcome)
        if outcome.failed:
            return report.fail(shrink(context, program, outcome, ignore=bad_element))
    return report
