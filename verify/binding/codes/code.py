"""What there is to say about one kind of finding."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """One kind of finding.

    Args:
        name: as in ``Finding.code``.
        severity: what it can be, in words.
        sentence: what is the case.
        wrong: what goes wrong then.
        seen: how it is seen, and by which of ``audit`` and ``watch``.
        alarm: when it would be a false alarm.
        write: what to write instead.
    """

    name: str
    severity: str
    sentence: str
    wrong: str
    seen: str
    alarm: str
    write: str

    def explanation(self) -> str:
        """All of it, as text."""
        parts = {
            "severity": self.severity,
            "what goes wrong": self.wrong,
            "how it is seen": self.seen,
            "false alarms": self.alarm,
            "write instead": self.write,
        }
        lines = textwrap.wrap(f"{self.name}: {self.sentence}", 100)
        for title, text in parts.items():
            lines += ["", title, *textwrap.wrap(text, 100, initial_indent="  ", subsequent_indent="  ")]
        return "\n".join([*lines, "", f'To accept it: allow=["{self.name}"], or allow=["{self.name}:name.or.glob*"].'])
