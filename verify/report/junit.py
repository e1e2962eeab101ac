"""JUnit XML: one test case for each cell."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from verify.certificate import Certificate
from verify.report.told import cell_name, findings_by_cell, in_full

# characters that no XML 1.0 document can hold
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(certificate: Certificate) -> str:
    """The certificate as a JUnit file: failed cells are failures, cells that were not run are errors, and those that
    were skipped, do not apply or failed as expected are skipped, with the reason."""
    counts = certificate.counts
    skipped = counts["skipped"] + counts["not-applicable"] + counts["expected-failure"]
    totals = {
        "tests": str(counts["planned"]),
        "failures": str(counts["failed"]),
        "errors": str(counts["not-run"]),
        "skipped": str(skipped),
        "time": f"{certificate.seconds.get('total', 0.0):.3f}",
    }
    root = ET.Element("testsuites", {"name": "optim-verify", **totals})
    suite = ET.SubElement(root, "testsuite", {"name": _legal(certificate.subject), **totals})
    properties = ET.SubElement(suite, "properties")
    for name, value in (("verdict", certificate.verdict), ("rule", certificate.rule), *certificate.environment.items()):
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        ET.SubElement(properties, "property", {"name": name, "value": _legal(text)})
    found = findings_by_cell(certificate)
    for cell in certificate.cells:
        case = ET.SubElement(
            suite,
            "testcase",
            {"classname": _legal(certificate.subject), "name": cell_name(cell), "time": f"{cell.seconds:.3f}"},
        )
        if cell.status == "failed":
            texts = [in_full(f) for f in found.get(cell.key, [])] or [cell.reason]
            first = texts[0].splitlines()[0] if texts[0] else "failed"
            failure = ET.SubElement(case, "failure", {"message": _legal(first), "type": cell.check})
            failure.text = _legal("\n\n".join(texts))
        elif cell.status == "not-run":
            ET.SubElement(case, "error", {"message": _legal(cell.reason or "not run"), "type": "not-run"})
        elif cell.status != "passed":
            ET.SubElement(case, "skipped", {"message": _legal(f"{cell.status}: {cell.reason}")})
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _legal(text: str) -> str:
    return _FORBIDDEN.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
