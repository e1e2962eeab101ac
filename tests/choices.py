"""Every rule with its options, for tests of all of them."""

from collections.abc import Iterator

import pytest

from reference import RULES, UpdateRule
from reference.rule import Options


def _chosen(rule: UpdateRule) -> Iterator[Options]:
    """All choices of what torch has; of the others the plain one, and the one in which all that fits is chosen."""
    first, *others = rule.choices()
    yield first
    yield from others if rule.torch else others[-1:]


STEPS = [
    pytest.param(rule.step(options), id="-".join([rule.name, *(k for k, v in options.items() if v)]))
    for rule in RULES.values()
    for options in _chosen(rule)
]
