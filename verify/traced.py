"""Code that torch.compile has traced, judged by the reference.

Traced code may differ from the code in its last digits: where the count is a tensor, the scalars that follow
from it are tensors too, with the precision of that tensor. How far that may go the rule says.
"""

from __future__ import annotations

import copy
from typing import Any

import torch

from verify.driver import SubjectRaised, Unsupported
from verify.oracle import run_program
from verify.program import Edit, Program
from verify.subject import LoadedSubject


class Traced(LoadedSubject):
    """A subject whose step is traced, and run without being turned into machine code."""

    def build(self, *args: Any, **arguments: Any) -> Any:
        optimizer = super().build(*args, **arguments)
        optimizer.step = torch.compile(optimizer.step, backend="eager")
        return optimizer


def compiled_slack(loaded: LoadedSubject, program: Program) -> float | None:
    """The allowance that the compiled step exceeds in four steps of a program, with lr halved before the last;
    None if it is inside every one.

    Raises:
        Unsupported: of an unknown rule nobody can say.
        SubjectRaised: the subject raised.
    """
    if not loaded.rule.known:
        raise Unsupported("compiled code gives other bits, and without a rule nobody can say whether it may")
    traced = copy.copy(loaded)
    traced.__class__ = Traced
    edits = [Edit(g, "lr", values["lr"] / 2) for g, values in enumerate(program.groups) if "lr" in values]
    steps = [program.operations[k % len(program.operations)] for k in range(4)]
    operations = (*steps[:3], *edits, steps[3])
    try:
        outcome = run_program(traced, program.with_operations(operations))
    finally:
        torch._dynamo.reset()
    if outcome.error or outcome.refused or outcome.unsupported:
        raise SubjectRaised(outcome.error or outcome.refused or outcome.unsupported)
    return outcome.mismatches[0].allowance if outcome.mismatches else None
