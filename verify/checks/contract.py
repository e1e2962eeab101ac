"""Family ``contract``: how an optimizer behaves towards its caller and the program it lives in.

What is promised is in verify.promises, one function for each check; here they are tried on programs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from verify.checks import check
from verify.checks.context import Context, Finding, Report
from verify.checks.judged import judged
from verify.checks.programs import differing_groups, first_trials, settings
from verify.driver import SubjectRaised, Unsupported, quiet
from verify.errors import one_line
from verify.finding import message_for
from verify.isolation import Guard
from verify.oracle import run_program
from verify.outcome import Outcome
from verify.program import Filling, Parameter, Program, Repeat, Step
from verify.promise_case import case_for
from verify.promises import PROMISES
from verify.promises.case import Broken, Case, NotOffered, build, fresh, give
from verify.subject import SUBJECT_ERRORS
from verify.traced import compiled_slack
from verify.trajectory import Refused

# differentiable steps keep a graph by design; what is compiled has a check of its own
PLAIN = ("for-loop", "foreach", "fused", "capturable")
Promise = Callable[[Case], None]
LOW_TOO = ("float32", "bfloat16")
VALUES = (1.0, -0.5, 2.0, 0.25, -1.5, 0.75)
GRADIENTS = ((0.5, 1.0, -1.0, 2.0, 0.25, -0.75), (-0.25, 0.5, 1.5, -1.0, 1.0, 0.5), (1.0, -2.0, 0.5, 0.25, -0.5, 1.0))


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


# -- what promises are tried on --------------------------------------------------------------


def _program(context: Context, groups: list, options: Any, parameters: tuple[Parameter, ...], *absent: int) -> Program:
    """Three steps; in the second, some parameters have no gradient."""
    steps = tuple(
        Step(tuple(None if k == 1 and i in absent else Filling(values=row) for i in range(len(parameters))))
        for k, row in enumerate(GRADIENTS)
    )
    return context.program(groups=tuple(groups), options=dict(options), parameters=parameters, operations=steps)


SHAPES = (((3,), "contiguous"), ((3, 2), "transposed"), ((), "contiguous"))


def _ordinary(context: Context) -> Iterator[Program]:
    """Three parameters in one group, under every choice of options."""
    for options, values in settings(context):
        parameters = tuple(Parameter(shape, 0, Filling(values=VALUES), layout) for shape, layout in SHAPES)
        yield _program(context, [values], options, parameters)


def _grouped(context: Context) -> Iterator[Program]:
    """Three parameters in two groups that differ; one of them has no gradient in the second step."""
    for options, values in settings(context):
        groups = differing_groups(context, values, options)[:2]
        parameters = tuple(
            Parameter(shape, min(i, len(groups) - 1), Filling(values=VALUES), layout)
            for i, (shape, layout) in enumerate(SHAPES)
        )
        yield _program(context, groups, options, parameters, 2)


def _small(context: Context) -> Iterator[Program]:
    """Two parameters in one group, under the default options alone."""
    for options, values in list(settings(context))[:1]:
        parameters = (Parameter((3,), 0, Filling(values=VALUES)), Parameter((2,), 0, Filling(values=VALUES)))
        yield _program(context, [values], options, parameters)


def _rows(context: Context) -> Iterator[Program]:
    """Two matrices, and hyperparameters with which the arithmetic is exact where it can be."""
    for options, values in settings(context):
        exact = {**values, **{k: 0.5 for k, v in values.items() if k == "lr" or v == 0.9}}
        if not context.loaded.rule.constraint({**context.loaded.fixed, **exact}, options):
            exact = values
        decay = [{**exact, "weight_decay": 0.0}] if "weight_decay" in exact else []
        parameters = (Parameter((3, 2), 0, Filling(values=VALUES)), Parameter((3,), 0, Filling(values=VALUES)))
        for chosen in (exact, *decay):
            yield _program(context, [chosen], options, parameters)


def _few(context: Context) -> Iterator[Program]:
    """The default options, and all of them together, with two parameters."""
    chosen = list(settings(context))
    for options, values in [chosen[0], *chosen[1:][-1:]]:
        parameters = (Parameter((3,), 0, Filling(values=VALUES)), Parameter((2, 2), 0, Filling(values=VALUES)))
        yield _program(context, [values], options, parameters)


def _compilable(context: Context) -> Iterator[Program]:
    """One parameter; at quick, under all options together alone."""
    chosen = list(settings(context))
    for options, values in chosen[-1:] if context.budget.name == "quick" else [chosen[0], *chosen[1:][-1:]]:
        yield _program(context, [values], options, (Parameter((3, 2), 0, Filling(values=VALUES)),))


# -- trying them -----------------------------------------------------------------------------


def keep(context: Context, program: Program, promise: Promise, *, clocked: bool = True, **facts: Any) -> str | None:
    """Whether a promise is kept: None, or the sentence that says what is broken.

    Args:
        clocked: whether the watchdog's clock runs; compiling may take longer than a call may.
        facts: fields of the case.

    Raises:
        SubjectRaised: the subject raised where it had no reason to; Refused: its constructor refuses the
            values of the program; Unsupported: it does not have what the promise is about.
    """

    def factory(*args: Any, **arguments: Any) -> Any:
        context.in_subject(clocked)  # every construction starts the watchdog's clock anew
        return context.loaded.factory(*args, **arguments)

    case = replace(case_for(context.loaded, program, factory), **facts)
    built = False
    try:
        build(case, fresh(case))
        built = True
        promise(case)
    except Broken as sentence:
        return str(sentence)
    except NotOffered as reason:
        raise Unsupported(str(reason)) from None
    except SUBJECT_ERRORS as error:
        if isinstance(error, ValueError) and not built:
            raise Refused(one_line(error)) from None
        raise SubjectRaised(one_line(error)) from error
    finally:
        context.in_subject(False)
    return None


def _register(id: str, claim: str, programs: Callable[[Context], Iterator[Program]] = _ordinary, **facts: Any) -> None:
    promise = PROMISES[id]

    def judge(context: Context, program: Program) -> str | None:
        return keep(context, program, promise)

    judge.__doc__ = promise.__doc__
    judged(id, claim, programs, implementations=PLAIN, **{"dtypes": ("float32",), **facts})(judge)


_register(
    "contract.construction",
    "The constructor takes parameters in every form that torch's takes, and refuses what torch's refuses.",
    _small,
)
_register("contract.validation", "Hyperparameters out of their domain, NaN and text are refused in words.", _small)
_register(
    "contract.closure",
    "step(closure) runs the closure once, with autograd on, before anything moves, uses its gradients and returns its "
    "loss; step() returns None.",
    needs=("closure",),
)
_register("contract.grad_mode", "A step works in every grad mode, leaves the mode as it was, and keeps no graph.")
_register("contract.hooks", "Hooks around step, state_dict and load_state_dict run, once each.", _small)
_register(
    "contract.gradients",
    "A step leaves every gradient as it is: the same tensor with the same numbers.",
    _grouped,
    dtypes=LOW_TOO,
)
_register("contract.parameters", "A step moves parameters in place, and the groups keep them.", dtypes=LOW_TOO)
_register(
    "contract.state",
    "Tensors of the state require no grad and share memory with nothing.",
    dtypes=LOW_TOO,
)
_register(
    "contract.sparse",
    "A sparse gradient does what the dense one does, or moves its own rows alone, or is refused in words.",
    _rows,
    needs=("sparse",),
)
_register("contract.repr", "repr and str name the class and the hyperparameters of every group.")
_register("contract.zero_grad", "zero_grad() sets gradients to None, or to zero in place, in every group.", _grouped)
_register("contract.schedulers", "Every scheduler of torch can drive it, as if lr were written by hand.", _few)
_register(
    "contract.grad_scaler",
    "With torch's gradient scaler a step is what it is without, and a step with infinite gradients does nothing.",
)
_register("contract.neighbours", "Two optimizers of the class do not influence each other.", _few)
_register("contract.lr_types", "An lr that is an int or a number of numpy does what the float does.", _few)
_register(
    "contract.tensor_lr",
    "An lr that is a tensor does what the float does, also when it is filled anew between steps, or is refused in words.",
    _few,
    needs=("tensor_lr",),
)
_register(
    "contract.memory",
    "A step holds no loss and no gradient, its tensors do not grow, and it reads no memory that was never written.",
    _few,
)


# -- compiled code ---------------------------------------------------------------------------


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
