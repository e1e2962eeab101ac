"""What all written reports say of a cell and of a finding."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from verify.certificate import Cell, Certificate, FindingRecord


def cell_name(cell: Cell | FindingRecord) -> str:
    """For example ``rule.step[float32-cpu-foreach]``, which ``--expect`` takes, too."""
    return f"{cell.check}[{cell.dtype}-{cell.device}-{cell.implementation}]"


def findings_by_cell(certificate: Certificate) -> dict[tuple[str, str, str, str], list[FindingRecord]]:
    """What was found in each cell."""
    found: dict[tuple[str, str, str, str], list[FindingRecord]] = {}
    for finding in certificate.findings:
        key = (finding.check, finding.dtype, finding.device, finding.implementation)
        found.setdefault(key, []).append(finding)
    return found


def how_to_see(finding: FindingRecord) -> Iterator[tuple[str, str]]:
    """What shows a finding, each with its name."""
    if finding.replay:
        yield "replay", f"optim-verify replay {shlex.quote(finding.replay)}"
    if finding.script:
        yield "script", finding.script
    yield "explain", f"optim-verify explain {finding.check}"


def in_full(finding: FindingRecord) -> str:
    """A finding in lines of plain text."""
    return "\n".join([finding.message, *(f"{name:<11} {text}" for name, text in how_to_see(finding))])
