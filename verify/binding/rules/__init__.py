"""The rules that need one look alone, grouped by meaning. Each takes a look and yields findings."""

from __future__ import annotations

from collections.abc import Iterator

from verify.binding.finding import Finding
from verify.binding.look import Look
from verify.binding.rules import (
    groups,
    options,
    ownership,
    parallel,
    schedulers,
    state,
    storage,
    unregistered,
    wrappers,
)

RULES = (
    *ownership.RULES,
    *storage.RULES,
    *groups.RULES,
    *options.RULES,
    *wrappers.RULES,
    *state.RULES,
    *schedulers.RULES,
    *unregistered.RULES,
    *parallel.RULES,
)


def judged(look: Look) -> Iterator[Finding]:
    """All findings of one look."""
    for rule in RULES:
        yield from rule(look)
