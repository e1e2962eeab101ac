"""Family ``contract``: how an optimizer behaves towards the program it lives in."""

from __future__ import annotations

from verify.checks import check
from verify.checks.context import Context, Finding, Report
from verify.checks.programs import first_trials
from verify.isolation import Guard
from verify.oracle import run_program
from verify.program import Filling, Parameter, Repeat, Step


@check(
    "contract.side_effects",
    "Importing, building and stepping changes no setting of torch, draws no random numbers and prints nothing.",
    dtypes=("float32",),
)
def side_effects(context: Context) -> Report:
    """Torch's default dtype, grad mode, thread count, random state and own functions are compared
    before and after; what was printed to stdout is caught.

    Every other cell is guarded too: what it finds changed is put back and reported there.
    """
    report = Report()
    program = context.program(
        groups=(first_trials(context),),
        parameters=(Parameter((8,), 0, Filling(3)),),
        operations=(Step((Filling(100),)), Step((Filling(200),)), Repeat()),
    )
    with Guard() as guard:
        report.record(run_program(context.loaded, program, judge="p", in_subject=context.in_subject))
    for change in guard.changes:
        return report.fail(Finding(change, program))
    return report
