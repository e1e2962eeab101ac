"""A pool of worker processes with limits on time and memory."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import Any

from verify.errors import UsageError

START_SECONDS = 120.0
MOST_DEATHS = 4
GIBIBYTE = 1 << 30


class HarnessFault(RuntimeError):
    """Something broke on our side; the text is a traceback for a bug report."""


@dataclass
class Limits:
    """Limits of one cell: seconds in all, seconds of one call into the subject, bytes of memory."""

    cell_seconds: float
    call_seconds: float
    memory: int = 4 * GIBIBYTE


@dataclass
class _Process:
    """One worker as the parent sees it.

    Args:
        phase: "import" and "build" until the subject could be built once, then "ready".
    """

    process: Any
    connection: Any
    shared: Any
    phase: str = "import"
    job: tuple[int, tuple] | None = None
    job_started: float = 0.0
    base_memory: int = 0

    @property
    def doing(self) -> str:
        return {"import": "importing the subject", "build": "building the subject", "ready": "the subject"}[self.phase]


@dataclass
class Pool:
    """Runs cells on several workers and yields ``(index, result)`` as they end.

    Args:
        settings: what a worker is started with (see :func:`verify.worker.serve`).
        jobs: number of workers.
        limits: see :class:`Limits`.
    """

    settings: dict[str, Any]
    jobs: int
    limits: Limits
    description: dict[str, Any] = field(default_factory=dict)
    _workers: list[_Process] = field(default_factory=list)
    _deaths: int = 0
    _built: bool = False
    # why workers were lost that had no cell; each costs the next one
    _charges: list[str] = field(default_factory=list)

    def start(self) -> dict[str, Any]:
        """Start the workers and wait for the first; its description of the subject is returned.

        Raises:
            UsageError: the subject cannot be used.
            HarnessFault: a worker broke.
        """
        for _ in range(self.jobs):
            self._spawn()
        while not (self.description and (self._built or self._charges)):
            for _ in self._collect():
                pass
        return self.description

    def _spawn(self) -> None:
        from verify.worker import serve

        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        shared = context.RawValue("d", 0.0)
        process = context.Process(
            target=serve, args=(theirs, shared, {**self.settings, "memory": self.limits.memory}), daemon=True
        )
        with no_interrupts():
            process.start()
            self._workers.append(_Process(process, ours, shared))
        theirs.close()

    def run(self, cells: list[tuple]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Run all cells; a cell that costs its worker is reported as failed and the worker replaced."""
        waiting = deque(enumerate(cells))
        while waiting or any(w.job for w in self._workers):
            while waiting and self._charges:
                yield waiting.popleft()[0], failed(self._charges.pop(0))
            while waiting and (self._deaths >= MOST_DEATHS or not self._workers):
                yield waiting.popleft()[0], _not_run(f"the subject had already ended {self._deaths} worker processes")
            self._hand_out(waiting)
            yield from self._collect()

    def _hand_out(self, waiting: deque) -> None:
        for worker in self._workers:
            if worker.phase == "ready" and worker.job is None and waiting:
                try:
                    worker.connection.send(waiting[0][1])
                except OSError:
                    continue  # it has died, as _collect will see
                worker.job = waiting.popleft()
                worker.job_started = time.monotonic()

    def _collect(self) -> Iterator[tuple[int, dict[str, Any]]]:
        done = wait([w.connection for w in self._workers], timeout=0.05)
        for worker in list(self._workers):
            if worker.connection in done:
                try:
                    kind, payload = worker.connection.recv()
                except Exception:
                    worker.process.join(5)
                    yield from self._lost(worker, self._ended(worker))
                else:
                    yield from self._heard(worker, kind, payload)
            elif reason := self._over_limit(worker):
                yield from self._lost(worker, reason)

    def _heard(self, worker: _Process, kind: str, payload: Any) -> Iterator[tuple[int, dict[str, Any]]]:
        if kind == "imported":
            worker.phase = "build"
            self.description = self.description or payload
        elif kind == "ready":
            worker.phase = "ready"
            self._built = True
            self.description["has"] = payload
            worker.base_memory = _memory(worker.process.pid)
        elif kind == "unusable" and not self._built:
            raise UsageError(payload)
        elif kind in ("unusable", "exhausted"):
            yield from self._lost(worker, payload)
        elif worker.job is None:
            raise HarnessFault(payload)
        else:
            index, worker.job = worker.job[0], None
            if kind == "fault":
                error, text = payload
                payload = {**_not_run(f"a fault of ours: {error}"), "fault": text}
            yield index, payload

    def _over_limit(self, worker: _Process) -> str | None:
        now, inside = time.monotonic(), worker.shared.value
        seconds = START_SECONDS if worker.phase == "import" else self.limits.call_seconds
        if inside and now - inside > seconds:
            what = "return" if worker.phase == "ready" else "end"
            return f"{worker.doing} did not {what} within {seconds:g} s"
        if worker.job is not None and now - worker.job_started > self.limits.cell_seconds:
            return f"!the cell did not end within {self.limits.cell_seconds:g} s"
        if _memory(worker.process.pid) > worker.base_memory + self.limits.memory:
            return f"{worker.doing} took more than {self.limits.memory / GIBIBYTE:g} GiB of memory"
        return None

    def _ended(self, worker: _Process) -> str:
        how = _ending(worker.process.exitcode)
        if worker.phase == "import" and not worker.shared.value:
            return (
                f"a worker process ended before it could import the subject ({how}); "
                "a script that calls certify() must do so under if __name__ == '__main__'"
            )
        return f"{worker.doing} ended the interpreter ({how})"

    def _lost(self, worker: _Process, reason: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """A worker is of no more use: end it, tell whose fault it is, and start another."""
        self._deaths += 1
        self._workers.remove(worker)
        end(worker.process)
        worker.connection.close()
        if worker.phase == "import" and not self.description:
            raise UsageError(reason)
        if self._deaths < MOST_DEATHS:
            self._spawn()
        if worker.job is not None:
            late = reason.startswith("!")
            yield worker.job[0], _not_run(reason[1:]) if late else failed(reason)
        elif worker.phase != "import":
            self._charges.append(reason)

    def stop(self) -> None:
        """End all workers at once."""
        for worker in self._workers:
            end(worker.process)
            worker.connection.close()
        self._workers.clear()


@contextmanager
def no_interrupts() -> Iterator[None]:
    """Hold back Ctrl-C; a process that is started meanwhile never gets it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # it would let signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end(process: Any) -> None:
    """Kill a worker, with all processes that the subject started in it."""
    with suppress(OSError, AttributeError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join(5)


def failed(reason: str) -> dict[str, Any]:
    """The result of a cell that failed without a program to show."""
    return {"status": "failed", "reason": reason, "findings": [{"message": reason, "program": None, "script": None}]}


def _not_run(reason: str) -> dict[str, Any]:
    return {"status": "not-run", "reason": reason, "findings": []}


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:
            return f"signal {-code}"
    return f"exit code {code}"


def _memory(pid: int | None) -> int:
    """Resident bytes of a process; 0 where the system does not say."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * 4096
    except (OSError, IndexError, ValueError):
        return 0
