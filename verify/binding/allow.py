"""Which findings the user accepts."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from verify.binding.codes import CODES
from verify.binding.finding import Finding
from verify.errors import UsageError, near


class Allowed:
    """Codes, and ``code:name`` with a glob for the qualified name.

    Raises:
        UsageError: not strings, or no such code.
    """

    def __init__(self, allow: Iterable[str]):
        if isinstance(allow, str):
            raise UsageError(f"allow must be a list of codes, not the text {allow!r}: write allow=[{allow!r}]")
        self._patterns = [_pattern(item) for item in allow]

    def __contains__(self, finding: Finding) -> bool:
        return any(finding.code == code and fnmatchcase(finding.parameter, name) for code, name in self._patterns)


def _pattern(item: str) -> tuple[str, str]:
    if not isinstance(item, str):
        raise UsageError(f"allow must be a list of codes or 'code:parameter', and has {item!r}")
    code, _, name = item.partition(":")
    if code not in CODES:
        raise UsageError(f"allow has no such code as {code!r}{near(code, CODES)}; codes are {', '.join(CODES)}")
    return code, name or "*"
