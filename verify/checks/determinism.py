"""Family ``determinism``: the same inputs must give the same bits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
import torch.utils.deterministic

from verify.another_process import digest, digest_elsewhere
from verify.checks.context import Context
from verify.checks.groups import BEHAVIOUR_DTYPES
from verify.checks.judged import judged, run, same_bits
from verify.checks.programs import differing_groups, settings
from verify.driver import SubjectRaised, Unsupported
from verify.program import Filling, Parameter, Program, Step
from verify.trajectory import Recorder


def _programs(context: Context) -> Iterator[Program]:
    """Two groups that differ, ordinary sizes, under every choice of options."""
    for number, (options, values) in enumerate(settings(context)):
        groups = differing_groups(context, values, options)[:2]
        parameters = tuple(
            Parameter(shape, min(k, len(groups) - 1), Filling(800 * number + 70 * k))
            for k, shape in enumerate(((129,), (4, 5), ()))
        )
        yield context.program(
            groups=tuple(groups),
            options=dict(options),
            parameters=parameters,
            operations=tuple(Step(tuple(Filling(300 * j + 40 * k) for k in range(3))) for j in range(4)),
        )


def _large(context: Context) -> Iterator[Program]:
    """A tensor that torch spreads over threads, for the default options.

    It is cut into even shares: at an uneven end torch's own bfloat16 arithmetic rounds otherwise than in the middle.
    """
    options, values = next(settings(context))
    yield context.program(
        groups=(values,),
        options=dict(options),
        parameters=(Parameter((1 << 17,), 0, Filling(5)),),
        operations=(Step((Filling(70_001),)), Step((Filling(801),))),
    )


@judged(
    "determinism.repeat",
    "The same inputs give the same bits, again and again in one process.",
    _programs,
    shrinks=False,
    dtypes=BEHAVIOUR_DTYPES,
)
def repeat(context: Context, program: Program) -> str | None:
    """The program is run three times on fresh instances; parameters and state must be the same bits, with torch's
    random state at another place each time. Then with torch's deterministic algorithms, with and without new
    memory filled with NaN.

    Bugs of this kind: stochastic rounding without a seed, kernels tuned on live tensors, time or id() in the
    numbers, torch.empty taken for zeros.
    """
    one = run(context, program)
    state = torch.get_rng_state()
    try:
        for number in range(2):
            torch.manual_seed(1000 + number)
            found = same_bits(one, run(context, program), "run once more in this process", state=True)
            if found:
                return found
    finally:
        torch.set_rng_state(state)
    clean, filled = (_with_new_memory(context, program, filled=filled) for filled in (False, True))
    return same_bits(clean, filled, "with NaN in memory that is new", state=True)


def _with_new_memory(context: Context, program: Program, *, filled: bool) -> Recorder:
    """A run in which memory that nobody has written yet is left as it is, or filled."""
    deterministic: Any = torch.utils.deterministic
    settings = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    fills = deterministic.fill_uninitialized_memory
    try:
        torch.use_deterministic_algorithms(True, warn_only=True)
        deterministic.fill_uninitialized_memory = filled
        found = run(context, program)
    finally:
        deterministic.fill_uninitialized_memory = fills
        torch.use_deterministic_algorithms(settings[0], warn_only=settings[1])
    found.replayable = False  # a script would have to make the settings
    return found


def _of_all_implementations(context: Context) -> Iterator[Program]:
    """In one cell, for the interpreter that it takes is slow to start."""
    for program in _programs(context):
        for implementation in context.loaded.implementations:
            yield replace(program, implementation=implementation)


@judged(
    "determinism.processes",
    "The same inputs give the same bits in another process.",
    _of_all_implementations,
    shrinks=False,
    dtypes=("float32",),
    implementations=("for-loop",),
)
def processes(context: Context, program: Program) -> str | None:
    """The program is run here and in a new interpreter with another hash seed, in every implementation.

    Bugs of this kind: hash(), os.getpid() or the order of a set in the numbers.
    """
    try:
        here = digest(run(context, program))
    except SubjectRaised as error:
        if program.implementation == "for-loop":
            raise
        raise Unsupported(f"{program.implementation}: {error}") from None
    there = digest_elsewhere(context.loaded.subject, program, context.in_subject)
    for step, (a, b) in enumerate(zip(here, there, strict=True)):
        for index, (x, y) in enumerate(zip(a, b, strict=True)):
            if x != y:
                return (
                    f"in another process, parameter {index} has other bits after step {step + 1}; "
                    "they must be the same for the same inputs"
                )
    return None


@judged(
    "determinism.threads",
    "The same inputs give the same bits with one and with two threads, but for sums over a whole tensor, which differ "
    "by no more than their rounding.",
    _large,
    dtypes=BEHAVIOUR_DTYPES,
)
def threads(context: Context, program: Program) -> str | None:
    """A tensor of 131,072 elements with torch.set_num_threads(1) and (2).

    Bugs of this kind: sums that are split by thread, numbers that depend on torch.get_num_threads(). Where the rule
    itself asks for sums, torch adds them up in as many parts as there are threads: then the second run is judged by
    the rule.
    """
    if context.loaded.rule.kind:
        raise Unsupported("its directions are made of sums over all elements, which two threads add up otherwise")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = run(context, program)
        torch.set_num_threads(2)
        two = run(context, program)
        two.replayable = False  # a script would have to set the threads
        found = same_bits(one, two, "with two threads", state=True)
        if found is None or context.loaded.rule.is_elementwise:
            return found
        # torch adds up a large tensor in another order then
        return found if context.run(program).failed else None
    finally:
        torch.set_num_threads(before)
