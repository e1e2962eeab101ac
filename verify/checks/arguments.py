"""Check ``rule.arguments``: every constructor argument has an effect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reference.rounding import PRECISIONS
from reference.walk import Walk
from verify.checks import check
from verify.checks.context import Context, Finding, Report, shrink
from verify.checks.programs import choices_of
from verify.lanes import DTYPES, as_float64, fill, real_shape
from verify.matrix_precision import matrix_precision
from verify.oracle import LockStep
from verify.program import Filling, Parameter, Program, Step
from verify.shaped import lanes_for


@check(
    "rule.arguments",
    "Every constructor argument that chooses numbers changes something.",
    dtypes=("float64", "float32"),
    implementations=("for-loop", "foreach", "fused"),
    needs=("rule",),
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
        verdict, shown = _argument_matters(context, report, name)
        if verdict is False:
            return report.fail(_ignored(context, name, shown))
    for name, default in loaded.unmatched.items():
        changed = _changed_default(name, default)
        if changed is not None and _extra_matters(context, report, name, changed) is False:
            return report.fail(
                Finding(
                    f"the argument {name!r} changes nothing: {name}={default!r} and {name}={changed!r} end in the same "
                    "bits for every other hyperparameter tried"
                )
            )
    return report


_HOW_NOT_WHAT = (
    "foreach",
    "fused",
    "differentiable",
    "capturable",
    "compile",
    "verbose",
    "debug",
    "kernel",
    "triton",
    "cuda",
    "backend",
    "device",
    "jit",
    "chunk",
    "bucket",
    "cache",
    "memory",
    "check",
    "strict",
    "name",
    "upcast",
    "promote",
    "precision",
    "dtype",
    "pin",
    "async",
    "closure",
    "set_to_none",
    "workers",
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
    return context.program(
        groups=(values,),
        options=options,
        parameters=(Parameter((lanes_for(context.loaded.rule, 256),), 0, Filling(50_021)),),
        operations=steps,
    )


def _settings_to_try(context: Context) -> list[tuple[dict, dict]]:
    """Settings in which something happens: nothing switched off, then one hyperparameter at zero each."""
    rule, loaded = context.loaded.rule, context.loaded
    active = {
        h.name: [x for x in h.trials if x] or [h.default] for h in rule.hyperparameters if h.name not in loaded.fixed
    }
    values = [{name: xs[min(index, len(xs) - 1)] for name, xs in active.items()} for index in range(2)]
    values += [{**values[0], h.name: 0.0} for h in rule.hyperparameters if h.name in active and 0 in h.trials]
    return [
        (v, dict(options))
        for v in values
        for options in choices_of(context)
        if rule.constraint({**rule.defaults, **loaded.fixed, **v}, options)
    ]


def _final_bits(context: Context, report: Report, program: Program, extra: dict | None = None):
    loaded = context.loaded
    if extra:
        subject = replace(loaded.subject, arguments={**loaded.subject.arguments, **extra})
        loaded = type(loaded)(subject, loaded.rule, loaded.factory)
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
        coarse = matrix_precision(context.loaded, program) if context.loaded.rule.has_matrices else None
        walk = Walk(context.loaded.rule, program.options, context.dtype, coarse.name if coarse else "")
        initial = fill(program.parameters[0].initial, program.parameters[0].shape, DTYPES[context.dtype])
        shape = real_shape(initial)
        p = as_float64(initial).reshape(shape)
        values = {**context.loaded.fixed, **program.groups[0]}
        for op in program.operations:
            assert isinstance(op, Step)
            assert op.gradients[0] is not None
            g = as_float64(fill(op.gradients[0], program.parameters[0].shape, DTYPES[context.dtype]))
            p = walk.step(p, g.reshape(shape), values)
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


def _argument_matters(context: Context, report: Report, name: str) -> tuple[bool | None, tuple[Program, ...]]:
    """False when the rule gives other numbers and the subject does not; None when the rule does not either.

    With it, the two programs that were compared last.
    """
    loaded = context.loaded
    hyper = {h.name: h for h in loaded.rule.hyperparameters}
    shown: tuple[Program, ...] = ()
    for values, options in _settings_to_try(context):
        if name in hyper:
            h = hyper[name]
            pool = [
                x
                for x in (*h.trials, h.default, values[name] / 2, values[name] / 4)
                if x != values[name] and h.contains(x)
            ]
            other = ({**values, name: int(pool[0]) if h.integer else pool[0]} if pool else None, options)
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
        shown = one, two
        if where == "p":
            return bits[0][0] != bits[1][0], shown
        if _differ(*bits):
            return True, shown
    return (False if shown else None), shown


def _ignored(context: Context, name: str, shown: tuple[Program, ...]) -> Finding:
    """The finding, with that one of the two programs in which the subject is not where the rule is."""
    loaded = context.loaded
    called = loaded.hyperparameters[name].name if name in loaded.hyperparameters else loaded.options[name]
    message = (
        f"the argument {called!r} changes nothing: runs that differ in {name} alone end in the same bits, "
        "where the rule gives different numbers"
    )
    for program in shown:
        outcome = context.run(program)
        if outcome.failed:
            found = shrink(context, program, outcome, context.run)
            return replace(found, message=f"{message}\n{found.message}")
    return Finding(message)


def _differ(one: tuple[bytes, dict[str, bytes]], two: tuple[bytes, dict[str, bytes]]) -> bool:
    """Whether parameter or common state differ; a buffer that is only there is no effect."""
    return one[0] != two[0] or any(one[1][k] != two[1][k] for k in one[1].keys() & two[1].keys())


def _extra_matters(context: Context, report: Report, name: str, changed) -> bool | None:
    """Whether a further argument changes anything, alone or together with a further switch."""
    switches = [n for n, default in context.loaded.unmatched.items() if isinstance(default, bool) and n != name]
    together: list[dict] = [{}, *({n: not context.loaded.unmatched[n]} for n in switches)]
    tried = False
    for others in together:
        for values, options in _settings_to_try(context)[: 4 if others else 12]:
            program = _argument_program(context, values, options)
            plain = _final_bits(context, report, program, others)
            other = _final_bits(context, report, program, {**others, name: changed})
            if plain is None or other is None:
                continue
            tried = True
            if _differ(plain, other):
                return True
    return False if tried else None
