"""Replay files: a finding as exact data. Reading one never runs code from the file."""

from __future__ import annotations

import json
import multiprocessing
import reprlib
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verify.certification import REPLAY_VERSION, check_device
from verify.driver import numbers
from verify.errors import UsageError, near, one_line
from verify.pool import HarnessFault, end, no_interrupts
from verify.program import Edit, Program, Schedule
from verify.program_json import from_json
from verify.subject import LoadedSubject, Subject

MOST_BYTES = 1 << 26


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
    from verify.checks import IDS

    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise UsageError(f"{str(path)!r} is too large to be a replay file")
        data: Any = json.loads(content.decode("utf-8"))
    except UsageError:
        raise
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{str(path)!r} is no replay file or is cut off: {error}") from None
    if not isinstance(data, dict) or data.get("schema") != "optim-verify-replay":
        raise UsageError(f"{str(path)!r} is no replay file of optim-verify")
    version = data.get("version")
    if type(version) is not int or version != REPLAY_VERSION:
        raise UsageError(
            f"{str(path)!r} is a replay file of version {reprlib.repr(version)}; this optim-verify reads "
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
    if not all(isinstance(v, str) for v in data["low_precision_state"]):
        raise UsageError(f"{str(path)!r}: 'low_precision_state' must be a list of names")
    if data["check"] not in IDS:
        raise UsageError(f"{str(path)!r}: no check is called {reprlib.repr(data['check'])}{near(data['check'], IDS)}")
    try:
        program = from_json(data.get("program"))
        check_device(program.device)
    except UsageError as error:
        raise UsageError(f"{str(path)!r}: {error}") from None
    subject = Subject(
        data["subject"],
        data["rule"],
        data["arguments"],
        data["names"],
        data["state_keys"],
        tuple(data["low_precision_state"]),
    )
    return Replay(subject, data["check"], data["message"], program)


def _check_fits(program: Program, loaded: LoadedSubject) -> None:
    """A program that the subject's own certification could have drawn; an edited file may hold another.

    Raises:
        UsageError: the rule or the subject does not know one of its names, or a number is out of its domain.
    """
    import torch

    from verify.worker import device_present

    rule, title = loaded.rule, loaded.subject.title
    own = [(k, v) for g in program.groups for k, v in g.items() if isinstance(v, bool)]
    for name, value in (*program.options.items(), *own):
        option = next((o for o in rule.options if o.name == name), None)
        if option is None:
            raise UsageError(f"rule {rule.name!r} has no option {name!r}; the file was edited")
        if name not in loaded.options and value != option.default:
            raise UsageError(f"{title} has no argument for the option {name!r}; the file was edited")
    if program.implementation not in (*loaded.implementations, "compiled", "default"):
        raise UsageError(
            f"{title} has no implementation {program.implementation!r}; it offers {', '.join(loaded.implementations)}"
        )
    if program.device != "cpu" and not device_present(torch, program.device):
        raise UsageError(f"the finding is about the device {program.device!r}, and there is none here")
    options = rule.step(program.options).options
    for values in _settings(program, loaded):
        if not rule.constraint(values, options):
            raise UsageError(f"rule {rule.name!r} does not speak of {values} together; the file was edited")


def _settings(program: Program, loaded: LoadedSubject) -> Iterator[dict[str, float]]:
    """Hyperparameters of every group at the start and after every edit."""
    rule = loaded.rule
    known = {h.name: h for h in rule.hyperparameters}

    def checked(values: Mapping[str, float]) -> Mapping[str, float]:
        for name, value in values.items():
            h = known.get(name)
            if h is None:
                raise UsageError(f"rule {rule.name!r} has no hyperparameter {name!r}{near(name, known)}")
            if not h.contains(value) or (h.integer and value != int(value)):
                kind = "a whole number of " if h.integer else ""
                raise UsageError(f"{name} = {value:g} is not in {kind}{h.domain}, as rule {rule.name!r} needs")
            if name in loaded.fixed and value != loaded.fixed[name]:
                raise UsageError(f"{loaded.subject.title} has no argument for {name!r}; the file was edited")
        return values

    groups = [{**rule.defaults, **loaded.fixed, **checked(numbers(group))} for group in program.groups]
    yield from groups
    for op in program.operations:
        if isinstance(op, Edit) and op.name in loaded.options:
            continue
        if isinstance(op, Edit):
            groups[op.group].update(checked({op.name: op.value}))
            yield groups[op.group]
        elif isinstance(op, Schedule) and not 0 < op.factor <= 2:
            raise UsageError(f"a schedule's factor must be above 0 and at most 2, not {op.factor:g}")


def replay(found: Replay) -> tuple[bool, str]:
    """Run a finding's program again.

    Returns:
        whether it still fails, and what to tell.

    Raises:
        UsageError: the subject cannot be used.
    """
    import torch

    from verify.checks import all_checks
    from verify.checks.context import context_for
    from verify.checks.precision import low_state, low_state_message
    from verify.finding import message_for
    from verify.isolation import Guard
    from verify.oracle import LockStep
    from verify.subject import load

    torch.set_num_threads(1)
    with Guard() as importing:
        loaded = load(found.subject)
    _check_fits(found.program, loaded)
    with Guard() as guard:
        context = context_for(loaded, found.program)
        judge = all_checks()[found.check].judge
        try:
            outcome = judge(context, found.program) if judge else context.run(found.program)
        except (IndexError, StopIteration):
            raise UsageError(f"the program is none for {found.check}; the file was edited") from None
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
    try:
        return isolated(replay, found, seconds)
    except Ended as reason:
        return True, str(reason)


class Ended(Exception):
    """The subject did not come back, and says how."""


def isolated(function: Callable[[Any], Any], argument: Any, seconds: float) -> Any:
    """Call a function that runs a subject in a process of its own.

    Raises:
        Ended: the subject did not return in time, ended the interpreter or raised what ends one.
        UsageError, HarnessFault: as raised there.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_child, args=(theirs, function, argument), daemon=True)
    with no_interrupts():
        process.start()
    theirs.close()
    try:
        if not ours.poll(seconds):
            raise Ended(f"the subject did not return within {seconds:g} s")
        kind, answer = ours.recv()
    except (EOFError, OSError):
        raise Ended("the subject ended the interpreter") from None
    finally:
        end(process)
    if kind == "fault":
        raise HarnessFault(answer)
    if kind == "unusable":
        raise UsageError(answer)
    if kind == "ended":
        raise Ended(answer)
    return answer


def _child(connection, function: Callable[[Any], Any], argument: Any) -> None:
    from verify.worker import enclose, limit_memory

    enclose()
    limit_memory(4 << 30)
    try:
        connection.send(("done", function(argument)))
    except UsageError as error:
        connection.send(("unusable", str(error)))
    except Exception:
        connection.send(("fault", traceback.format_exc()))
    except BaseException as error:
        connection.send(("ended", f"the subject raised {one_line(error)}"))
