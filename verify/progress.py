"""Progress: a bar on a terminal, plain lines elsewhere. It only listens to the engine's events."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import Any

from verify.certificate import Cell, Certificate, FindingRecord
from verify.certification import Events


class Progress(AbstractContextManager):
    """Shows how far a run is, on stderr."""

    def __init__(self) -> None:
        self.events = Events(self._started, self._cell_done, self._found)
        self._bar: Any = None
        self._task: Any = None
        self._done = self._planned = 0

    def _started(self, certificate: Certificate) -> None:
        self._planned, self._done = len(certificate.cells), 0
        self.close()
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(certificate.subject, total=self._planned)
        else:
            print(f"{certificate.subject}: {self._planned} cells", file=sys.stderr)

    def _cell_done(self, cell: Cell) -> None:
        self._done += 1
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task)
        elif self._done == self._planned or self._done % max(1, self._planned // 4) == 0:
            print(f"{self._done}/{self._planned} cells", file=sys.stderr)

    def _found(self, finding: FindingRecord) -> None:
        if self._bar is not None:
            self._bar.console.print(
                f"[red]✗[/red] {finding.check} {finding.dtype} {finding.implementation}", highlight=False
            )

    def close(self) -> None:
        """End the bar, if there is one."""
        if self._bar is not None:
            self._bar.stop()

    def __exit__(self, *exc: object) -> None:
        self.close()
