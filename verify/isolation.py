"""Guards against what a subject may do to the process it runs in."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional

_WATCHED: tuple[Any, ...] = (
    torch,
    torch.Tensor,
    torch.nn.functional,
    torch.nn.Module,
    torch.optim,
    torch.optim.Optimizer,
    sys.modules["torch.optim.optimizer"],
    torch.autograd,
    torch.linalg,
)
# attributes that torch itself sets lazily or on the way
_OWN_BUSINESS = {"__dict__", "__warningregistry__", "__doc__", "_dynamo", "_inductor", "_export"}


def _attributes() -> list[dict[str, Any]]:
    return [
        {k: v for k, v in vars(owner).items() if k not in _OWN_BUSINESS and not isinstance(v, ModuleType)}
        for owner in _WATCHED
    ]


class Guard(AbstractContextManager):
    """Notices and undoes changes of torch's global state, and text printed to stdout.

    After the block, ``changes`` holds one sentence for each; everything is as it was before.
    """

    def __init__(self) -> None:
        self.changes: list[str] = []

    def __enter__(self) -> Guard:
        self._settings = _settings()
        self._random = torch.get_rng_state()
        self._attributes = _attributes()
        self._stdout = sys.stdout
        sys.stdout = self._captured = io.StringIO()
        return self

    def __exit__(self, *exc: object) -> None:
        printed = self._captured.getvalue()
        sys.stdout = self._stdout
        for name, (before, restore) in self._settings.items():
            now = _settings()[name][0]
            if now != before:
                self.changes.append(f"the subject changed torch's {name} from {before} to {now}")
                restore(before)
        if not torch.equal(torch.get_rng_state(), self._random):
            self.changes.append("the subject changed torch's random state (it drew numbers or set the seed)")
            torch.set_rng_state(self._random)
        self._compare_attributes()
        if printed:
            first = printed.strip().splitlines()[0][:80] if printed.strip() else printed[:20]
            self.changes.append(f"the subject printed to stdout: {first!r}")

    def _compare_attributes(self) -> None:
        for owner, before, now in zip(_WATCHED, self._attributes, _attributes(), strict=True):
            name = getattr(owner, "__qualname__", getattr(owner, "__name__", str(owner)))
            for key, value in before.items():
                if key not in now or now[key] is not value:
                    if callable(value):
                        self.changes.append(f"the subject replaced {name}.{key}")
                    setattr(owner, key, value)


def _settings() -> dict[str, tuple[Any, Any]]:
    return {
        "default dtype": (torch.get_default_dtype(), torch.set_default_dtype),
        "grad mode": (torch.is_grad_enabled(), torch.set_grad_enabled),
        "thread count": (torch.get_num_threads(), torch.set_num_threads),
        "deterministic mode": (
            torch.are_deterministic_algorithms_enabled(),
            torch.use_deterministic_algorithms,
        ),
        "anomaly mode": (torch.is_anomaly_enabled(), torch.autograd.set_detect_anomaly),
    }


@contextmanager
def stdout_to(file) -> Iterator[None]:
    """Send the process's stdout, also that of C code, to an open file."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(file.fileno(), 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(saved, 1)
        os.close(saved)
