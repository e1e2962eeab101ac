"""Certify every optimizer of torch.optim that has a rule, and print the worst ratio of each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from verify.certificate import Certificate, write_json
from verify.certification import Plan, certify
from verify.pool import HarnessFault
from verify.subject import Subject


def row_for(certificate: Certificate) -> dict[str, Any]:
    """Verdict and worst ratio of one certificate."""
    worst = certificate.worst
    return {
        "subject": certificate.subject,
        "verdict": certificate.verdict,
        "findings": len(certificate.findings),
        "worst_ratio": worst.worst_ratio if worst else None,
        "quantity": worst.worst_quantity if worst else "",
        "where": f"{worst.check}, {worst.dtype}, {worst.implementation}" if worst else "",
        "seconds": certificate.seconds["total"],
    }


def survey(plan: Plan, file: Path | None = None) -> int:
    """Run the survey, print a table, and write it to ``file``.

    Returns:
        0 when every ratio of a passed cell is at most 1, else 1. Verdicts do not count here: a finding
        in torch is a finding.
    """
    from reference import RULES
    from reference.quasi_newton import QUASI_NEWTON

    rows: list[dict[str, Any]] = []
    faults: list[str] = []
    interrupted = False
    environment: dict[str, Any] = {}
    for name in [name for rule in (RULES | QUASI_NEWTON).values() for name in rule.torch]:
        certificate = certify(Subject(name), plan)
        if certificate.interrupted:
            interrupted = True
            break
        environment = certificate.environment
        faults += certificate.faults
        row = row_for(certificate)
        rows.append(row)
        if len(rows) == 1:
            print(f"{'subject':<24} {'verdict':<14} {'worst':>6}  where")
        ratio = f"{row['worst_ratio']:.3f}" if row["worst_ratio"] is not None else "–"
        print(f"{name:<24} {row['verdict']:<14} {ratio:>6}  {row['quantity']}, {row['where']}", flush=True)
        for finding in certificate.findings:
            place = f"{finding.check} {finding.dtype} {finding.implementation}"
            print(f"{'':<24} ✗ {place}: {finding.message.splitlines()[0]}", file=sys.stderr)
    worst = max((r["worst_ratio"] or 0.0 for r in rows), default=0.0)
    print(f"worst ratio over all: {worst:.3f}")
    if file is not None:
        write_json(
            file,
            {"torch": environment.get("torch"), "budget": plan.budget, "seeds": str(plan.seed), "rows": rows},
        )
    if interrupted:
        raise KeyboardInterrupt  # what was done so far is written
    if faults:
        raise HarnessFault(faults[0])
    return 0 if worst <= 1 else 1
