"""Guards against what a subject may do to the process it runs in."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from types import ModuleType
from typing import Any

import torch
import torch._dynamo  # replaces functions of torch when it is first imported, which the first optimizer does
import torch.nn.functional

_WATCHED: dict[str, Any] = {
    "torch": torch,
    "torch.Tensor": torch.Tensor,
    "torch.nn.functional": torch.nn.functional,
    "torch.nn.Module": torch.nn.Module,
    "torch.optim": torch.optim,
    "torch.optim.Optimizer": torch.optim.Optimizer,
    "torch.optim.optimizer": sys.modules["torch.optim.optimizer"],
    "torch.autograd": torch.autograd,
    "torch.linalg": torch.linalg,
}
# registries of hooks that run for every optimizer and every module
_HOOKS: dict[str, dict] = {
    f"{module}.{name}": registry
    for module in ("torch.optim.optimizer", "torch.nn.modules.module")
    for name, registry in vars(sys.modules[module]).items()
    if name.startswith("_global_") and isinstance(registry, dict)
}
# attributes that torch itself sets lazily or on the way
# (Storage goes with the default dtype)
_OWN_BUSINESS = {
    "__dict__",
    "__warningregistry__",
    "__doc__",
    "_dynamo",
    "_inductor",
    "_export",
    "Storage",
    "__slotnames__",
}


def _attributes() -> list[dict[str, Any]]:
    return [
        {k: v for k, v in vars(owner).items() if k not in _OWN_BUSINESS and not isinstance(v, ModuleType)}
        for owner in _WATCHED.values()
    ]


class _Captured(io.StringIO):
    def close(self) -> None:
        """What was printed can be read also after the subject closed its stdout."""


class Guard(AbstractContextManager):
    """Notices and undoes changes of torch's global state, and text printed to stdout.

    After the block, ``changes`` holds one sentence for each; everything is as it was before.
    """

    def __init__(self) -> None:
        self.changes: list[str] = []

    def __enter__(self) -> Guard:
        self._settings = _settings()
        self._random = _random_states()
        self._attributes = _attributes()
        self._hooks = {name: dict(registry) for name, registry in _HOOKS.items()}
        self._stdout = sys.stdout
        sys.stdout = self._captured = _Captured()
        return self

    def __exit__(self, *exc: object) -> None:
        printed = self._captured.getvalue()
        sys.stdout = self._stdout
        # first of all, for what follows calls torch
        self._compare_attributes()
        for name, (before, restore) in self._settings.items():
            now = _settings()[name][0]
            if now != before:
                self.changes.append(f"the subject changed torch's {name} from {before} to {now}")
                restore(before)
        if not all(map(torch.equal, _random_states(), self._random)):
            self.changes.append("the subject changed torch's random state (it drew numbers or set the seed)")
            torch.set_rng_state(self._random[0])
            if len(self._random) > 1:
                torch.cuda.set_rng_state_all(self._random[1:])
        if printed:
            first = printed.strip().splitlines()[0][:80] if printed.strip() else printed[:20]
            self.changes.append(f"the subject printed to stdout: {first!r}")

    def _compare_attributes(self) -> None:
        for (name, owner), before, now in zip(_WATCHED.items(), self._attributes, _attributes(), strict=True):
            for key, value in before.items():
                if key not in now or now[key] is not value:
                    if callable(value):
                        self.changes.append(f"the subject replaced {name}.{key}")
                    setattr(owner, key, value)
            # a class inherits from C; a new attribute of it takes the place of an inherited one
            for key in now.keys() - before.keys() if isinstance(owner, type) else ():
                self.changes.append(f"the subject replaced {name}.{key}")
                delattr(owner, key)
        for name, registry in _HOOKS.items():
            if registry != self._hooks[name]:
                self.changes.append(f"the subject left a hook in {name}")
                registry.clear()
                registry.update(self._hooks[name])


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
        "default device": (torch.get_default_device(), _set_default_device),
        "float32 matmul precision": (torch.get_float32_matmul_precision(), torch.set_float32_matmul_precision),
        "flushing of subnormal numbers": (_flushes(), torch.set_flush_denormal),
    }


def _set_default_device(device: torch.device) -> None:
    torch.set_default_device(None if device.type == "cpu" else device)


def _flushes() -> bool:
    return (torch.full((1,), 5e-324, dtype=torch.float64, device="cpu") * 1.0).item() == 0.0


def _random_states() -> list[torch.Tensor]:
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    return [torch.get_rng_state(), *cuda]


@cache
def warm_compiler() -> None:
    """Compile something: the first time, the compiler itself replaces methods of torch.nn.Module."""
    torch.compile(lambda x: x + 1, backend="eager")(torch.zeros(1))


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
