"""The data model of a certificate. Its JSON schema is ``verify/certificate.schema.json``.

Reports are written from this data alone. Reading a certificate never runs code.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from verify.errors import UsageError

SCHEMA_VERSION = 1
STATUSES = ("passed", "failed", "expected-failure", "not-applicable", "skipped", "not-run")


@dataclass
class Cell:
    """One check on one dtype, device and implementation.

    Args:
        status: one of STATUSES; ``reason`` says why for all but passed.
        worst_ratio: largest error / allowance seen, exact; None where the check compares no numbers.
        worst_quantity: the quantity it was seen in.
        not_verified: elements whose allowance was infinite or useless.
        as_expected: programs that failed as expected, and pass without what triggers that.
        unseparated: programs that failed as expected, and could not be tried without what triggers that.
        notes: what a reader should know, e.g. that scalars were judged in float32.
        curve: for binades of the parameter, the largest error and its allowance (see :class:`verify.curve.Curve`).
        bitwise: of the pairs of runs that were compared, how many were equal bit for bit, and how many there were.
    """

    check: str
    dtype: str
    device: str
    implementation: str
    status: str = "not-run"
    reason: str = ""
    worst_ratio: float | None = None
    worst_quantity: str = ""
    not_verified: int = 0
    programs: int = 0
    element_steps: int = 0
    seconds: float = 0.0
    as_expected: int = 0
    unseparated: int = 0
    notes: list[str] = field(default_factory=list)
    curve: list[list[float]] = field(default_factory=list)
    bitwise: list[int] = field(default_factory=lambda: [0, 0])

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.check, self.dtype, self.device, self.implementation


@dataclass
class FindingRecord:
    """A failed claim with its smallest program.

    Args:
        message: what is wrong, in a few lines.
        program: the smallest failing program (see :mod:`verify.program`), or None where none is at fault.
        replay, script: paths of the files that show it.
    """

    check: str
    dtype: str
    device: str
    implementation: str
    message: str
    program: dict[str, Any] | None = None
    replay: str = ""
    script: str = ""


@dataclass
class ExpectedRecord(FindingRecord):
    """A failure that was expected, and is there.

    Args:
        cell: the cell or glob that was written down; ``reason`` and ``issue`` are what was written beside it.
        origin: where: a file, ``--expect``, or what is shipped with optim-verify.
        stored: whether its program was written down, too.
        triggers: features of the program without which it does not fail.
    """

    cell: str = ""
    reason: str = ""
    issue: str = ""
    origin: str = ""
    stored: bool = False
    triggers: list[str] = field(default_factory=list)


@dataclass
class StaleRecord:
    """A failure that was expected, and is no longer there; ``why`` says how that is known."""

    check: str
    cell: str
    reason: str
    issue: str
    message: str
    origin: str
    why: str


@dataclass
class Certificate:
    """The record of all cells of one subject."""

    subject: str
    rule: str
    rule_title: str = ""
    rule_source: str = ""
    # one step of the rule, and where it comes from: sentences ("text"), each with its equation ("latex")
    derivation: list[dict[str, str]] = field(default_factory=list)
    # file and line of the subject's step, where its source is to be had
    location: dict[str, Any] | None = None
    verdict: str = "incomplete"
    environment: dict[str, Any] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    findings: list[FindingRecord] = field(default_factory=list)
    expected: list[ExpectedRecord] = field(default_factory=list)
    stale: list[StaleRecord] = field(default_factory=list)
    # what a reader should know of the whole run
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    speed: dict[str, float] = field(default_factory=dict)
    performance: dict[str, dict[str, Any]] = field(default_factory=dict)
    power: dict[str, Any] = field(default_factory=dict)
    interrupted: bool = False
    # tracebacks of faults of this program; not part of the JSON, where their cells say why they were not run
    faults: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """Cells by status; planned is their sum."""
        counted = Counter(cell.status for cell in self.cells)
        return {"planned": len(self.cells)} | {s: counted.get(s, 0) for s in STATUSES}

    def decide(self) -> str:
        """Set and return the verdict: certified, not certified or incomplete."""
        counts = self.counts
        if counts["failed"] or self.findings:
            self.verdict = "not certified"
        elif counts["not-run"] or not counts["passed"] + counts["expected-failure"] or self.interrupted:
            self.verdict = "incomplete"
        else:
            self.verdict = "certified"
        return self.verdict

    @property
    def worst(self) -> Cell | None:
        """The cell with the largest finite ratio among those that passed."""
        cells = [c for c in self.cells if c.worst_ratio is not None and c.status == "passed"]
        return max(cells, key=lambda c: c.worst_ratio or 0.0, default=None)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from verify.report.html import fragment

        return fragment(self)

    def to_json(self) -> dict[str, Any]:
        """Plain data in the order of the schema."""
        return {
            "schema": "optim-verify-certificate",
            "version": SCHEMA_VERSION,
            "verdict": self.verdict,
            "subject": self.subject,
            "rule": self.rule,
            "rule_title": self.rule_title,
            "rule_source": self.rule_source,
            "derivation": self.derivation,
            "location": self.location,
            "environment": self.environment,
            "counts": self.counts,
            "programs": sum(c.programs for c in self.cells),
            "element_steps": sum(c.element_steps for c in self.cells),
            "seconds": self.seconds,
            "speed": self.speed,
            "performance": self.performance,
            "power": self.power,
            "interrupted": self.interrupted,
            "notes": self.notes,
            "findings": [asdict(f) for f in self.findings],
            "expected": [asdict(e) for e in self.expected],
            "stale": [asdict(s) for s in self.stale],
            "cells": [asdict(c) for c in self.cells],
        }


def write_json(path: Path, data: Any) -> None:
    """Write a file whole or not at all.

    Raises:
        UsageError: the file cannot be written.
    """
    text = json.dumps(_finite(data), indent=1, allow_nan=False) + "\n"
    write_text(path, text)


def write_text(path: Path, text: str) -> None:
    """As :func:`write_json`, for text."""
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or (path.exists() and not path.is_file()):
            path.write_text(
                text, encoding="utf-8", errors="backslashreplace"
            )  # a link or a device is not to be replaced
            return
        unfinished = path.with_name(f".{path.name[:40]}.{os.getpid()}")
        try:
            with unfinished.open("w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            os.replace(unfinished, path)
        finally:
            with suppress(OSError):
                unfinished.unlink()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"cannot write {str(path)!r}: {reason}; choose another place") from None


def check_writable(path: Path, option: str, *, folder: bool = False) -> None:
    """Find out before a long run whether a file (or files in a folder) can be written afterwards.

    Raises:
        UsageError: it cannot.
    """
    with _writing(path):
        if path.is_dir() and not folder:
            raise UsageError(f"{option} {str(path)!r} is a folder; give a file")
        if path.exists() and not folder and not path.is_file():
            return  # a device
        existing = path if folder else path.parent
        while not existing.exists() and existing != existing.parent:
            existing = existing.parent
        if not existing.is_dir():
            raise UsageError(f"{option} {str(path)!r} cannot be made: {str(existing)!r} is no folder")
        with tempfile.TemporaryFile(dir=existing):
            pass
        if path.exists() and not folder:
            with path.open("a"):
                pass


def _finite(data: Any) -> Any:
    """JSON has no infinity: non-finite numbers become the strings that float() reads back."""
    if isinstance(data, float) and (data != data or data in (float("inf"), float("-inf"))):
        return repr(data)
    if isinstance(data, dict):
        return {k: _finite(v) for k, v in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(v) for v in data]
    return data
