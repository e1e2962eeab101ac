"""The table ``[tool.optim-verify]`` of a project's pyproject.toml."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verify.certification import Plan
from verify.errors import UsageError, near
from verify.gate.required import Required
from verify.subject import Subject

BASELINE = Path("optim-verify-baseline.json")

# what each entry is, in words, and whether a value is one
_TEXT = ("a text", lambda x: isinstance(x, str) and bool(x.strip()))
_TEXTS = ("a list of texts", lambda x: isinstance(x, list) and all(isinstance(y, str) and y.strip() for y in x))
_TABLE = ("a table", lambda x: isinstance(x, dict))
_TEXT_TABLE = ("a table of texts", lambda x: isinstance(x, dict) and all(isinstance(y, str) for y in x.values()))
_SEED = ("a whole number that is not negative", lambda x: isinstance(x, int) and not isinstance(x, bool) and x >= 0)
_MULTIPLE = ("a number of at least 1", lambda x: _is_number(x) and x >= 1)
_SHARE = ("a number that is not negative", lambda x: _is_number(x) and x >= 0)

RUN = {
    "dtypes": _TEXTS,
    "devices": _TEXTS,
    "implementations": _TEXTS,
    "only": _TEXTS,
    "skip": _TEXTS,
    "expect": _TEXTS,
    "expectations": _TEXT,
    "budget": _TEXT,
    "seed": _SEED,
}
SUBJECT = {
    "target": _TEXT,
    "rule": _TEXT,
    "arguments": _TABLE,
    "names": _TEXT_TABLE,
    "state": _TEXT_TABLE,
    "low_precision_state": _TEXTS,
    "lacks": _TEXTS,
}
WHOLE = {
    "subjects": ("a list of tables", lambda x: isinstance(x, list) and all(isinstance(y, dict) for y in x)),
    "baseline": _TEXT,
    "require": _TEXTS,
    "margin": _MULTIPLE,
    "slower": _SHARE,
}


@dataclass(frozen=True)
class Settings:
    """What the gate runs, and what it lets pass.

    Args:
        subjects: each with what is run on it.
        baseline: the committed file.
        require: cells that must have run.
        margin: so many times its ratio in the baseline may the worst ratio of a cell be.
        slower: by so much of it may step time, as a multiple of the torch twin's in the same run, grow.
        digest: tells these settings from others.
    """

    subjects: tuple[tuple[Subject, Plan], ...]
    baseline: Path = BASELINE
    require: tuple[Required, ...] = ()
    margin: float = 2.0
    slower: float = 0.5
    digest: str = ""


def read_settings(path: Path) -> Settings:
    """The settings in a file.

    Raises:
        UsageError: there is no such file or table, or an entry is unknown or no good.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror or error}; run the gate where it lies") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{str(path)!r} is no TOML: {error}") from None
    tool = data.get("tool")
    table = tool.get("optim-verify") if isinstance(tool, dict) else None
    if not isinstance(table, dict):
        raise UsageError(
            f'{str(path)!r} has no table [tool.optim-verify]; it lists the subjects, as [[tool.optim-verify.subjects]] with target = "mypackage.MyAdam"'
        )
    return _settings(table, str(path))


def _settings(table: Mapping[str, Any], file: str) -> Settings:
    where = f"{file}: [tool.optim-verify]"
    _check(table, {**WHOLE, **RUN}, where)
    entries = table.get("subjects", [])
    if not entries:
        raise UsageError(
            f'{where} names no subjects; write [[tool.optim-verify.subjects]] with target = "mypackage.MyAdam"'
        )
    common = {key: value for key, value in table.items() if key in RUN}
    subjects = tuple(_subject(entry, common, f"{where} subject {number}") for number, entry in enumerate(entries, 1))
    names = [subject.title for subject, _ in subjects]
    double = next((name for name in names if names.count(name) > 1), None)
    if double:
        raise UsageError(f"{where} names {double!r} twice; a baseline has one entry for each name")
    text = json.dumps({k: v for k, v in table.items() if k in (*RUN, "subjects")}, sort_keys=True, default=str)
    return Settings(
        subjects,
        Path(table.get("baseline", BASELINE)),
        tuple(Required.parse(text) for text in table.get("require", ())),
        float(table.get("margin", Settings.margin)),
        float(table.get("slower", Settings.slower)),
        hashlib.sha256(text.encode()).hexdigest()[:16],
    )


def _subject(entry: Mapping[str, Any], common: Mapping[str, Any], where: str) -> tuple[Subject, Plan]:
    _check(entry, {**SUBJECT, **RUN}, where)
    if "target" not in entry:
        raise UsageError(f"{where} has no target, such as 'module.Class' or 'path/to/file.py:Class'")
    subject = Subject(
        entry["target"],
        entry.get("rule"),
        arguments=entry.get("arguments", {}),
        names=entry.get("names", {}),
        state_keys=entry.get("state", {}),
        low_precision_state=tuple(entry.get("low_precision_state", ())),
        lacks=tuple(entry.get("lacks", ())),
    )
    run = {**common, **{key: value for key, value in entry.items() if key in RUN}}
    run["devices"] = run.get("devices") or ["cpu"]
    if "expectations" in run:
        run["expectations"] = Path(run["expectations"])
    return subject, Plan(**run)


def _check(table: Mapping[str, Any], known: Mapping[str, tuple], where: str) -> None:
    for key, value in table.items():
        if key not in known:
            raise UsageError(f"{where} has an entry {key!r}, which is unknown{near(key, known)}")
        what, is_one = known[key]
        if not is_one(value):
            raise UsageError(f"{where}: {key} must be {what}, not {value!r:.80}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value and value != float("inf")
