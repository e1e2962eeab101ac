"""Which line of user code we are called from."""

from __future__ import annotations

import linecache
import sys
from pathlib import Path
from types import FrameType

import torch

_OURS = str(Path(__file__).parent)
_TORCH = str(Path(torch.__file__).parent)
_INSTALLED = ("site-packages", "dist-packages")


def user_frame() -> FrameType:
    """The innermost frame outside torch and this package; one that is not installed by pip is preferred."""
    frame: FrameType | None = sys._getframe(1)
    library = None
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith((_OURS, _TORCH, "<")):
            if not any(part in file for part in _INSTALLED):
                return frame
            library = library or frame
        frame = frame.f_back
    return library or sys._getframe(1)


def user_line() -> str:
    """That line, as ``file:number in function: code``."""
    frame = user_frame()
    code = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
    where = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
    return f"{where}: {code}" if code else where
