"""The files that ``optim-verify report`` writes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from verify.certificate import Certificate, check_writable, write_text
from verify.errors import UsageError
from verify.report.badge import badge
from verify.report.html import html
from verify.report.junit import junit
from verify.report.markdown import markdown
from verify.report.reading import read_certificate
from verify.report.sarif import sarif

# each with the end of its name, where none is given
FORMATS: dict[str, tuple[str, Callable[[Certificate], str]]] = {
    "html": (".html", html),
    "junit": (".junit.xml", junit),
    "sarif": (".sarif", sarif),
    "markdown": (".md", markdown),
    "badge": (".badge.json", badge),
}


def write_reports(source: Path, wanted: Mapping[str, Path | None]) -> list[Path]:
    """Write the certificate in a file in other formats; returns what was written.

    Args:
        wanted: for each format the file, or None for one beside the certificate. The file that CI calls
            GITHUB_STEP_SUMMARY is added to, every other is replaced.

    Raises:
        UsageError: the certificate cannot be read or a file not be written; nothing is written then.
    """
    certificate = read_certificate(source)
    places = {
        name: source.with_name(source.name.removesuffix(".json") + FORMATS[name][0]) if path is None else path
        for name, path in wanted.items()
    }
    for name, path in places.items():
        if path.resolve() == source.resolve():
            raise UsageError(f"--{name} {str(path)!r} would replace the certificate; give another file")
        check_writable(path, f"--{name}")
    writers = {name: write for name, (_, write) in FORMATS.items()}
    writers["html"] = partial(html, folder=source.parent)
    for name, path in places.items():
        text = writers[name](certificate)
        if str(path) == os.environ.get("GITHUB_STEP_SUMMARY") and path.exists():
            text = path.read_text(encoding="utf-8") + text
        write_text(path, text)
    return list(places.values())
