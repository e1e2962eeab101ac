"""The memory of earlier runs: programs that failed are kept in a Hypothesis example database and tried first.

They are kept as JSON under a key of their own, so they outlive changes of the strategies that drew them. Any
Hypothesis database serves: a folder, a folder that a team shares, Redis.
"""

from __future__ import annotations

import importlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from verify.errors import UsageError, one_line
from verify.program import Program

if TYPE_CHECKING:
    from hypothesis.database import ExampleDatabase

DEFAULT = ".optim-verify/examples"
VARIABLE = "OPTIM_VERIFY_DATABASE"
MOST_KEPT = 20
_MODULE = re.compile(r"[A-Za-z_]\w*(\.\w+)*:[A-Za-z_]\w*(\.\w+)*")


def default() -> str:
    """Where failures are kept when nothing is said: what the environment says, or a folder of the project."""
    return os.environ.get(VARIABLE) or DEFAULT


def check(text: str) -> None:
    """Find out before a run whether a database can be used; ``none`` and ``module:NAME`` are left to the workers.

    Raises:
        UsageError: it is no folder, or cannot be written.
    """
    from verify.certificate import check_writable

    if text == "none" or _MODULE.fullmatch(text):
        return
    path = Path(text)
    check_writable(path, "--database", folder=True)
    if path.is_dir() and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise UsageError(f"--database {text!r} cannot be read; choose another folder, or --database none")


def hide(text: str) -> None:
    """Tell git to leave the default folder alone."""
    folder = Path(DEFAULT).parent
    if text == DEFAULT and folder.is_dir():
        with suppress(OSError):
            if not (folder / ".gitignore").exists():
                (folder / ".gitignore").write_text("*\n", encoding="utf-8")


def open_database(text: str) -> ExampleDatabase | None:
    """The database of a path, of ``module:NAME`` (an object, or what makes one), or None for ``none``.

    Raises:
        UsageError: there is no such module or object, or it is no database.
    """
    from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase

    if text == "none":
        return None
    if not _MODULE.fullmatch(text):
        return DirectoryBasedExampleDatabase(text)
    module, _, names = text.partition(":")
    try:
        found = importlib.import_module(module)
        for name in names.split("."):
            found = getattr(found, name)
        if not isinstance(found, ExampleDatabase) and callable(found):
            found = found()  # type: ignore[operator]
    except Exception as error:
        raise UsageError(f"--database {text!r}: {one_line(error)}") from None
    if not isinstance(found, ExampleDatabase):
        raise UsageError(f"--database {text!r} is {type(found).__name__}, not a Hypothesis example database")
    return found


@dataclass
class Memory:
    """Failing programs of one cell.

    Args:
        database: where they are kept; None keeps none.
        key: of the cell.
        fault: why the database could not be used.
    """

    database: ExampleDatabase | None = None
    key: bytes = b""
    fault: str = ""
    _recalled: bool = False

    def recall(self) -> Iterator[Program]:
        """Programs that failed in earlier runs, small ones first; once."""
        from verify.program_json import from_json

        if self.database is None or self._recalled:
            return
        self._recalled = True
        try:
            kept = sorted(self.database.fetch(self.key), key=lambda b: (len(b), b))
        except Exception as error:
            self._broke(error)
            return
        for number, data in enumerate(kept):
            try:
                if number >= MOST_KEPT:
                    raise ValueError
                program = from_json(json.loads(data))
            except (ValueError, RecursionError):  # UsageError is a ValueError
                self._delete(data)
            else:
                yield program

    def keep(self, program: Program) -> None:
        """Remember a program that fails."""
        if self.database is not None:
            try:
                self.database.save(self.key, _bytes(program))
            except Exception as error:
                self._broke(error)

    def forget(self, program: Program) -> None:
        """A program passes now."""
        self._delete(_bytes(program))

    def _delete(self, data: bytes) -> None:
        if self.database is not None:
            try:
                self.database.delete(self.key, data)
            except Exception as error:
                self._broke(error)

    def _broke(self, error: Exception) -> None:
        """Somebody's server is away: the run goes on without, and says so."""
        self.database = None
        self.fault = f"the example database failed with {one_line(error)}"


def _bytes(program: Program) -> bytes:
    from verify.program_json import to_json

    return json.dumps(to_json(program)).encode()
