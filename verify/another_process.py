"""Run programs in a new interpreter: what a subject computes must not depend on the process it runs in."""

from __future__ import annotations

import atexit
import hashlib
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any

from verify.driver import SubjectRaised, Unsupported
from verify.errors import one_line
from verify.program import Program
from verify.subject import Subject
from verify.trajectory import Recorder, Refused, record

SECONDS = 120.0
MOST_STARTS = 2
# by subject; one is kept, for each holds an interpreter with torch
_kept: dict[str, tuple[Connection, subprocess.Popen]] = {}
_starts: dict[str, int] = {}


def digest(recorder: Recorder) -> list[list[str]]:
    """A digest of every parameter after every step."""
    return [[hashlib.sha256(v.tobytes()).hexdigest() for v in moment.values] for moment in recorder.moments]


def digest_elsewhere(
    subject: Subject, program: Program, in_subject: Callable[[bool], Any] = lambda inside: None
) -> list[list[str]]:
    """As :func:`digest`, of a run in a process with another hash seed. The process is kept for the next call.

    Raises:
        SubjectRaised: the subject raised there, or took the process with it.
    """
    key = repr(subject)
    connection = _kept[key][0] if key in _kept else _start(key, subject)
    in_subject(True)
    try:
        connection.send(program)
        if not connection.poll(SECONDS):
            _end_all()
            raise SubjectRaised(f"in another process it did not return within {SECONDS:g} s")
        kind, payload = connection.recv()
    except (EOFError, OSError):
        _end_all()
        raise SubjectRaised("in another process it ended the interpreter") from None
    finally:
        in_subject(False)
    if kind == "raised":
        raise SubjectRaised(payload)
    if kind == "unsupported":
        raise Unsupported(payload)
    if kind == "refused":
        raise Refused(payload)
    if kind == "fault":
        raise RuntimeError(payload)
    return payload


def _start(key: str, subject: Subject) -> Connection:
    if _starts.get(key, 0) >= MOST_STARTS:
        raise SubjectRaised("in another process it ended the interpreter again and again")
    _starts[key] = _starts.get(key, 0) + 1
    _end_all()
    ours, theirs = Pipe()
    command = "from verify.another_process import serve; serve()"
    process = subprocess.Popen(
        [sys.executable, "-c", command, str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        env={**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdin=subprocess.DEVNULL,
    )
    theirs.close()
    _kept[key] = ours, process
    try:
        ours.send(subject)
        # an interpreter takes seconds to start, which are not the subject's
        if not ours.poll(SECONDS):
            _end_all()
            raise SubjectRaised(f"in another process it could not be imported within {SECONDS:g} s")
        ours.recv()
    except (EOFError, OSError):
        _end_all()
        raise SubjectRaised("in another process importing it ended the interpreter") from None
    return ours


@atexit.register
def _end_all() -> None:
    while _kept:
        connection, process = _kept.popitem()[1]
        connection.close()
        process.kill()
        process.wait()


def serve() -> None:
    """The other process: answer programs until the pipe closes."""
    from verify.subject import load
    from verify.worker import silence

    silence()
    connection = Connection(int(sys.argv[1]))
    import torch

    torch.set_num_threads(1)
    loaded = load(connection.recv())
    connection.send("imported")
    while True:
        try:
            program = connection.recv()
        except EOFError:
            return
        answer: tuple[str, Any]
        try:
            answer = "done", digest(record(loaded, program))
        except SubjectRaised as error:
            answer = "raised", str(error)
        except Unsupported as reason:
            answer = "unsupported", str(reason)
        except Refused as words:
            answer = "refused", str(words)
        except Exception as error:
            answer = "fault", one_line(error) + "\n" + traceback.format_exc()
        connection.send(answer)
