"""Family ``contract``: how an optimizer behaves towards its caller and the program it lives in.

What is promised is in verify.promises, one function for each check; here they are tried on programs.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import torch

from verify.checks import check
from verify.checks.context import Context, Finding, Report
from verify.checks.programs import first_trials, settings
from verify.checks.promised import VALUES, few, few_undecayed, grouped, keep, register, rows, small, three_steps
from verify.driver import SubjectRaised, Unsupported, quiet
from verify.finding import message_for
from verify.isolation import Guard
from verify.oracle import run_program
from verify.outcome import Outcome
from verify.program import Filling, Parameter, Program, Repeat, Step
from verify.promise_case import case_for
from verify.promises import PROMISES
from verify.promises.case import build, fresh, give
from verify.subject import SUBJECT_ERRORS
from verify.traced import compiled_slack
from verify.trajectory import Refused

LOW_TOO = ("float32", "bfloat16")


@check(
    "contract.side_effects",
    "Importing, building and stepping changes no setting of torch, Python or numpy, draws no random numbers and prints "
    "nothing.",
    dtypes=("float32",),
)
def side_effects(context: Context) -> Report:
    """Torch's default dtype, grad mode, thread count, other settings and own functions, the random states of torch,
    Python and numpy, numpy's handling of errors, the warning filters, the garbage collector, the environment and the
    working directory are compared before and after; what was printed to stdout is caught. A warning in every step
    is a note.

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
    plainly = _plain_steps(context, program, report)
    for change in guard.changes or plainly:
        return report.fail(Finding(change, program))
    return report


def _plain_steps(context: Context, program: Program, report: Report) -> list[str]:
    """What building and three steps change outside the block that silences warnings and numpy's errors."""
    case = case_for(context.loaded, program)
    warned: list[set[str]] = []
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("always")
        with Guard() as guard, suppress(*SUBJECT_ERRORS):
            context.in_subject(True)
            params = fresh(case)
            optimizer = build(case, params)
            for k in range(3):
                give(case, params, k)
                before = len(caught)
                optimizer.step()
                warned.append({f"{w.category.__name__}: {w.message}" for w in caught[before:]})
        context.in_subject(False)
    for text in sorted(set.intersection(*warned)) if len(warned) == 3 else ():
        report.notes.append(f"it warns in every step: {' '.join(text.split())[:200]}")
    return guard.changes


register(
    "contract.construction",
    "The constructor takes parameters in every form that torch's takes, and refuses what torch's refuses.",
    small,
)
register("contract.validation", "Hyperparameters out of their domain, NaN and text are refused in words.", small)
register(
    "contract.closure",
    "step(closure) runs the closure once, with autograd on, before anything moves, uses its gradients and returns its "
    "loss; step() returns None.",
    needs=("closure",),
)
register("contract.grad_mode", "A step works in every grad mode, leaves the mode as it was, and keeps no graph.")
register("contract.hooks", "Hooks around step, state_dict and load_state_dict run, once each.", small)
register(
    "contract.gradients",
    "A step leaves every gradient as it is: the same tensor with the same numbers.",
    grouped,
    dtypes=LOW_TOO,
)
register("contract.parameters", "A step moves parameters in place, and the groups keep them.", dtypes=LOW_TOO)
register(
    "contract.state",
    "Tensors of the state require no grad and share memory with nothing.",
    dtypes=LOW_TOO,
)
register(
    "contract.sparse",
    "A sparse gradient does what the dense one does, or moves its own rows alone, or is refused in words.",
    rows,
    needs=("sparse",),
)
register("contract.repr", "repr and str name the class and the hyperparameters of every group.")
register("contract.zero_grad", "zero_grad() sets gradients to None, or to zero in place, in every group.", grouped)
register("contract.schedulers", "Every scheduler of torch can drive it, as if lr were written by hand.", few)
register(
    "contract.grad_scaler",
    "With torch's gradient scaler a step is what it is without, and a step with infinite gradients does nothing.",
)
register("contract.neighbours", "Two optimizers of the class do not influence each other.", few)
register("contract.lr_types", "An lr that is an int or a number of numpy does what the float does.", few)
register(
    "contract.tensor_lr",
    "An lr that is a tensor does what the float does, also when it is filled anew between steps, or is refused in words.",
    few,
    needs=("tensor_lr",),
)
register(
    "contract.memory",
    "A step holds no loss and no gradient, its tensors do not grow, and it reads no memory that was never written.",
    few_undecayed,
)


# -- compiled code ---------------------------------------------------------------------------


def _compilable(context: Context) -> Iterator[Program]:
    """One parameter; at quick, under all options together alone."""
    chosen = list(settings(context))
    for options, values in chosen[-1:] if context.budget.name == "quick" else [chosen[0], *chosen[1:][-1:]]:
        yield three_steps(context, [values], options, (Parameter((3, 2), 0, Filling(values=VALUES)),))


def _compiled(context: Context, program: Program) -> Outcome:
    """The outcome of one program. The compiler patches torch when it is first used; that is undone."""
    outcome = Outcome()
    with quiet(), Guard():
        torch.compile(lambda x: x + 1, backend="eager")(torch.zeros(1))
        with Guard() as guard:
            try:
                outcome.broken = _broken_when_compiled(context, program)
            except SubjectRaised as error:
                if _says_no(error.__cause__):
                    outcome.unsupported = str(error)
                else:
                    outcome.error = str(error)
            except Unsupported as reason:
                outcome.broken, outcome.unsupported = None, str(reason)
            except Refused as words:
                outcome.refused = str(words)
        if guard.changes and not outcome.failed:
            outcome.broken = f"when step is compiled, {guard.changes[0]}"
    return outcome


def _broken_when_compiled(context: Context, program: Program) -> str | None:
    """What compiling breaks. Tracing is slow: where the reference can judge, it is done once if all is well."""
    promise = PROMISES["contract.compile"]
    slack = None
    if context.loaded.rule.known:
        with suppress(SubjectRaised):  # it will raise again
            slack = compiled_slack(context.loaded, program)
            if slack is None:
                return None
    broken = keep(context, program, promise, clocked=False)
    if broken is None:
        return None
    if not context.loaded.rule.known:
        compiled_slack(context.loaded, program)  # says why it cannot be judged
    told = None if slack is None else keep(context, program, promise, clocked=False, slack=slack)
    return told or broken


def _says_no(error: BaseException | None) -> bool:
    """Whether an exception is the subject's own, and says that it cannot be compiled."""
    ours = not type(error).__module__.startswith("torch.")
    return ours and "compil" in str(error).lower()


def compiling(context: Context) -> Report:
    report, reasons = Report(), []
    for program in _compilable(context):
        outcome = _compiled(context, program)
        report.record(outcome)
        reasons.append(outcome.unsupported or outcome.refused)
        if outcome.failed:
            # it takes too long to be shrunk
            message = message_for(context.loaded, program, outcome)
            return report.fail(Finding(message, program, error=outcome.error, broken=outcome.broken))
    if reasons and all(reasons):
        report.not_applicable(str(reasons[0]))
    return report


compiling.__doc__ = PROMISES["contract.compile"].__doc__
check(
    "contract.compile",
    "Compiled, step does what it does.",
    dtypes=("float32",),
    implementations=("for-loop", "foreach"),
    needs=("compile",),
    judge=_compiled,
)(compiling)
