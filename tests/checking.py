"""Run one check on one subject in this process, as a worker would."""

import torch

from verify import Subject, load
from verify.budgets import BUDGETS
from verify.checks import all_checks
from verify.checks.context import Context, Report

torch.set_num_threads(1)


def run_check(
    subject: Subject, check: str, dtype: str, implementation: str = "for-loop", budget: str = "quick", seed: int = 0
) -> Report | None:
    """The report of one cell; None when the check does not speak of this dtype or implementation."""
    loaded, found = load(subject), all_checks()[check]
    if dtype not in found.dtypes or implementation not in loaded.implementations:
        return None
    if ("rule" in found.needs and not loaded.rule.known) or found.kind not in ("", loaded.rule.kind):
        return None
    if set(found.needs) & set(loaded.rule.lacks):
        return None
    if found.implementations and implementation not in found.implementations:
        return None
    if loaded.rule.lazy:
        loaded.find_sparse_alone()
    if dtype.startswith("complex") and loaded.rule.dimensions is not None:
        return None
    context = Context(loaded, dtype, "cpu", implementation, BUDGETS[budget], seed, loaded.editable())
    context.settle_scalars()
    return found.run(context)
