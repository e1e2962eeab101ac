"""Family ``precision``: rounding, range and state dtypes."""

from __future__ import annotations

import torch

from reference.rounding import PRECISIONS
from verify.checks import LOW_DTYPES, check
from verify.checks.context import Context, Finding, Report
from verify.checks.programs import first_trials
from verify.checks.rule import bulk
from verify.lanes import dtype_name
from verify.oracle import LockStep
from verify.program import Filling, Parameter, Step


@check(
    "precision.step",
    "In a low-precision dtype the parameter is as near to the exact value as that dtype allows.",
    dtypes=LOW_DTYPES,
    needs=("rule",),
)
def step(context: Context) -> Report:
    """The programs of rule.step in bfloat16 and float16.

    Half of all mistakes in a formula hide inside bfloat16's rounding: these cells certify rounding and
    range, not the formula. The formula is certified by the float64 and float32 cells of rule.step.
    """
    return bulk(context, "p", salt=4)


@check(
    "precision.state",
    "In a low-precision dtype every state variable is as near to the exact value as that dtype allows.",
    dtypes=LOW_DTYPES,
    needs=("rule",),
)
def state(context: Context) -> Report:
    """The programs of rule.state in bfloat16 and float16."""
    if not context.loaded.rule.state:
        return Report().not_applicable("the rule keeps no state")
    return bulk(context, "state", salt=5)


@check(
    "precision.state_dtype",
    "No state is kept in a lower dtype than its parameter's, unless that is declared.",
)
def state_dtype(context: Context) -> Report:
    """After two steps every floating-point state tensor of the parameter's shape is looked at.

    A second moment in float16 flushes small gradients to zero and the next step explodes. An optimizer
    that means it declares it (low_precision_state, or --low-precision-state NAME).
    """
    report = Report()
    program = context.program(
        groups=(first_trials(context),),
        parameters=(Parameter((8,), 0, Filling(3)),),
        operations=(Step((Filling(100),)), Step((Filling(200),))),
    )
    run = LockStep(context.loaded, program, judge="p", in_subject=context.in_subject)
    report.record(run.run())
    found = low_state(run)
    if found is not None:
        return report.fail(Finding(low_state_message(*found, context.dtype), program, low_state=found[0]))
    return report


def low_state(run: LockStep) -> tuple[str, str] | None:
    """Key and dtype of a state tensor of the first parameter that is kept in a lower dtype, undeclared."""
    track, subject = run.tracks[0], run.loaded.subject
    own = run.loaded.own_state(run.optimizer, track.tensor)
    declared = set(subject.low_precision_state)
    declared |= {subject.state_keys[name] for name in declared if name in subject.state_keys}
    wanted = PRECISIONS[run.program.dtype]
    for key, value in own.items():
        if not isinstance(value, torch.Tensor) or value.shape != track.tensor.shape or key in declared:
            continue
        found = PRECISIONS.get(dtype_name(value.dtype))
        lower = found is None or found.digits < wanted.digits or found.largest < wanted.largest
        if lower and (value.is_floating_point() or value.is_complex()):
            return str(key), dtype_name(value.dtype)
    return None


def low_state_message(key: str, found: str, dtype: str) -> str:
    return (
        f"state {key!r} is kept in {found} for a {dtype} parameter; "
        f"if that is meant, declare it with --low-precision-state {key}"
    )
