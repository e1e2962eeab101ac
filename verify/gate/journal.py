"""The journal of a gate: one line for each cell as it ends, so that a run that was cut off can be resumed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, Any

from verify.certificate import Cell
from verify.errors import UsageError


class Journal:
    """Results by subject and cell. A line that was not written to its end is as good as none.

    Args:
        path: the file.
        identity: what the results belong to: settings, versions, shard. A journal of another identity is not resumed.
        resume: whether results that are there are kept; without it the journal begins anew.

    Raises:
        UsageError: the file cannot be read or written, or belongs to something else.
    """

    def __init__(self, path: Path, identity: dict[str, Any], *, resume: bool):
        self.path = path
        self.results: dict[tuple[str, tuple], dict[str, Any]] = {}
        lines = self._read(identity) if resume else []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # begun anew, so that what is added does not follow a torn line
            self.file: IO[str] = path.open("w", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write the journal {str(path)!r}: {error.strerror or error}") from None
        self._write(identity)
        for line in lines:
            self._write(line)
            self.results[line["subject"], tuple(line["cell"])] = line["result"]

    def _read(self, identity: dict[str, Any]) -> list[dict[str, Any]]:
        try:
            text = self.path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            raise UsageError(
                f"there is no journal {str(self.path)!r} to resume; run the gate without --resume"
            ) from None
        except OSError as error:
            raise UsageError(f"cannot read the journal {str(self.path)!r}: {error.strerror or error}") from None
        first, *rest = text.splitlines(keepends=True) or [""]
        if _whole(first) != json.loads(json.dumps(identity)):
            raise UsageError(
                f"the journal {str(self.path)!r} is of another run (settings, versions or shard differ, or it is "
                "damaged); run the gate without --resume"
            )
        found = [_whole(line) for line in rest]
        return [line for line in found if isinstance(line, dict) and line.keys() == {"subject", "cell", "result"}]

    def add(self, subject: str, cell: Cell, result: dict[str, Any]) -> None:
        """Keep the result of a cell, on disk before this returns."""
        self._write({"subject": subject, "cell": list(cell.key), "result": result})

    def _write(self, line: dict[str, Any]) -> None:
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        os.fsync(self.file.fileno())

    def end(self, *, keep: bool) -> None:
        """Close the journal; what is complete needs none."""
        self.file.close()
        if not keep:
            self.path.unlink(missing_ok=True)


def _whole(line: str) -> Any:
    """The content of a line, or None for one that was cut off."""
    try:
        return json.loads(line) if line.endswith("\n") else None
    except (json.JSONDecodeError, RecursionError):
        return None
