"""Where a subject is defined: the file and line that a report points to."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def location(factory: Callable[..., Any]) -> dict[str, Any] | None:
    """File and line of ``step``, or of the function that builds the optimizer; None where there is no source.

    The file is relative to the working directory, or to the folder that Python imported it from.
    """
    thing: Any = getattr(factory, "step", factory)
    try:
        thing = inspect.unwrap(thing)
        file, line = inspect.getsourcefile(thing), inspect.getsourcelines(thing)[1]
    except (TypeError, OSError, ValueError):
        return None
    return {"file": _relative(Path(file)), "line": max(line, 1)} if file else None


def _relative(file: Path) -> str:
    # the innermost folder: a virtual environment may lie in the working directory
    roots = {Path(place).resolve() for place in ("", *sys.path)}
    inside = [root for root in roots if file.resolve().is_relative_to(root)]
    return file.resolve().relative_to(max(inside, key=lambda r: len(r.parts))).as_posix() if inside else file.name
