"""Guards against what a subject may do to the process it runs in."""

from __future__ import annotations

import gc
import io
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from types import ModuleType
from typing import Any

import numpy as np
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


# what compilers and test runners note for themselves
_NOTED = ("TORCHINDUCTOR_", "_TORCHINDUCTOR_", "TRITON_", "TORCH_", "KMP_", "CUDA_HOME", "CUBLAS_WORKSPACE_", "PYTEST_")


class _Captured(io.StringIO):
    def close(self) -> None:
        """What was printed can be read also after the subject closed its stdout."""


class Guard(AbstractContextManager):
    """Notices and undoes changes of the global state of torch, Python and numpy, and text printed to stdout.

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
                self.changes.append(f"the subject changed {_told(name, before, now)}")
                restore(before)
        for (name, before, restore), (_, now, _) in zip(self._random, _random_states(), strict=True):
            if not _equal(before, now):
                self.changes.append(f"the subject changed {name} random state (it drew numbers or set the seed)")
                restore(before)
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


def _settings() -> dict[str, tuple[Any, Callable[[Any], Any]]]:
    fill: Any = torch.utils.deterministic
    return {
        "torch's default dtype": (torch.get_default_dtype(), torch.set_default_dtype),
        "torch's grad mode": (torch.is_grad_enabled(), torch.set_grad_enabled),
        "torch's thread count": (torch.get_num_threads(), torch.set_num_threads),
        "torch's deterministic mode": (
            (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()),
            lambda before: torch.use_deterministic_algorithms(before[0], warn_only=before[1]),
        ),
        "torch's filling of new memory": (
            fill.fill_uninitialized_memory,
            partial(setattr, fill, "fill_uninitialized_memory"),
        ),
        "torch's anomaly mode": (torch.is_anomaly_enabled(), torch.autograd.set_detect_anomaly),
        "torch's default device": (torch.get_default_device(), _set_default_device),
        "torch's float32 matmul precision": (
            torch.get_float32_matmul_precision(),
            torch.set_float32_matmul_precision,
        ),
        "torch's flushing of subnormal numbers": (_flushes(), torch.set_flush_denormal),
        "torch's autocast": (torch.is_autocast_enabled("cpu"), partial(torch.set_autocast_enabled, "cpu")),
        "torch's print options": (dict(vars(torch._tensor_str.PRINT_OPTS)), _set_print_options),
        "Python's warning filters": (list(warnings.filters), _set_filters),
        "Python's garbage collector": ((gc.isenabled(), gc.get_threshold()), _set_collector),
        "the environment": (
            {k: v for k, v in os.environ.items() if not k.startswith(_NOTED)},
            _set_environment,
        ),
        "the working directory": (_directory(), os.chdir),
        "numpy's handling of errors": (np.geterr(), lambda before: np.seterr(**before)),
    }


def _told(name: str, before: Any, now: Any) -> str:
    """A setting and its values; of a long one what is in it that was not."""
    if isinstance(before, dict):
        keys = sorted(k for k in before.keys() | now.keys() if before.get(k) != now.get(k))
        shown = ", ".join(f"{k} from {before.get(k)!r} to {now.get(k)!r}" for k in keys)
        return f"{name}: {shown}"
    if isinstance(before, list):
        return name
    return f"{name} from {before} to {now}"


def _set_print_options(options: dict[str, Any]) -> None:
    for name, value in options.items():
        setattr(torch._tensor_str.PRINT_OPTS, name, value)


def _set_filters(filters: list) -> None:
    warnings.filters[:] = filters  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]


def _set_collector(before: tuple[bool, tuple[int, int, int]]) -> None:
    gc.set_threshold(*before[1])
    (gc.enable if before[0] else gc.disable)()


def _set_environment(before: dict[str, str]) -> None:
    for key in [k for k in os.environ if k not in before and not k.startswith(_NOTED)]:
        del os.environ[key]
    os.environ.update(before)


def _directory() -> str:
    try:
        return os.getcwd()
    except OSError:
        return os.sep


def _set_default_device(device: torch.device) -> None:
    torch.set_default_device(None if device.type == "cpu" else device)


def _flushes() -> bool:
    return (torch.full((1,), 5e-324, dtype=torch.float64, device="cpu") * 1.0).item() == 0.0


def _random_states() -> list[tuple[str, Any, Callable[[Any], Any]]]:
    """Generators of random numbers: whose they are, what they are at, and how to put that back."""
    states: list[tuple[str, Any, Callable[[Any], Any]]] = [
        ("torch's", [torch.get_rng_state()], lambda before: torch.set_rng_state(before[0])),
        ("Python's", random.getstate(), random.setstate),
        ("numpy's", np.random.get_state(), np.random.set_state),
    ]
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states.append(("torch's cuda", torch.cuda.get_rng_state_all(), torch.cuda.set_rng_state_all))
    return states


def _equal(before: Any, now: Any) -> bool:
    """Whether two states of a generator are the same."""
    if isinstance(before, torch.Tensor):
        return torch.equal(before, now)
    if isinstance(before, np.ndarray):
        return bool(np.array_equal(before, now))
    if isinstance(before, list | tuple) and any(isinstance(x, torch.Tensor | np.ndarray) for x in before):
        return len(before) == len(now) and all(map(_equal, before, now))
    return bool(before == now)


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
