"""The one exception that a user's mistake raises."""


class UsageError(ValueError):
    """The command or the subject cannot be used. The message is one sentence that says what to do."""


def one_line(error: BaseException) -> str:
    """An exception as one line of text."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
