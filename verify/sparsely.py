"""Programs whose gradients are sparse, as plain data (the tensors: verify.sparse)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from verify.program import Filling, Operation, Program, Step


def sparsely(program: Program) -> Program:
    """The program with sparse gradients alone, for a subject that takes no others; what has no rows gets one."""
    parameters = tuple(replace(p, shape=p.shape or (1,)) for p in program.parameters)
    operations = tuple(sparse_step(op) for op in program.operations)
    return replace(program, parameters=parameters, operations=operations)


def sparse_step(op: Operation) -> Operation:
    """An operation whose gradients, if it has any, are sparse."""
    if not isinstance(op, Step):
        return op
    return replace(op, gradients=tuple(None if g is None else sparse_filling(g) for g in op.gradients))


def sparse_filling(filling: Filling) -> Filling:
    return filling if filling.sparse else replace(filling, sparse="rows", expanded=False)


def has_sparse(operations: Iterable[Operation]) -> bool:
    """Whether any gradient is sparse."""
    steps = (op for op in operations if isinstance(op, Step))
    return any(g is not None and g.sparse for op in steps for g in op.gradients)
