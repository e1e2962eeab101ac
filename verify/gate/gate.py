"""Run the gate: certify, journal, compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from verify import __version__
from verify.certificate import Cell, Certificate, check_writable, write_json
from verify.certification import Events, Plan, Run
from verify.gate.baseline import read_baseline, write_baseline
from verify.gate.compare import Change, compare, lines
from verify.gate.journal import Journal
from verify.gate.required import Required, absent_device
from verify.gate.results import Results, Shard
from verify.gate.settings import Settings
from verify.report.told import cell_name
from verify.subject import Subject


@dataclass
class Outcome:
    """What the gate says: an exit code as of the command line, and the lines that tell why."""

    code: int
    lines: list[str]


def certify_all(
    settings: Settings,
    events: Events,
    *,
    reports: Path,
    jobs: int = 0,
    shard: Shard = Shard(),  # noqa: B008 - frozen
    resume: bool = False,
) -> Results:
    """Certify every subject, or one shard of its cells. The certificates are written to ``reports``.

    Raises:
        UsageError: a subject, the journal or the reports cannot be used.
    """
    import torch

    check_writable(reports, "--reports", folder=True)
    identity = {
        "digest": settings.digest,
        "shard": [shard.number, shard.count],
        "optim-verify": __version__,
        "torch": torch.__version__,
    }
    journal = Journal(reports / "gate.journal", identity, resume=resume)
    certificates, planned = [], {}
    try:
        for subject, plan in settings.subjects:
            plan = replace(plan, jobs=jobs, reports=reports)
            certificate, names = _certify(subject, plan, events, shard, journal)
            write_json(reports / subject.slug / "certificate.json", certificate.to_json())
            certificates.append(certificate)
            planned[certificate.subject] = names
            if certificate.interrupted:
                break
    finally:
        journal.end(keep=len(certificates) < len(settings.subjects) or certificates[-1].interrupted)
    return Results(f"{settings.digest}-{__version__}-{torch.__version__}", shard, planned, certificates)


def _certify(
    subject: Subject, plan: Plan, events: Events, shard: Shard, journal: Journal
) -> tuple[Certificate, list[str]]:
    def collected(cell: Cell, result: dict[str, Any]) -> None:
        journal.add(title, cell, result)

    run = Run(subject, plan, replace(events, collected=collected))
    title = run.certificate.subject
    with run:
        names = [cell_name(c) for c in run.certificate.cells]
        run.certificate.cells = [c for index, c in enumerate(run.certificate.cells) if shard.has(index)]
        for cell in run.certificate.cells:
            result = journal.results.get((title, cell.key))
            if result is not None and cell.status == "not-run":
                run.collect(cell, result)
        run.all_cells()
    return run.certificate, names


def judge(settings: Settings, certificates: Sequence[Certificate], require: Sequence[str] = ()) -> Outcome:
    """Compare certificates with the baseline.

    Args:
        require: devices or cells that must have run, beside those of the settings.

    Returns:
        exit code 1 where something got worse, 3 where nothing did and something required did not run, else 0.

    Raises:
        UsageError: the baseline cannot be read.
    """
    changes = compare(read_baseline(settings.baseline), certificates, settings)
    told = lines(changes)
    incomplete = list(_incomplete(settings, certificates, require))
    told += [f"? {'incomplete':<11} {why}" for why in incomplete]
    failing = sum(c.fails for c in changes)
    code = 1 if failing else 3 if incomplete else 0
    return Outcome(code, [*told, *([""] if told else []), _verdict(settings, changes, failing, len(incomplete))])


def _incomplete(settings: Settings, certificates: Sequence[Certificate], require: Sequence[str]) -> list[str]:
    found = []
    for required in (*settings.require, *map(Required.parse, require)):
        why = required.missing(certificates)
        if why:
            found.append(f"{required.text} is required: {why}")
    for c in certificates:
        left = [cell for cell in c.cells if cell.status == "not-run" and not absent_device(cell)]
        if left:
            found.append(f"{c.subject}: {len(left)} cells were not run, first {cell_name(left[0])}: {left[0].reason}")
    return found


def _verdict(settings: Settings, changes: Sequence[Change], failing: int, incomplete: int) -> str:
    count = len(settings.subjects)
    subjects = f"{count} subject{'s' if count > 1 else ''}"
    if failing:
        return f"GATE CLOSED  {subjects}, {failing} change{'s' if failing > 1 else ''} for the worse since {settings.baseline}"
    if incomplete:
        return f"GATE INCOMPLETE  {subjects}, nothing worse since {settings.baseline}, but not all that is required has run"
    return f"GATE OPEN  {subjects}, nothing worse since {settings.baseline}"


def update(settings: Settings, certificates: Sequence[Certificate]) -> Outcome:
    """Write the baseline. What is not certified is taken in, and said.

    Raises:
        UsageError: the file cannot be written.
    """
    write_baseline(settings.baseline, certificates)
    told = [
        f"  {c.verdict:<13} {c.subject}: its {c.counts['failed']} failed cells are let pass from now on"
        if c.counts["failed"]
        else f"  {c.verdict:<13} {c.subject}"
        for c in certificates
    ]
    return Outcome(0, [*told, f"wrote {settings.baseline}; commit it"])
