"""Replay files: a finding as exact data. Reading one never runs code from the file."""

from __future__ import annotations

import json
import multiprocessing
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

    from verify.checks.precision import low_state, low_state_message
    from verify.finding import message_for
    from verify.isolation import Guard
    from verify.oracle import LockStep, run_program
    from verify.subject import load

    torch.set_num_threads(1)
    with Guard() as importing:
        loaded = load(found.subject)
    known = {h.name for h in loaded.rule.hyperparameters}
    for group in found.program.groups:
        for name in group:
            if name not in known:
                raise UsageError(f"rule {loaded.rule.name!r} has no hyperparameter {name!r}; the file was edited")
    unknown = set(found.program.options) - {o.name for o in loaded.rule.options}
    if unknown:
        raise UsageError(f"rule {loaded.rule.name!r} has no option {min(unknown)!r}; the file was edited")
    with Guard() as guard:
        outcome = run_program(loaded, found.program)
    if outcome.failed:
        return True, message_for(loaded, found.program, outcome)
    if outcome.unsupported:
        raise UsageError(f"the program cannot be run: {outcome.unsupported}")
    changes = importing.changes + guard.changes
    if changes:
        return True, "\n".join(dict.fromkeys(changes))
    if found.check == "precision.state_dtype":
        run = LockStep(loaded, found.program, judge="p")
        run.run()
        low = low_state(run)
        if low is not None:
            return True, low_state_message(*low, found.program.dtype)
    return False, "the program passes now: every quantity is inside its allowance"


def replay_isolated(found: Replay, seconds: float = 120.0) -> tuple[bool, str]:
    """As :func:`replay`, in a process of its own: a subject that hangs or ends the interpreter still fails."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_child, args=(theirs, found), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(seconds):
            return True, f"the subject did not return within {seconds:g} s"
        kind, answer = ours.recv()
    except (EOFError, OSError):
        return True, "the subject ended the interpreter"
    finally:
        process.kill()
        process.join()
    if kind == "unusable":
        raise UsageError(answer)
    return answer


def _child(connection, found: Replay) -> None:
    from verify.worker import limit_memory, silence

    silence()
    limit_memory(4 << 30)
    try:
        connection.send(("done", replay(found)))
    except UsageError as error:
        connection.send(("unusable", str(error)))
