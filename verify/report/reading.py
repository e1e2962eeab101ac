"""Reading a certificate from its file."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from verify.certificate import SCHEMA_VERSION, Cell, Certificate, ExpectedRecord, FindingRecord, StaleRecord
from verify.errors import UsageError

# a message of the schema's checker quotes what it did not like, whole
MOST_QUOTED = 200


def read_certificate(path: Path) -> Certificate:
    """The certificate in a file that ``certify --json`` has written. No code is run.

    Raises:
        UsageError: the file cannot be read, is no certificate, is damaged, or of a newer optim-verify.
    """
    what = f"certificate {str(path)!r}"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {what}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{what} is no text in UTF-8; was it written by certify --json?") from None
    except json.JSONDecodeError as error:
        raise UsageError(
            f"{what} is no JSON, or ends too early (line {error.lineno}: {error.msg}); write it anew"
        ) from None
    except RecursionError:
        raise UsageError(f"{what} is nested too deeply to be one; write it anew with certify --json") from None
    return from_json(data, what)


def from_json(data: Any, what: str = "the certificate") -> Certificate:
    """The certificate that :meth:`Certificate.to_json` made this of.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(data, dict) or data.get("schema") != "optim-verify-certificate":
        raise UsageError(f'{what} is no certificate: it does not say "schema": "optim-verify-certificate"')
    version = data.get("version")
    if version != SCHEMA_VERSION:
        raise UsageError(f"{what} has version {version!r:.40}; this optim-verify reads version {SCHEMA_VERSION}")
    import jsonschema

    error = jsonschema.exceptions.best_match(_validator().iter_errors(data))
    if error is not None:
        place = error.json_path.removeprefix("$").lstrip(".") or "its top level"
        message = error.message if len(error.message) <= MOST_QUOTED else f"{error.message[:MOST_QUOTED]} …"
        raise UsageError(f"{what} is damaged at {place}: {message}; write it anew with certify --json")
    certificate = Certificate(
        **{
            name: data[name]
            for name in (
                "subject",
                "rule",
                "rule_title",
                "rule_source",
                "derivation",
                "location",
                "verdict",
                "environment",
                "notes",
                "seconds",
                "speed",
                "performance",
                "power",
                "interrupted",
            )
        },
        cells=[Cell(**{**c, "worst_ratio": _number(c["worst_ratio"])}) for c in data["cells"]],
        findings=[FindingRecord(**f) for f in data["findings"]],
        expected=[ExpectedRecord(**e) for e in data["expected"]],
        stale=[StaleRecord(**s) for s in data["stale"]],
    )
    if certificate.counts != data["counts"]:
        raise UsageError(f"{what} is damaged: its counts are {data['counts']}, its cells {certificate.counts}")
    return certificate


def _number(value: Any) -> float | None:
    """JSON has no infinity, which is written as text."""
    return None if value is None else float(value)


@cache
def _validator() -> Any:
    import jsonschema

    schema = json.loads(files("verify").joinpath("certificate.schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)
