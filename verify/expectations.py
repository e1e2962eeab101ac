"""Expected failures: known bugs, each with a reason and the program that shows it.

They come from the command line (``--expect``), from a JSON file of the project, and for torch's own optimizers
from ``verify/expected/torch.json``. Reading them never runs code.
"""

from __future__ import annotations

import fnmatch
import json
import re
import reprlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from verify.checks import ALL_DTYPES, IDS
from verify.errors import UsageError, near
from verify.subject import IMPLEMENTATIONS

SCHEMA = "optim-verify-expectations"
VERSION = 1
DEFAULT_FILE = Path("optim-verify-expectations.json")
DEVICES = ("cpu", "cuda", "mps", "xpu", "hpu")
MOST_BYTES = 1 << 26
COMMAND_LINE, SHIPPED = "--expect", "shipped with optim-verify"


@dataclass(frozen=True)
class Expectation:
    """One failure that is expected.

    Args:
        check: id of the check that fails.
        cell: where, as ``dtype-device-implementation``, or a glob of such.
        reason: why that is accepted.
        issue: number or address of a public report.
        program: what shows it, as exact JSON; None until it is known, or where no program is at fault.
        message: what was found.
        triggers: the features of the program without which it does not fail, in words.
        flaky: whether its program fails only at times, as one that reads uninitialised memory does.
        origin: where it was written down.
    """

    check: str
    cell: str
    reason: str
    issue: str = ""
    program: dict[str, Any] | None = None
    message: str = ""
    triggers: Sequence[str] = ()
    flaky: bool = False
    origin: str = COMMAND_LINE

    @property
    def name(self) -> str:
        return f"{self.check}[{self.cell}]"

    def speaks_of(self, check: str, dtype: str, device: str, implementation: str) -> bool:
        return check == self.check and fnmatch.fnmatchcase(cell_name(dtype, device, implementation), self.cell)

    def to_json(self) -> dict[str, Any]:
        """As it stands in a file."""
        return {
            "check": self.check,
            "cell": self.cell,
            "reason": self.reason,
            **({"issue": self.issue} if self.issue else {}),
            "message": self.message,
            **({"triggers": list(self.triggers)} if self.triggers else {}),
            **({"flaky": True} if self.flaky else {}),
            "program": self.program,
        }


def cell_name(dtype: str, device: str, implementation: str) -> str:
    """A cell as people write it."""
    return f"{dtype}-{device}-{implementation}"


def parse(text: str) -> Expectation:
    """Read ``ID[cell]=reason``.

    Raises:
        UsageError: it is not of this form, gives no reason, or names a check or a cell that does not exist.
    """
    match = re.fullmatch(r"\s*([^\[\]=\s]+)\s*\[([^=]*)\]\s*(?:=(.*))?", text, re.DOTALL)
    if not match:
        raise UsageError(f"--expect wants ID[dtype-device-implementation]=reason, not {text!r}")
    check, cell, reason = match[1], match[2].strip(), (match[3] or "").strip()
    if not reason:
        raise UsageError(f"--expect {check}[{cell}] needs a reason, as {check}[{cell}]='why that is accepted'")
    return checked(Expectation(check, cell, reason))


def checked(expectation: Expectation) -> Expectation:
    """The expectation, if there are such a check and such a cell."""
    if expectation.check not in IDS:
        raise UsageError(f"no check is called {reprlib.repr(expectation.check)}{near(expectation.check, IDS)}")
    device = next((part for part in expectation.cell.split("-") if re.fullmatch(r"\w+:\d{1,3}", part)), "")
    devices = (*DEVICES, device) if device.partition(":")[0] in DEVICES else DEVICES
    if not any(fnmatch.fnmatchcase(name, expectation.cell) for name in _all_cells(devices)):
        hint = _near_cell(expectation.cell) or "; write dtype-device-implementation, or a glob such as *-cpu-fused"
        raise UsageError(f"there is no cell {reprlib.repr(expectation.cell)}{hint}")
    return expectation


def _all_cells(devices: Sequence[str]) -> Iterator[str]:
    return (cell_name(t, d, i) for t in ALL_DTYPES for d in devices for i in IMPLEMENTATIONS)


def _near_cell(cell: str) -> str:
    """A hint for each part that is not known."""
    parts = cell.split("-", 2)
    if len(parts) != 3:
        return near(cell, _all_cells(("cpu",)))
    found = []
    for part, known in zip(parts, (ALL_DTYPES, DEVICES, IMPLEMENTATIONS), strict=True):
        is_known = any(fnmatch.fnmatchcase(name, part) for name in known)
        hint = "" if is_known else near(part, known).removeprefix("; did you mean '").removesuffix("'?")
        found.append(hint or part)
    return f"; did you mean {'-'.join(found)!r}?" if found != parts else ""


# -- files --------------------------------------------------------------------------------------


def read(path: Path, subject: str) -> list[Expectation]:
    """The expectations that a file holds for one subject; the whole file is checked.

    Raises:
        UsageError: the file is missing, cut off, or not what it should be.
    """
    return [Expectation(origin=str(path), **entry) for entry in read_entries(path).get(subject, [])]


def read_entries(path: Path) -> dict[str, list[dict[str, Any]]]:
    """All entries of a file, by subject; see :func:`read`."""
    shown = repr(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {shown}: {error.strerror or error}") from None
    if len(content) > MOST_BYTES:
        raise UsageError(f"{shown} is too large to be a file of expectations")
    try:
        data: Any = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{shown} is no file of expectations or is cut off: {error}") from None
    try:
        return _entries(data)
    except UsageError as error:
        raise UsageError(f"{shown}: {error}") from None


def _entries(data: Any) -> dict[str, list[dict[str, Any]]]:
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise UsageError("this is no file of expectations of optim-verify")
    if type(data.get("version")) is not int or data["version"] != VERSION:
        raise UsageError(
            f"this is a file of version {reprlib.repr(data.get('version'))}; this optim-verify reads version {VERSION}"
        )
    subjects = data.get("subjects")
    if not isinstance(subjects, dict) or not all(isinstance(v, list) for v in subjects.values()):
        raise UsageError("'subjects' must map each subject to a list of expectations")
    return {
        subject: [_entry(entry, f"{subject}, entry {number + 1}") for number, entry in enumerate(entries)]
        for subject, entries in subjects.items()
    }


def _entry(entry: Any, where: str) -> dict[str, Any]:
    from verify.program_json import from_json

    known: dict[str, type] = dict.fromkeys(("check", "cell", "reason", "issue", "message"), str)
    known |= {"triggers": list, "flaky": bool, "program": dict}
    if not isinstance(entry, dict):
        raise UsageError(f"{where} is no object")
    for key, value in entry.items():
        if key not in known:
            raise UsageError(f"{where} has an unknown key {reprlib.repr(key)}{near(key, known)}")
        if not isinstance(value, known[key]) and not (key == "program" and value is None):
            raise UsageError(f"{where}: {key!r} is of the wrong kind")
    if not all(isinstance(t, str) and " " in t for t in entry.get("triggers", [])):
        raise UsageError(f"{where}: 'triggers' must be a list of features")
    for key in ("check", "cell", "reason"):
        if not entry.get(key, "").strip():
            raise UsageError(f"{where} has no {key}")
    try:
        checked(Expectation(entry["check"], entry["cell"], entry["reason"]))
        if entry.get("program") is not None:
            from_json(entry["program"])
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    return dict(entry)


def write(path: Path, subjects: dict[str, list[dict[str, Any]]]) -> None:
    """Write a file of expectations whole or not at all; one entry a line, to be compared line by line."""
    from verify.certificate import write_text

    blocks = []
    for subject, entries in sorted(subjects.items()):
        lines = ",\n".join(f"   {json.dumps(entry)}" for entry in entries)
        blocks.append(f"  {json.dumps(subject)}: [\n{lines}\n  ]" if entries else f"  {json.dumps(subject)}: []")
    body = ",\n".join(blocks)
    write_text(
        path,
        f'{{\n "schema": "{SCHEMA}",\n "version": {VERSION},\n "subjects": {{\n{body}\n }}\n}}\n'
        if blocks
        else f'{{"schema": "{SCHEMA}", "version": {VERSION}, "subjects": {{}}}}\n',
    )


def shipped(subject: str) -> list[Expectation]:
    """Bugs of torch's own optimizers that are known to this release."""
    if not subject.startswith("torch.optim."):
        return []
    with resources.as_file(resources.files("verify") / "expected" / "torch.json") as path:
        return [Expectation(origin=SHIPPED, **entry) for entry in read_entries(path).get(subject, [])]


def gather(subject: str, given: Iterable[str], file: Path | None) -> tuple[Expectation, ...]:
    """All expectations of one subject: the command line's, the file's, and what is shipped.

    Args:
        given: texts of the form ``ID[cell]=reason``.
        file: a file; None means DEFAULT_FILE if it is there; one called ``none`` means that nothing is expected
            but what is given.
    """
    found = [parse(text) for text in given]
    if file is not None and str(file) == "none":
        return tuple(found)
    if file is None and DEFAULT_FILE.is_file():
        file = DEFAULT_FILE
    if file is not None:
        found += read(file, subject)
    return (*found, *shipped(subject))


# -- kinds of failure ---------------------------------------------------------------------------


def kind(message: str) -> str:
    """What a message says first, without numbers, names in quotes and what stands in brackets."""
    first = message.split("\n", 1)[0]
    raised = re.match(r"the subject raised ([\w.]+)", first)
    if raised:
        return raised[0]
    first = re.sub(r"\([^)]*\)|'[^']*'|\"[^\"]*\"", "", first)
    return " ".join(re.sub(r"[-+]?\b(\d[\w.+-]*|nan|inf)\b", "#", first).split())
