"""Family ``rule``: the numbers of single steps."""

from __future__ import annotations

import math
import time

from verify.checks import FORMULA_DTYPES, check
from verify.checks.context import Context, Report, search, try_all
from verify.checks.programs import first_trials, sweep
from verify.lanes import DTYPES, fill
from verify.oracle import LockStep
from verify.outcome import Outcome
from verify.program import Filling, Program, Step
from verify.shaped import fitting, lanes_for
from verify.sparse import in_form
from verify.strategies import bulk_programs


def bulk(context: Context, part: str, salt: int) -> Report:
    """Every trial value of every hyperparameter once, then a search among drawn programs."""
    budget, report = context.budget, Report()

    def judge(program: Program) -> Outcome:
        return context.run(program, part)

    if try_all(context, report, sweep(context), judge):
        return report
    strategy = bulk_programs(context.loaded.rule, lanes=budget.lanes, steps=budget.steps, **context.strategy_arguments)
    # state is judged by groups.hyperparameters as well
    most = budget.programs if part == "p" else budget.programs // 2
    search(context, report, strategy, most, judge=judge, salt=salt)
    return report


@check(
    "rule.step",
    "After every step, every element of the parameter is where the rule puts it.",
    dtypes=FORMULA_DTYPES,
    needs=("rule",),
)
def step(context: Context) -> Report:
    """Certifies the formula.

    One parameter with thousands of elements filled with hostile numbers (zeros of both signs, ties,
    subnormals, every binade, p and g of equal and of wildly different size), hyperparameters that are
    large enough for every mistake to show, all options in turn, up to 72 steps. Before each step the reference
    starts from the subject's own parameter and state, so each step is judged alone; whatever is outside
    its allowance in bulk is confirmed in ball arithmetic.

    Bugs of this kind: epsilon inside the root or divided by the bias correction, decay after the step
    or without the learning rate, bias correction missing or twice, squares, signs, wrong betas.
    """
    report = bulk(context, "p", salt=1)
    if context.dtype == "float32" and context.implementation == "for-loop" and report.status == "passed":
        report.speed = measure_speed(context, report)
    return report


def measure_speed(context: Context, report: Report) -> dict[str, float]:
    """Our own time per step against a warm loop of the subject's steps on the same elements."""
    loaded = context.loaded
    lanes = lanes_for(loaded.rule, context.budget.lanes)
    shape = fitting((lanes,), loaded.rule.dimensions or 1)
    p = fill(Filling(11), shape, DTYPES[context.dtype]).requires_grad_(True)
    gradient = fill(Filling(70_001), shape, DTYPES[context.dtype])
    p.grad = in_form(gradient, "rows") if loaded.sparse_alone else gradient
    optimizer = loaded.build([{"params": [p]}], first_trials(context), {}, context.implementation)
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


@check(
    "rule.state",
    "After every step, every state variable that can be matched is what the rule says, and so is the step counter.",
    dtypes=FORMULA_DTYPES,
    needs=("rule",),
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
    program = context.program(
        groups=(first_trials(context),),
        options={},
        operations=(Step((Filling(1),)),),
    )
    run = LockStep(context.loaded, program)
    run.run()
    return bool(run.tracks and run.tracks[0].seen)
