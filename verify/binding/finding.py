"""One thing that is wrong between a model and its optimizers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SEVERITIES = ("error", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    Args:
        code: what kind of thing; ``optim-verify explain CODE`` tells all about it.
        severity: ``error`` is a certain fault, ``warning`` a likely one, ``info`` neither.
        parameter: qualified name of the parameter, or what else it is about.
        message: what is wrong, what will happen, and what to write instead.
    """

    code: str
    severity: str
    parameter: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.parameter}: {self.message} [{self.code}]"


class BindingError(RuntimeError):
    """What ``watch(..., on_finding="raise")`` raises. ``findings`` holds all that were new."""

    def __init__(self, findings: Sequence[Finding]):
        super().__init__(summary(findings))
        self.findings = list(findings)


class BindingWarning(UserWarning):
    """What ``watch(..., on_finding="warn")`` warns with."""


def summary(findings: Sequence[Finding]) -> str:
    """The first finding of every code in full, the others by name."""
    by_code: dict[str, list[Finding]] = {}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(finding)
    return "\n".join(_told_once(same) for same in by_code.values())


def _told_once(same: list[Finding], most: int = 5) -> str:
    first, *others = same
    if not others:
        return str(first)
    names = ", ".join(other.parameter for other in others[:most]) + (", …" if len(others) > most else "")
    return f"{first} And {len(others)} more of this code: {names}."
