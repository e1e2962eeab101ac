"""Words for the sentences of variants."""

from __future__ import annotations

import re
from collections.abc import Iterable

import sympy


def spoken(e: sympy.Basic | str) -> str:
    """An expression as it may stand in a sentence: quantities by their names, old or new."""
    text = re.sub(r"(\d\.\d*?)0+(?=\D|$)", r"\1", str(e))
    text = text.replace("'", "").replace("_unset", " unset")
    return "epsilon" if text in ("eps", "epsilon") else text


def compact(e: sympy.Basic) -> str:
    """An expression as part of a name."""
    return re.sub(r"(\d\.\d*?)0+(?=\D|$)", r"\1", str(e)).replace(" ", "")


def listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
