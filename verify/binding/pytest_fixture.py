"""A pytest fixture. In ``conftest.py``: ``pytest_plugins = ["verify.binding.pytest_fixture"]``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from verify.binding.finding import summary


@pytest.fixture
def watch_binding() -> Iterator[Callable[..., Any]]:
    """``verify.watch`` for the length of a test, which fails at its end with all errors and warnings."""
    from verify.binding.watch import watch

    watching: list[Any] = []

    def begin(model: Any, optimizers: Any, **options: Any) -> Any:
        watching.append(watch(model, optimizers, **{"on_finding": "collect", **options}))
        return watching[-1]

    yield begin
    found = [finding for each in watching for finding in each.findings if finding.severity != "info"]
    for each in watching:
        each.close()
    if found:
        pytest.fail(summary(found), pytrace=False)
