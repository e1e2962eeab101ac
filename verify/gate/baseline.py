"""The baseline: what the gate remembers of the certificates that were accepted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from verify.certificate import STATUSES, Cell, Certificate, write_json
from verify.errors import UsageError
from verify.report.told import cell_name

SCHEMA, VERSION = "optim-verify-baseline", 1
VERDICTS = ("certified", "incomplete", "not certified")


@dataclass(frozen=True)
class Known:
    """One cell: its status, its worst ratio, and whether all of its pairs of runs were equal bit for bit."""

    status: str
    ratio: float | None = None
    bitwise: bool | None = None


@dataclass
class Entry:
    """One subject.

    Args:
        times: by device and implementation, step time as a multiple of the torch twin's in the same run.
    """

    verdict: str
    environment: Mapping[str, str]
    cells: dict[str, Known] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)


def entry(certificate: Certificate) -> Entry:
    """What is remembered of a certificate."""
    environment = certificate.environment
    return Entry(
        certificate.verdict,
        {k: str(environment.get(k, "")) for k in ("torch", "cpu", "cuda", "budget", "seed")},
        {cell_name(c): Known(c.status, c.worst_ratio, _all_equal(c)) for c in certificate.cells},
        {
            place: figures["step_seconds"] / figures["rival_step_seconds"]
            for place, figures in certificate.performance.items()
            if figures.get("rival_step_seconds")
        },
    )


def _all_equal(cell: Cell) -> bool | None:
    """Whether an implementation was equal to the for-loop bit for bit; None where that was not tried."""
    tried = cell.check == "parity.implementations" and cell.bitwise[1]
    return cell.bitwise[0] == cell.bitwise[1] if tried else None


def write_baseline(path: Path, certificates: Iterable[Certificate]) -> None:
    """Write the baseline whole or not at all.

    Raises:
        UsageError: the file cannot be written.
    """
    subjects = {}
    for certificate in certificates:
        made = entry(certificate)
        cells = {name: [k.status, k.ratio, k.bitwise] for name, k in made.cells.items()}
        subjects[certificate.subject] = {
            "verdict": made.verdict,
            "environment": dict(made.environment),
            "times": made.times,
            "cells": cells,
        }
    write_json(path, {"schema": SCHEMA, "version": VERSION, "subjects": subjects})


def read_baseline(path: Path) -> dict[str, Entry]:
    """The baseline in a file, by subject.

    Raises:
        UsageError: the file is missing, cut off, or not what it should be.
    """
    what = f"baseline {str(path)!r}"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"there is no {what}; make it with optim-verify gate --update, and commit it") from None
    except OSError as error:
        raise UsageError(f"cannot read {what}: {error.strerror or error}") from None
    except (UnicodeDecodeError, RecursionError):
        raise UsageError(f"{what} is no JSON text; make it anew with optim-verify gate --update") from None
    except json.JSONDecodeError as error:
        raise UsageError(f"{what} is cut off or damaged in line {error.lineno}: {error.msg}; restore it") from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise UsageError(f'{what} is none: it does not say "schema": "{SCHEMA}"')
    if data.get("version") != VERSION:
        raise UsageError(f"{what} has version {data.get('version')!r:.40}; this optim-verify reads version {VERSION}")
    subjects = data.get("subjects")
    if not isinstance(subjects, dict):
        raise UsageError(f"{what} is damaged: subjects must be an object; restore it")
    return {name: _entry(value, f"{what} is damaged at {name!r:.80}") for name, value in subjects.items()}


def _entry(value: Any, where: str) -> Entry:
    def must(condition: bool, what: str) -> None:
        if not condition:
            raise UsageError(f"{where}: {what}; restore it, or make it anew with optim-verify gate --update")

    must(isinstance(value, dict), "it must be an object")
    must(set(value) == {"verdict", "environment", "times", "cells"}, "it must have verdict, environment, times, cells")
    must(value["verdict"] in VERDICTS, f"verdict must be one of {', '.join(VERDICTS)}")
    environment, times, cells = value["environment"], value["times"], value["cells"]
    must(
        isinstance(environment, dict) and all(isinstance(x, str) for x in environment.values()),
        "environment must hold texts",
    )
    must(isinstance(times, dict) and all(_is_number(x) for x in times.values()), "times must hold positive numbers")
    must(isinstance(cells, dict), "cells must be an object")
    found = {}
    for name, cell in cells.items():
        must(isinstance(cell, list) and len(cell) == 3, f"cell {name!r:.80} must be a status, a ratio and a flag")
        status, ratio, bitwise = cell
        must(status in STATUSES, f"cell {name!r:.80} has no status {status!r:.40}")
        must(ratio is None or ratio == "inf" or _is_number(ratio), f"cell {name!r:.80} has no ratio {ratio!r:.40}")
        must(bitwise is None or isinstance(bitwise, bool), f"cell {name!r:.80} has no flag {bitwise!r:.40}")
        found[name] = Known(status, None if ratio is None else float(ratio), bitwise)
    return Entry(value["verdict"], environment, found, {k: float(x) for k, x in times.items()})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
