"""Cells that must have run."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass

from verify.certificate import Cell, Certificate
from verify.certification import check_device
from verify.errors import UsageError
from verify.expectations import DEVICES, Expectation, checked
from verify.report.told import cell_name


@dataclass(frozen=True)
class Required:
    """A device, such as ``cuda``, or cells, such as ``rule.step[float32-cuda-*]``; checks may be globs, too."""

    text: str
    check: str
    cell: str

    @classmethod
    def parse(cls, text: str) -> Required:
        """Read one.

        Raises:
            UsageError: it is neither a device nor cells.
        """
        check, bracket, cell = text.strip().partition("[")
        if not bracket:
            check_device(check)
            return cls(text, "*", f"*-{check}-*")
        if not cell.endswith("]"):
            raise UsageError(f"--require wants a device, or ID[dtype-device-implementation], not {text!r}")
        from verify.checks import select

        ids = select([check])
        checked(Expectation(ids[0], cell[:-1], "required"))
        return cls(text, check, cell[:-1])

    def speaks_of(self, cell: Cell) -> bool:
        """Whether a cell is meant."""
        place = cell_name(cell)[len(cell.check) + 1 : -1]
        return fnmatch.fnmatchcase(cell.check, self.check) and fnmatch.fnmatchcase(place, self.cell)

    def missing(self, certificates: Iterable[Certificate]) -> str | None:
        """Why it is not met, or None: each subject has such cells, and none of them was left out."""
        for certificate in certificates:
            cells = [c for c in certificate.cells if self.speaks_of(c)]
            left = next((c for c in cells if c.status in ("not-run", "skipped")), None)
            if left is not None:
                return f"{certificate.subject}, {cell_name(left)}: {left.status}, {left.reason}"
            if not any(c.status in ("passed", "failed", "expected-failure") for c in cells):
                return f"{certificate.subject} has no cell of it that ran"
        return None


def absent_device(cell: Cell) -> bool:
    """Whether a cell was not run because its device is not here."""
    kind = cell.device.partition(":")[0]
    return cell.status == "not-run" and kind in DEVICES and cell.reason == f"there is no {cell.device} device here"
