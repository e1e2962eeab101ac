"""Markdown for a comment on a pull request or the summary of a CI job."""

from __future__ import annotations

import re
from collections.abc import Iterator

from verify.certificate import Certificate
from verify.report.terminal import MARKS, combined, grouped_findings, verdict
from verify.report.told import cell_name, how_to_see

# GitHub takes no longer comment
MOST_CHARACTERS = 65_000
SIGNS = {"certified": "✅", "not certified": "❌", "incomplete": "⚠️"}


def markdown(certificate: Certificate) -> str:
    """Verdict, matrix of cells and findings; cut, and said so, where it would be too long for a comment."""
    lines = [
        f"### {SIGNS[certificate.verdict]} {code(certificate.subject)}: {certificate.verdict}",
        "",
        f"against rule {code(certificate.rule)}, {_environment(certificate)}",
        "",
        *_matrix(certificate),
        "",
        *fenced("\n".join(verdict(certificate)).strip()),
    ]
    parts = list(_findings(certificate))
    text = "\n".join(lines) + "\n"
    for number, part in enumerate(parts):
        if len(text) + len(part) > MOST_CHARACTERS:
            return f"{text}\n{len(parts) - number} more findings are in the certificate.\n"
        text += part
    return text


def _environment(certificate: Certificate) -> str:
    environment = certificate.environment
    return (
        f"torch {environment.get('torch', 'unknown')}, {', '.join(environment['devices'])}, "
        f"{environment['budget']}, seed {environment['seed']}"
    )


def _matrix(certificate: Certificate) -> Iterator[str]:
    cells = certificate.cells
    dtypes = list(dict.fromkeys(c.dtype for c in cells))
    yield f"| | {' | '.join(dtypes)} |"
    yield f"|---|{':-:|' * len(dtypes)}"
    for device, implementation in dict.fromkeys((c.device, c.implementation) for c in cells):
        row = [c for c in cells if (c.device, c.implementation) == (device, implementation)]
        marks = [combined(c for c in row if c.dtype == dtype) for dtype in dtypes]
        yield f"| {device} {implementation} | {' | '.join(marks)} |"
    yield ""
    yield ", ".join(f"{mark} {status}" for status, mark in MARKS.items())


def _findings(certificate: Certificate) -> Iterator[str]:
    for first, others in grouped_findings(certificate):
        title = f"{cell_name(first)}{f' and {len(others)} more cells' if others else ''}"
        seen = "\n".join(f"{name:<11} {text}" for name, text in how_to_see(first))
        yield "\n".join(["", "<details>", f"<summary>{title}</summary>", "", *fenced(f"{first.message}\n{seen}")])
        yield "\n</details>\n"


def code(text: str) -> str:
    """Text as it is, in a line."""
    ticks = "`" * (_longest_run(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{pad}{' '.join(text.split())}{pad}{ticks}"


def fenced(text: str) -> list[str]:
    """Text as it is, in a block."""
    ticks = "`" * max(3, _longest_run(text) + 1)
    return [f"{ticks}text", text, ticks]


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)
