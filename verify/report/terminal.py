"""The certificate in a terminal: matrix of cells, findings, verdict."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from typing import TypeVar

from verify.certificate import Cell, Certificate, ExpectedRecord, FindingRecord
from verify.expectations import COMMAND_LINE, SHIPPED

Found = TypeVar("Found", bound=FindingRecord)

MARKS = {
    "passed": "✓",
    "failed": "✗",
    "expected-failure": "e",
    "not-applicable": "–",
    "skipped": "s",
    "not-run": "?",
}
_ORDER = ("failed", "not-run", "skipped", "expected-failure", "passed", "not-applicable")


def whole(certificate: Certificate) -> list[str]:
    """All that a terminal shows of a certificate."""
    lines = [*header(certificate), "", *matrix(certificate), *findings(certificate)]
    return [*lines, *verdict(certificate)]


def header(certificate: Certificate) -> list[str]:
    """What is run against what, where."""
    environment = certificate.environment
    return [
        f"optim-verify {environment.get('optim-verify')} · torch {environment.get('torch')} · "
        f"{', '.join(environment.get('devices', []))} · seed {environment.get('seed')} · {environment.get('budget')}",
        f"{certificate.subject} against rule {certificate.rule} ({certificate.rule_source})",
    ]


def combined(cells: Iterable[Cell]) -> str:
    """One mark for several cells: that of what matters most."""
    found = {c.status for c in cells}
    return next((MARKS[s] for s in _ORDER if s in found), " ")


def matrix(certificate: Certificate) -> list[str]:
    """One row per device and implementation, one column per dtype."""
    cells = certificate.cells
    dtypes = list(dict.fromkeys(c.dtype for c in cells))
    rows = list(dict.fromkeys((c.device, c.implementation) for c in cells))
    several = len({device for device, _ in rows}) > 1
    names = [f"{device} {implementation}" if several else implementation for device, implementation in rows]
    wide = max(map(len, names), default=0) + 2
    lines = [" " * (wide + 2) + "  ".join(f"{d:^10}" for d in dtypes)]
    for name, row in zip(names, rows, strict=True):
        marks = [combined(c for c in cells if (c.device, c.implementation) == row and c.dtype == d) for d in dtypes]
        lines.append(f"  {name:<{wide}}" + "  ".join(f"{m:^10}" for m in marks))
    lines.append("  " + "   ".join(_families(certificate)))
    return lines


def _families(certificate: Certificate) -> list[str]:
    """For each family of checks how many of its cells passed, of those that apply."""
    found = []
    for family in dict.fromkeys(c.check.partition(".")[0] for c in certificate.cells):
        cells = [c for c in certificate.cells if c.check.startswith(f"{family}.") and c.status != "not-applicable"]
        passed = sum(c.status == "passed" for c in cells)
        mark = combined(cells) if cells else MARKS["not-applicable"]
        found.append(f"{family} {mark} {passed if passed == len(cells) else f'{passed}/{len(cells)}'}")
    return found


def finding_lines(finding: FindingRecord, places: Sequence[str] = (), checks: Sequence[str] = ()) -> list[str]:
    """One finding: claim, place, exact and got, smallest program, how to reproduce."""
    where = f"{finding.dtype} · {finding.device} · {finding.implementation}"
    lines = [f"FAILED  {finding.check}  {where}"]
    lines += [f"  {line}" for line in finding.message.splitlines()]
    if places:
        lines.append(f"  also in     {', '.join(places)}")
    if checks:
        lines.append(f"  also fails  {', '.join(checks)}, by the same program")
    if finding.replay:
        lines.append(f"  replay      optim-verify replay {shlex.quote(finding.replay)}")
    if finding.script:
        lines.append(f"  script      {finding.script}")
    lines.append(f"  explain     optim-verify explain {finding.check}")
    return lines


def findings(certificate: Certificate) -> list[str]:
    """Findings of the same check and kind are told once, with the other cells they appear in.

    A check whose smallest program is one that another has shown already is only named there.
    """
    told: dict[tuple[str, str], list[str]] = {}
    groups = grouped_findings(certificate)
    for first, _ in groups:
        told.setdefault(same_program(first), []).append(first.check)
    lines: list[str] = []
    for first, others in groups:
        checks = told[same_program(first)]
        if first.check == checks[0]:
            places = [f"{f.dtype}/{f.implementation}" for f in others]
            lines += ["", *finding_lines(first, places, checks[1:])]
    return lines


def grouped_findings(certificate: Certificate) -> list[tuple[FindingRecord, list[FindingRecord]]]:
    """Findings of the same check and kind: the first, and those in other cells."""
    return grouped(certificate.findings)


def grouped(findings: Iterable[Found]) -> list[tuple[Found, list[Found]]]:
    """As :func:`grouped_findings`, for any of them."""
    groups: dict[tuple[str, str], list[Found]] = {}
    for finding in findings:
        groups.setdefault((finding.check, _kind(finding.message)), []).append(finding)
    return [(first, others) for first, *others in groups.values()]


def same_program(finding: FindingRecord) -> tuple[str, str]:
    """Equal for findings of different checks that the same program shows."""
    return _kind(finding.message), _smallest(finding.message) or finding.check


def expected_lines(certificate: Certificate) -> list[str]:
    """Expected failures, told once for each reason; what is not yet stored is shown with its program."""
    groups: dict[tuple[str, str], list[ExpectedRecord]] = {}
    for e in certificate.expected:
        groups.setdefault((e.reason, e.issue), []).append(e)
    lines: list[str] = []
    for (reason, issue), records in groups.items():
        lines.append(f"  expected    {reason}" + (f" ({issue})" if issue and issue not in reason else ""))
        checks = ", ".join(dict.fromkeys(e.check for e in records))
        cells = list(dict.fromkeys(f"{e.dtype}-{e.device}-{e.implementation}" for e in records))
        more = f" and {len(cells) - 3} more" if len(cells) > 3 else ""
        lines.append(f"              {checks} on {', '.join(cells[:3])}{more}")
        for e in records:
            if not e.stored:
                lines += [f"              {line}" for line in e.message.splitlines()]
    met = sum(c.as_expected for c in certificate.cells), sum(c.unseparated for c in certificate.cells)
    if met[0]:
        lines.append(f"              {met[0]:,} programs failed as expected, and pass without what triggers that")
    if met[1]:
        lines.append(
            f"              {met[1]:,} programs failed as expected, and could not be tried without its triggers"
        )
    if any(not e.stored for e in certificate.expected):
        target = shlex.quote(certificate.subject)
        lines.append(f"  store       the programs of expected failures: optim-verify expect update {target} ...")
    if certificate.stale:
        count = len(certificate.stale)
        lines.append(f"  stale       {count} {'expectation is' if count == 1 else 'expectations are'} stale:")
        for s in certificate.stale:
            lines.append(f"              {s.check}[{s.cell}] {s.why}: {s.reason} ({s.origin})")
        if any(s.origin not in (COMMAND_LINE, SHIPPED) for s in certificate.stale):
            lines.append(f"              optim-verify expect prune {shlex.quote(certificate.subject)} ... removes them")
    return lines


def _smallest(message: str) -> str:
    line = next((line for line in message.splitlines() if line.startswith("smallest")), "")
    return re.sub(r"-0(?![\d.])", "0", line)  # the sign of a zero makes no other program


def _kind(message: str) -> str:
    lines = message.splitlines() or [""]
    quantity = next((line for line in lines if line.startswith("first wrong quantity")), "")
    return quantity or lines[0][:40]


def _but(certificate: Certificate) -> str:
    """What a reader of the verdict must know: what was expected to fail, and what was left out by request."""
    parts = []
    if n := certificate.counts["expected-failure"]:
        parts.append(f"{n} expected failures" if n > 1 else "1 expected failure")
    if n := sum(c.status == "skipped" and c.reason.startswith("--skip") for c in certificate.cells):
        parts.append(f"{n} cells skipped by request" if n > 1 else "1 cell skipped by request")
    return f" with {' and '.join(parts)}" if parts else ""


# of the mistakes that a run would not have caught, so many are named
MOST_MISSED = 5


def power_lines(certificate: Certificate) -> list[str]:
    """How many of the known mistakes in the rule this run would have caught, and which it would not."""
    power = certificate.power
    if not power:
        return []
    lines = [
        f"  power       this run would have caught {power['caught']} of {power['known']} known mistakes in this rule"
    ]
    for missed in power["missed"][:MOST_MISSED]:
        lines.append(f"              not: {missed['sentence']} ({missed['why']})")
    if len(power["missed"]) > MOST_MISSED:
        lines.append(f"              and {len(power['missed']) - MOST_MISSED} more, in the certificate")
    return lines


def verdict(certificate: Certificate) -> list[str]:
    """The last lines: verdict, counts that add up, work done, margin, time."""
    counts = certificate.counts
    told = ", ".join(f"{counts[s]} {s}" for s in MARKS if counts[s])
    programs = sum(c.programs for c in certificate.cells)
    steps = sum(c.element_steps for c in certificate.cells)
    unverified = sum(c.not_verified for c in certificate.cells)
    seconds = certificate.seconds
    lines = [
        "",
        f"{certificate.verdict.upper()}{_but(certificate)}  {programs:,} programs, {steps / 1e6:.1f} M element-steps, "
        f"{seconds['total']:.1f} s",
        f"  cells       {counts['planned']} planned = {told}",
    ]
    lines += expected_lines(certificate)
    worst = certificate.worst
    if worst is not None:
        lines.append(
            f"  margin      worst ratio {worst.worst_ratio:.2f} of the allowance "
            f"({worst.worst_quantity}, {worst.check}, {worst.dtype}, {worst.implementation})"
        )
    if steps:
        lines.append(
            f"  verified    {100 * (1 - unverified / steps):.1f} % of element-steps; the rest has no useful allowance"
        )
    lines.append(
        f"  time        subject {seconds['subject']:.1f} s, reference {seconds['reference']:.1f} s, "
        f"generation {seconds['generation']:.1f} s of work, summed over workers"
    )
    if steps and unverified > steps / 2:
        lines.append("  warning     more than half of the elements could not be verified: this certificate says little")
    if certificate.speed:
        speed = certificate.speed
        lines.append(
            f"  our work    {speed['own_over_subject']:.1f} × a warm step of the subject "
            f"({int(speed['lanes'])} elements, float32, for-loop)"
        )
    lines += power_lines(certificate)
    lines += [f"  note        {note}" for note in certificate.notes]
    notes = [n for n in dict.fromkeys(n for c in certificate.cells for n in c.notes)]
    for note in notes:
        places = sorted({f"{c.dtype}/{c.implementation}" for c in certificate.cells if note in c.notes})
        lines.append(f"  note        {note} ({', '.join(places)})")
    for status in ("not-run", "skipped"):
        reasons: dict[str, int] = {}
        for c in certificate.cells:
            if c.status == status:
                reasons[c.reason] = reasons.get(c.reason, 0) + 1
        lines += [f"  {status:<11} {n} cells: {reason}" for reason, n in reasons.items()]
    return lines
