"""Upkeep of a file of expected failures: store what fails, remove what no longer does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from verify.certificate import Certificate, ExpectedRecord, FindingRecord, check_writable
from verify.certification import UNFIT, Events, Plan, certify
from verify.errors import UsageError
from verify.expectations import DEFAULT_FILE, SHIPPED, cell_name, read_entries, write
from verify.subject import Subject

# behind one failure there may be another; each round shows the next ones
MOST_ROUNDS = 8
Entries = list[dict[str, Any]]


def file_of(plan: Plan) -> Path:
    """The file that is kept.

    Raises:
        UsageError: there is to be none, or it cannot be written.
    """
    if plan.expectations is not None and str(plan.expectations) == "none":
        raise UsageError("expect needs a file to keep; give one with --expectations FILE")
    path = Path(plan.expectations or DEFAULT_FILE)
    check_writable(path, "--expectations")
    return path


def update(subject: Subject, plan: Plan, events: Events, reason: str, issue: str = "") -> tuple[Certificate, list[str]]:
    """Certify, and store every failure that is not yet in the file, until none is left.

    Args:
        reason, issue: for failures that neither the file nor ``plan.expect`` speaks of.

    Returns:
        the certificate of the first run, in which what was stored is expected, and lines that say what was done.

    Raises:
        UsageError: a failure has no reason; or see :func:`verify.certify`.
    """
    if not reason.strip() and not plan.expect:
        raise UsageError("expect update needs a reason for what it stores; give it as --reason TEXT")
    path = file_of(plan)
    if not path.exists():
        write(path, {})
    subjects = read_entries(path)
    entries = subjects.setdefault(subject.title, [])
    first: Certificate | None = None
    added: Entries = []
    current = replace(plan, expectations=path)
    for _ in range(MOST_ROUNDS):
        certificate = certify(subject, current, events)
        first = first or certificate
        found = [_entry(e, e.reason, e.issue) for e in certificate.expected if not e.stored and e.origin != SHIPPED]
        if certificate.findings and not reason.strip():
            break
        found += [_entry(f, reason.strip(), issue.strip()) for f in certificate.findings]
        added += found
        found_out = _note_triggers(entries, certificate)
        # what was expected without a program now has one
        entries[:] = [e for e in entries if e.get("program") is not None or e.get("message")] + found
        if found or found_out:
            write(path, subjects)
        if not certificate.findings or not found:
            break
        failed = {c.key for c in certificate.cells if c.status == "failed"}
        current = replace(plan, expectations=path, expect=(), cells=failed)
    assert first is not None
    left = certificate.findings
    lines = [f"stored {e['check']}[{e['cell']}]: {e['message'].splitlines()[0]}" for e in added]
    lines += [f"not stored {f.check}[{_cell(f)}]: it fails in other ways again and again" for f in left if reason]
    lines += [
        f"not stored {f.check}[{_cell(f)}]: there is no reason for it; give one as --reason" for f in left if not reason
    ]
    lines.append(f"{path}: {len(added)} stored, {len(entries)} expected failures of {subject.title}")
    if not left:
        _now_expected(first, reason.strip(), issue.strip(), str(path))
    return first, lines


def _note_triggers(entries: Entries, certificate: Certificate) -> bool:
    """Write down what was found out of the triggers of stored failures."""
    found = {(e.check, e.cell, e.message): e.triggers for e in certificate.expected if e.stored and e.triggers}
    before = json.dumps(entries)
    for entry in entries:
        triggers = found.get((entry["check"], entry["cell"], entry.get("message", "")))
        if triggers and not entry.get("triggers"):
            entry["triggers"] = triggers
    return json.dumps(entries) != before


def _now_expected(certificate: Certificate, reason: str, issue: str, origin: str) -> None:
    """The first run, had it known what is stored now."""
    for cell in certificate.cells:
        if cell.status == "failed":
            cell.status, cell.reason = "expected-failure", reason
    certificate.expected += [
        ExpectedRecord(**vars(f), cell=_cell(f), reason=reason, issue=issue, origin=origin, stored=True)
        for f in certificate.findings
    ]
    certificate.findings.clear()
    certificate.decide()


def _cell(found: FindingRecord) -> str:
    return cell_name(found.dtype, found.device, found.implementation)


def _entry(found: FindingRecord, reason: str, issue: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"check": found.check, "cell": _cell(found), "reason": reason, "issue": issue}
    entry |= {"message": found.message, "triggers": getattr(found, "triggers", []), "program": found.program}
    return {k: v for k, v in entry.items() if k not in ("issue", "triggers") or v}


def prune(subject: Subject, plan: Plan, events: Events) -> tuple[Certificate, list[str]]:
    """Certify, and remove the expectations of the file that no longer fail."""
    path = file_of(plan)
    subjects = read_entries(path)  # says so if there is none
    certificate = certify(subject, replace(plan, expectations=path), events)
    stale = {
        (s.check, s.cell, s.reason, s.message)
        for s in certificate.stale
        if s.origin == str(path) and not s.why.startswith(UNFIT)
    }
    entries = subjects.get(subject.title, [])
    gone = [e for e in entries if (e["check"], e["cell"], e["reason"], e.get("message", "")) in stale]
    if certificate.interrupted:
        gone = []
    if gone:
        subjects[subject.title] = [e for e in entries if e not in gone]
        certificate.stale = [s for s in certificate.stale if s.origin != str(path)]
        write(path, subjects)
    lines = [f"removed {e['check']}[{e['cell']}]: {e['reason']}" for e in gone]
    lines.append(f"{path}: {len(gone)} removed, {len(entries) - len(gone)} expected failures of {subject.title} left")
    return certificate, lines
