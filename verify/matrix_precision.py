"""In which precision a subject computes functions of matrices: found by looking, whatever formula it has.

Where the elements of a matrix are rounded to a format of d digits, a gradient with an element that differs by a quarter
of that format's spacing is usually the same matrix, and the parameter ends in the same bits; where they are rounded to
any finer format that there is, it is another one.
"""

from __future__ import annotations

import numpy as np
import torch

from reference.rounding import PRECISIONS, Precision
from verify.driver import quiet
from verify.lanes import DTYPES
from verify.program import Program
from verify.subject import SUBJECT_ERRORS, LoadedSubject

COARSE = ("bfloat16", "float16", "float32")
SIDE = 4
TRIALS = 9


def matrix_precision(loaded: LoadedSubject, program: Program) -> Precision | None:
    """The precision, where it is coarser than that of the program's parameters; looked for once in each cell."""
    key = program.dtype, program.device, program.implementation
    if key not in loaded.matrix_precisions:
        loaded.matrix_precisions[key] = _find(loaded, program)
    return loaded.matrix_precisions[key]


def _find(loaded: LoadedSubject, program: Program) -> Precision | None:
    own = PRECISIONS[program.dtype].digits
    base = torch.from_numpy(np.random.default_rng(5).uniform(1, 2, (SIDE, SIDE)))
    base *= 1 - 2 * (torch.arange(SIDE)[:, None] < torch.arange(SIDE))
    for name in COARSE:
        precision = PRECISIONS[name]
        if precision.digits >= own:
            return None
        same = 0
        for k in range(TRIALS):
            moved = base.clone()
            moved.view(-1)[k] *= 1 + 2.0 ** -(precision.digits + 2)
            one, other = (_after(loaded, program, g) for g in (base, moved))
            if one is None or other is None:
                return None
            same += torch.equal(one, other)
        if 2 * same > TRIALS:
            return precision
    return None


def _after(loaded: LoadedSubject, program: Program, gradient: torch.Tensor) -> torch.Tensor | None:
    """A parameter of zeros after one step with this gradient; None where the subject raises."""
    dtype = DTYPES[program.dtype]
    parameter = torch.zeros((SIDE, SIDE), dtype=dtype, device=program.device, requires_grad=True)
    parameter.grad = gradient.to(program.device, dtype)
    values = {k: v for k, v in {**loaded.rule.defaults, "lr": 1.0}.items() if k not in loaded.fixed}
    with quiet():
        try:
            loaded.build([{"params": [parameter]}], values, {}, program.implementation).step()
        except SUBJECT_ERRORS:
            return None
    return parameter.detach()
