"""A badge: the endpoint file that shields.io reads."""

from __future__ import annotations

import json

from verify.certificate import Certificate

COLORS = {"certified": "brightgreen", "not certified": "red", "incomplete": "lightgrey"}


def badge(certificate: Certificate) -> str:
    """Verdict and subject, in the format of https://shields.io/badges/endpoint-badge."""
    message = certificate.verdict
    if expected := certificate.counts["expected-failure"]:
        message += f", {expected} expected failure{'s' if expected > 1 else ''}"
    data = {"schemaVersion": 1, "label": "optim-verify", "message": message, "color": COLORS[certificate.verdict]}
    return json.dumps(data, indent=1) + "\n"
