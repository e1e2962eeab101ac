"""Work that is cut off after a time, in a process of its own."""

from __future__ import annotations

import contextlib
import multiprocessing.connection
import os
import pickle
import signal
import time
import warnings
from collections.abc import Callable
from typing import Any

Tell = Callable[[str], None]


class CutOff(Exception):
    """The work did not end in time, or its process did; the message says at which stage."""


def limited(work: Callable[[Tell], Any], seconds: float) -> Any:
    """What ``work(tell)`` returns; it may tell its stages.

    The work runs in a fork, which is killed when the time is over: sympy can be stopped in no other way. What
    it returns must be picklable.

    Raises:
        CutOff: it took too long, or it failed.
    """
    if not hasattr(os, "fork"):
        raise CutOff("this platform has no fork, so nothing could be cut off")
    ours, theirs = multiprocessing.connection.Pipe(duplex=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads: the child only calculates
        child = os.fork()
    if child == 0:
        _child(work, theirs)
    theirs.close()
    deadline, stage = time.monotonic() + seconds, "starting"
    try:
        while ours.poll(max(0.0, deadline - time.monotonic())):
            kind, value = pickle.loads(ours.recv_bytes())
            if kind == "result":
                return value
            if kind == "failed":
                raise CutOff(f"{value}, while {stage}")
            stage = value
        raise CutOff(f"cut off after {seconds:g} s while {stage}")
    except EOFError:
        raise CutOff(f"the process died while {stage}") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)
        ours.close()


def _child(work: Callable[[Tell], Any], pipe: multiprocessing.connection.Connection) -> None:
    """Run the work and never return: nothing of the parent may run a second time."""
    try:
        try:
            result = ("result", work(lambda text: pipe.send_bytes(pickle.dumps(("stage", text)))))
            message = pickle.dumps(result)
        except BaseException as error:
            first = (str(error).splitlines() or [""])[0]
            message = pickle.dumps(("failed", f"{type(error).__name__}: {first}" if first else type(error).__name__))
        pipe.send_bytes(message)
    finally:
        os._exit(0)
