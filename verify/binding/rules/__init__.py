"""The rules that need one look alone, grouped by meaning. Each takes a look and yields findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

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


# what can be said in the middle of a resume, when the scheduler may not be loaded yet
AFTER_LOADING = (*state.RULES, groups.names_disagree)


def judged(look: Look, rules: Sequence[Callable[[Look], Iterator[Finding]]] = RULES) -> Iterator[Finding]:
    """All findings of one look."""
    for rule in rules:
        yield from rule(look)
