"""The one exception that a user's mistake raises."""

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """The command or the subject cannot be used. The message is one sentence that says what to do."""


def near(name: str, known: Iterable[str]) -> str:
    """A hint for a misspelt name, to end a message with: the nearest known one, or nothing."""
    found = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {found[0]!r}?" if found else ""


def one_line(error: BaseException, most: int = 300) -> str:
    """An exception as one line of text."""
    try:
        text = " ".join(str(error).split()).encode("utf-8", "backslashreplace").decode()
    except Exception:  # somebody else's exception, whose own text fails
        text = ""
    text = text if len(text) <= most else text[:most] + " …"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
