"""Replay files: a finding as exact data. Reading one never runs code from the file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verify.certification import REPLAY_VERSION
from verify.errors import UsageError
from verify.program import Program, from_json
from verify.subject import Subject


@dataclass(frozen=True)
class Replay:
    """The content of a replay file."""

    subject: Subject
    check: str
    message: str
    program: Program


def read_replay(path: Path) -> Replay:
    """Read and check a replay file.

    Raises:
        UsageError: the file is missing, cut off, of another version, or not what it should be.
    """
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{str(path)!r} is no replay file or is cut off: {error}") from None
    if not isinstance(data, dict) or data.get("schema") != "optim-verify-replay":
        raise UsageError(f"{str(path)!r} is no replay file of optim-verify")
    if data.get("version") != REPLAY_VERSION:
        raise UsageError(
            f"{str(path)!r} is a replay file of version {data.get('version')!r}; this optim-verify reads "
            f"version {REPLAY_VERSION}"
        )
    for key, kind in (
        ("subject", str),
        ("rule", str),
        ("check", str),
        ("message", str),
        ("arguments", dict),
        ("names", dict),
        ("state_keys", dict),
        ("low_precision_state", list),
    ):
        if not isinstance(data.get(key), kind):
            raise UsageError(f"{str(path)!r} is not a whole replay file: {key!r} is missing or of the wrong kind")
    for mapping in ("names", "state_keys"):
        if not all(isinstance(v, str) for v in data[mapping].values()):
            raise UsageError(f"{str(path)!r}: {mapping!r} must map names to names")
    try:
        program = from_json(data.get("program"))
    except UsageError as error:
        raise UsageError(f"{str(path)!r}: {error}") from None
    subject = Subject(
        data["subject"],
        data["rule"],
        data["arguments"],
        data["names"],
        data["state_keys"],
        tuple(map(str, data["low_precision_state"])),
    )
    return Replay(subject, data["check"], data["message"], program)


def replay(found: Replay) -> tuple[bool, str]:
    """Run a finding's program again.

    Returns:
        whether it still fails, and what to tell.

    Raises:
        UsageError: the subject cannot be used.
    """
    import torch

    from verify.finding import message_for
    from verify.oracle import run_program
    from verify.subject import load

    torch.set_num_threads(1)
    loaded = load(found.subject)
    known = {h.name for h in loaded.rule.hyperparameters}
    for group in found.program.groups:
        for name in group:
            if name not in known:
                raise UsageError(f"rule {loaded.rule.name!r} has no hyperparameter {name!r}; the file was edited")
    unknown = set(found.program.options) - {o.name for o in loaded.rule.options}
    if unknown:
        raise UsageError(f"rule {loaded.rule.name!r} has no option {min(unknown)!r}; the file was edited")
    outcome = run_program(loaded, found.program)
    if outcome.failed:
        return True, message_for(loaded, found.program, outcome)
    if outcome.unsupported:
        raise UsageError(f"the program cannot be run: {outcome.unsupported}")
    return False, "the program passes now: every quantity is inside its allowance"
