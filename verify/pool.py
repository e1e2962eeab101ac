"""A pool of worker processes with limits on time and memory."""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
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
    """One worker as the parent sees it."""

    process: Any
    connection: Any
    shared: Any
    started: float
    ready: bool = False
    job: tuple[int, tuple] | None = None
    job_started: float = 0.0
    base_memory: int = 0


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

    def start(self) -> dict[str, Any]:
        """Start the workers and wait for the first; its description of the subject is returned.

        Raises:
            UsageError: the subject cannot be used.
            HarnessFault: a worker broke.
        """
        for _ in range(self.jobs):
            self._spawn()
        while not self.description:
            self._wait_for_ready()
        return self.description

    def _spawn(self) -> None:
        from verify.worker import serve

        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        shared = context.RawValue("d", 0.0)
        process = context.Process(
            target=serve, args=(theirs, shared, {**self.settings, "memory": self.limits.memory}), daemon=True
        )
        process.start()
        theirs.close()
        self._workers.append(_Process(process, ours, shared, time.monotonic()))

    def _wait_for_ready(self) -> None:
        for connection in wait([w.connection for w in self._workers if not w.ready], timeout=0.1):
            worker = next(w for w in self._workers if w.connection is connection)
            self._greet(worker)
        for worker in list(self._workers):
            inside = worker.shared.value
            if not worker.ready and inside and time.monotonic() - inside > START_SECONDS:
                raise UsageError(f"importing the subject did not end within {START_SECONDS:.0f} s")

    def _greet(self, worker: _Process) -> None:
        try:
            kind, payload = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join(5)
            raise UsageError(
                f"importing the subject ended the interpreter ({_ending(worker.process.exitcode)})"
            ) from None
        if kind == "unusable":
            raise UsageError(payload)
        if kind == "fault":
            raise HarnessFault(payload)
        worker.ready = True
        worker.base_memory = _memory(worker.process.pid)
        self.description = self.description or payload

    def run(self, cells: list[tuple]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Run all cells; a cell that costs its worker is reported as failed and the worker replaced."""
        waiting = deque(enumerate(cells))
        running = 0
        while waiting or running:
            if self._deaths >= MOST_DEATHS and waiting:
                while waiting:
                    index, _ = waiting.popleft()
                    yield index, _not_run(f"{self._deaths} cells had already ended their process")
                continue
            for worker in self._workers:
                if worker.ready and worker.job is None and waiting:
                    worker.job = waiting.popleft()
                    worker.job_started = time.monotonic()
                    worker.connection.send(worker.job[1])
                    running += 1
            for result in self._collect():
                running -= 1
                yield result

    def _collect(self) -> Iterator[tuple[int, dict[str, Any]]]:
        done = wait([w.connection for w in self._workers], timeout=0.05)
        for worker in list(self._workers):
            if worker.connection in done:
                if not worker.ready:
                    self._greet(worker)
                    continue
                assert worker.job is not None
                index = worker.job[0]
                try:
                    kind, payload = worker.connection.recv()
                except (EOFError, OSError):
                    worker.process.join(5)
                    yield (
                        index,
                        self._died(worker, f"the subject ended the interpreter ({_ending(worker.process.exitcode)})"),
                    )
                    continue
                if kind == "fault":
                    raise HarnessFault(payload)
                worker.job = None
                yield index, payload
            elif worker.job is not None:
                reason = self._over_limit(worker)
                if reason:
                    index = worker.job[0]
                    yield index, self._died(worker, reason)

    def _over_limit(self, worker: _Process) -> str | None:
        now, inside = time.monotonic(), worker.shared.value
        if inside and now - inside > self.limits.call_seconds:
            return f"the subject did not return within {self.limits.call_seconds:g} s"
        if now - worker.job_started > self.limits.cell_seconds:
            return f"!the cell did not end within {self.limits.cell_seconds:g} s"
        if _memory(worker.process.pid) > worker.base_memory + self.limits.memory:
            return f"the subject took more than {self.limits.memory / GIBIBYTE:g} GiB of memory"
        return None

    def _died(self, worker: _Process, reason: str) -> dict[str, Any]:
        self._deaths += 1
        worker.process.kill()
        worker.process.join(5)
        worker.connection.close()
        self._workers.remove(worker)
        if self._deaths < MOST_DEATHS:
            self._spawn()
        if reason.startswith("!"):
            return {"status": "skipped", "reason": reason[1:], "findings": []}
        return {
            "status": "failed",
            "reason": reason,
            "findings": [{"message": reason, "program": None, "script": None}],
        }

    def stop(self) -> None:
        """End all workers at once."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join(5)
        self._workers.clear()


def _not_run(reason: str) -> dict[str, Any]:
    return {"status": "not-run", "reason": reason, "findings": []}


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        import signal

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
