"""The one exception that a user's mistake raises."""


class UsageError(ValueError):
    """The command or the subject cannot be used. The message is one sentence that says what to do."""


def one_line(error: BaseException, most: int = 300) -> str:
    """An exception as one line of text."""
    try:
        text = " ".join(str(error).split())
    except Exception:  # somebody else's exception, whose own text fails
        text = ""
    text = text if len(text) <= most else text[:most] + " …"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
