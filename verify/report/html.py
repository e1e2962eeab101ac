"""The certificate as one HTML file that needs no network, and as a fragment for notebooks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from verify.certificate import Cell, Certificate, ExpectedRecord, FindingRecord
from verify.report.grid import HEAT, SHORT, Grid, heat
from verify.report.mathml import mathml
from verify.report.page import render, shown
from verify.report.scripts import script_text
from verify.report.terminal import MARKS, combined, grouped, grouped_findings, same_program
from verify.report.told import cell_name, how_to_see

# longer programs are in the replay file
MOST_PROGRAM = 10_000
# of the places a note speaks of, so many are named; each cell has its own notes
MOST_PLACES = 4
_LABEL = re.compile(r"([a-z]+)\s{2,}(\S.*)")


def html(certificate: Certificate, folder: Path | None = None) -> str:
    """The whole report.

    Args:
        folder: where the scripts of findings are looked for: beside the certificate.
    """
    numbers = _numbers(certificate)
    return render(
        "report.html",
        certificate=certificate,
        counts=certificate.counts,
        marks=MARKS,
        short=SHORT,
        scale=HEAT,
        heat=heat,
        grid=Grid.of(certificate),
        combined=combined,
        cells=[_plain(cell) for cell in certificate.cells],
        findings=_findings(certificate, numbers, folder),
        expected=[
            (reason, issue, records, [_finding(first, others, numbers, folder) for first, others in grouped(records)])
            for (reason, issue), records in _by_reason(certificate.expected).items()
        ],
        derivation=[(step["text"], mathml(step["latex"])) for step in certificate.derivation],
        notes=_notes(certificate),
        link=_link,
        seconds_text=seconds_text,
    )


def fragment(certificate: Certificate) -> str:
    """Verdict, matrix and findings for a notebook: no script, and nothing that reaches out of its own element."""
    cells = certificate.cells
    dtypes = list(dict.fromkeys(c.dtype for c in cells))
    rows = {
        place: [[c for c in cells if (c.device, c.implementation) == place and c.dtype == dtype] for dtype in dtypes]
        for place in dict.fromkeys((c.device, c.implementation) for c in cells)
    }
    return render(
        "fragment.html",
        certificate=certificate,
        counts=certificate.counts,
        marks=MARKS,
        dtypes=dtypes,
        rows=rows,
        combined=combined,
        findings=_findings(certificate, {}, None),
    )


def index(title: str, entries: Iterable[tuple[Certificate, str, dict[str, str]]]) -> str:
    """A page that lists certificates: each with the address of its report and of other files by name."""
    return render("index.html", title=title, entries=list(entries), link=_link)


def seconds_text(seconds: float) -> str:
    """A time in a unit that suits it."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def _numbers(certificate: Certificate) -> dict[tuple[str, str, str, str], int]:
    return {cell.key: number for number, cell in enumerate(certificate.cells)}


def _plain(cell: Cell) -> dict[str, Any]:
    """What the page's script shows of a cell."""
    ratio = cell.worst_ratio
    return vars(cell) | {
        "name": cell_name(cell),
        "reason": shown(cell.reason),
        "worst_ratio": None if ratio is None else f"{ratio:.3g}",
        "worst_quantity": shown(cell.worst_quantity),
        "notes": [shown(note) for note in cell.notes],
    }


def _findings(
    certificate: Certificate, numbers: dict[tuple[str, str, str, str], int], folder: Path | None
) -> list[dict[str, Any]]:
    """Each finding once; under it those of other checks that the same program shows."""
    told: dict[tuple[str, str], dict[str, Any]] = {}
    for first, others in grouped_findings(certificate):
        finding = _finding(first, others, numbers, folder)
        main = told.setdefault(same_program(first), finding)
        if main is not finding:
            main["also"].append(finding)
            main["cells"] += finding["cells"]
    return list(told.values())


def _finding(
    first: FindingRecord,
    others: Sequence[FindingRecord],
    numbers: dict[tuple[str, str, str, str], int],
    folder: Path | None,
) -> dict[str, Any]:
    """A finding, and the other cells that it was found in."""
    all_of_it = [first, *others]
    program = "" if first.program is None else json.dumps(first.program, indent=1)
    if len(program) > MOST_PROGRAM:
        program = f"{program[:MOST_PROGRAM]}\n... and so on"
    claim, *lines = first.message.splitlines() or [""]
    keys = ((f.check, f.dtype, f.device, f.implementation) for f in all_of_it)
    return {
        "record": first,
        "name": cell_name(first),
        "others": [cell_name(f) for f in others],
        "cells": [numbers[key] for key in keys if key in numbers],
        "claim": claim,
        "lines": [m.groups() if (m := _LABEL.fullmatch(line)) else ("", line) for line in lines],
        "commands": list(how_to_see(first)),
        "program": program,
        "script": script_text(first.script, folder) if first.script and folder else "",
        "also": [],
    }


def _by_reason(expected: Iterable[ExpectedRecord]) -> dict[tuple[str, str], list[ExpectedRecord]]:
    groups: dict[tuple[str, str], list[ExpectedRecord]] = {}
    for record in expected:
        groups.setdefault((record.reason, record.issue), []).append(record)
    return groups


def _notes(certificate: Certificate) -> list[tuple[str, list[str]]]:
    """Each note once, with the places it speaks of."""
    places: dict[str, list[str]] = {note: [] for note in certificate.notes}
    for cell in certificate.cells:
        for note in cell.notes:
            places.setdefault(note, []).append(f"{cell.dtype}/{cell.implementation}")
    return [(note, _few(list(dict.fromkeys(where)))) for note, where in places.items()]


def _few(names: list[str]) -> list[str]:
    return names if len(names) <= MOST_PLACES else [*names[:MOST_PLACES], f"{len(names) - MOST_PLACES} more"]


def _link(text: str) -> bool:
    """Whether a text is the address of a page; no other is made a link."""
    return re.fullmatch(r"https?://[^\s\"'<>]+", text) is not None
