"""One look at a model, its optimizers and its schedulers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from verify.binding.allow import Allowed
from verify.binding.finding import SEVERITIES, Finding
from verify.binding.look import Look
from verify.binding.rules import judged
from verify.binding.subjects import subjects


def audit(model: Any, optimizers: Any, *, schedulers: Any = (), allow: Iterable[str] = ()) -> list[Finding]:
    """What is wrong between a model, its optimizers and its schedulers, worst first. No training step is needed.

    Nothing is changed, and no random number is drawn.

    Args:
        model: a module, or a list or dict of modules (and of tensors that are trained without one).
        optimizers: an optimizer, or several; wrappers are unwrapped.
        schedulers: those that drive the optimizers.
        allow: codes to accept, each alone or as ``"code:name"`` with a glob for the qualified name.

    Raises:
        UsageError: an argument is not what it must be, or ``allow`` has a code that there is not.
    """
    allowed = Allowed(allow)
    found = [finding for finding in judged(Look(subjects(model, optimizers, schedulers))) if finding not in allowed]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))
