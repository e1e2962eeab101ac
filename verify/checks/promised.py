"""Trying a promise (verify.promises) on programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from verify.checks.context import Context
from verify.checks.judged import judged
from verify.checks.programs import differing_groups, settings
from verify.driver import SubjectRaised, Unsupported
from verify.errors import one_line
from verify.program import Filling, Parameter, Program, Step
from verify.promise_case import case_for
from verify.promises import PROMISES
from verify.promises.case import Broken, Case, NotOffered, build, fresh
from verify.subject import SUBJECT_ERRORS
from verify.trajectory import Refused

# differentiable steps keep a graph by design; what is compiled has a check of its own
PLAIN = ("for-loop", "foreach", "fused", "capturable")
Promise = Callable[[Case], None]
VALUES = (1.0, -0.5, 2.0, 0.25, -1.5, 0.75)
GRADIENTS = ((0.5, 1.0, -1.0, 2.0, 0.25, -0.75), (-0.25, 0.5, 1.5, -1.0, 1.0, 0.5), (1.0, -2.0, 0.5, 0.25, -0.5, 1.0))


# -- what promises are tried on --------------------------------------------------------------


def three_steps(
    context: Context, groups: list, options: Any, parameters: tuple[Parameter, ...], *absent: int
) -> Program:
    """Three steps; in the second, some parameters have no gradient."""
    steps = tuple(
        Step(tuple(None if k == 1 and i in absent else Filling(values=row) for i in range(len(parameters))))
        for k, row in enumerate(GRADIENTS)
    )
    return context.program(groups=tuple(groups), options=dict(options), parameters=parameters, operations=steps)


SHAPES = (((3,), "contiguous"), ((3, 2), "transposed"), ((), "contiguous"))


def ordinary(context: Context) -> Iterator[Program]:
    """Three parameters in one group, under every choice of options."""
    for options, values in settings(context):
        parameters = tuple(Parameter(shape, 0, Filling(values=VALUES), layout) for shape, layout in SHAPES)
        yield three_steps(context, [values], options, parameters)


def grouped(context: Context) -> Iterator[Program]:
    """Three parameters in two groups that differ; one of them has no gradient in the second step."""
    for options, values in settings(context):
        groups = differing_groups(context, values, options)[:2]
        parameters = tuple(
            Parameter(shape, min(i, len(groups) - 1), Filling(values=VALUES), layout)
            for i, (shape, layout) in enumerate(SHAPES)
        )
        yield three_steps(context, groups, options, parameters, 2)


def small(context: Context) -> Iterator[Program]:
    """Two parameters in one group, under the default options alone."""
    for options, values in list(settings(context))[:1]:
        parameters = (Parameter((3,), 0, Filling(values=VALUES)), Parameter((2,), 0, Filling(values=VALUES)))
        yield three_steps(context, [values], options, parameters)


def rows(context: Context) -> Iterator[Program]:
    """Two matrices, and hyperparameters with which the arithmetic is exact where it can be."""
    for options, values in settings(context):
        exact = {**values, **{k: 0.5 for k, v in values.items() if k == "lr" or v == 0.9}}
        if not context.loaded.rule.constraint({**context.loaded.fixed, **exact}, options):
            exact = values
        decay = [{**exact, "weight_decay": 0.0}] if "weight_decay" in exact else []
        parameters = (Parameter((3, 2), 0, Filling(values=VALUES)), Parameter((3,), 0, Filling(values=VALUES)))
        for chosen in (exact, *decay):
            yield three_steps(context, [chosen], options, parameters)


def few(context: Context) -> Iterator[Program]:
    """The default options, and all of them together, with two parameters."""
    chosen = list(settings(context))
    for options, values in [chosen[0], *chosen[1:][-1:]]:
        parameters = (Parameter((3,), 0, Filling(values=VALUES)), Parameter((2, 2), 0, Filling(values=VALUES)))
        yield three_steps(context, [values], options, parameters)


def few_undecayed(context: Context) -> Iterator[Program]:
    """Those, and the first without weight decay, which few take together with sparse gradients."""
    programs = list(few(context))
    yield from programs
    for program in programs[:1]:
        if "weight_decay" in program.groups[0]:
            yield replace(program, groups=({**program.groups[0], "weight_decay": 0.0},))


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


def register(id: str, claim: str, programs: Callable[[Context], Iterator[Program]] = ordinary, **facts: Any) -> None:
    promise = PROMISES[id]

    def judge(context: Context, program: Program) -> str | None:
        return keep(context, program, promise)

    judge.__doc__ = promise.__doc__
    judged(id, claim, programs, implementations=PLAIN, **{"dtypes": ("float32",), **facts})(judge)
