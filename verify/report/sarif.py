"""SARIF 2.1.0: each finding at the line of the optimizer's step."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote

from verify.certificate import Certificate, ExpectedRecord, FindingRecord
from verify.report.told import cell_name, in_full


def sarif(certificate: Certificate) -> str:
    """The findings as errors, and expected failures as results that are suppressed, with the reason."""
    records: list[FindingRecord] = [*certificate.findings, *certificate.expected]
    checks = sorted({r.check for r in records})
    run = {
        "tool": {
            "driver": {
                "name": "optim-verify",
                "version": str(certificate.environment.get("optim-verify", "")),
                "rules": [
                    {"id": check, "help": {"text": f"optim-verify explain {check} says how it is tried."}}
                    for check in checks
                ],
            }
        },
        "invocations": [{"executionSuccessful": certificate.verdict != "incomplete"}],
        "results": [_result(certificate, record, checks.index(record.check)) for record in records],
    }
    document = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }
    return json.dumps(document, indent=1) + "\n"


def _result(certificate: Certificate, record: FindingRecord, index: int) -> dict[str, Any]:
    place: dict[str, Any] = {"logicalLocations": [{"fullyQualifiedName": certificate.subject}]}
    if certificate.location:
        place["physicalLocation"] = {
            "artifactLocation": {"uri": quote(certificate.location["file"])},
            "region": {"startLine": certificate.location["line"]},
        }
    identity = json.dumps([certificate.subject, cell_name(record), record.program], sort_keys=True)
    result = {
        "ruleId": record.check,
        "ruleIndex": index,
        "level": "error",
        "message": {"text": f"{certificate.subject}, {cell_name(record)}: {in_full(record)}"},
        "locations": [place],
        "partialFingerprints": {"optimVerify/v1": hashlib.sha256(identity.encode()).hexdigest()},
    }
    if isinstance(record, ExpectedRecord):
        result["suppressions"] = [{"kind": "external", "justification": record.reason}]
    return result
