"""A model, its optimizers and its schedulers, watched over a whole training run."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from verify.binding.allow import Allowed
from verify.binding.finding import BindingError, BindingWarning, Finding, summary
from verify.binding.fingerprint import KEY, Hooks, Loading, fingerprint
from verify.binding.gradients import UsedTwice
from verify.binding.history import History, data_rebound
from verify.binding.look import Look
from verify.binding.movement import Between, followed
from verify.binding.names import stripped
from verify.binding.rules import AFTER_LOADING, judged
from verify.binding.stepper import Stepper
from verify.binding.subjects import Owner, Subjects, subjects
from verify.binding.track import Track
from verify.binding.user_line import user_frame, user_line
from verify.errors import UsageError, near

WAYS = ("warn", "raise", "collect")
OUTSIDE = (
    "verify.watch looks at the optimizer outside of the graph: compile its step without fullgraph, or close the watch"
)
RARELY = 64  # rounds between two full looks while nothing seems to change


def watch(
    model: Any, optimizers: Any, *, schedulers: Any = (), on_finding: str = "warn", allow: Iterable[str] = ()
) -> Watch:
    """Watch a training run, from this call to ``close()`` or the end of the ``with`` block.

    What is computed stays the same to the bit: no gradient or state is touched and no random number drawn.
    While it watches, an optimizer's state dict has a further key, with the names of its parameters, that
    ``load_state_dict`` ignores.

    Args:
        model, optimizers, schedulers, allow: as for ``audit``.
        on_finding: ``"warn"`` with a BindingWarning, ``"raise"`` a BindingError, or ``"collect"`` in silence. Findings
            of severity ``info`` are only ever collected.

    Raises:
        UsageError: an argument is not what it must be.
        BindingError: with ``on_finding="raise"``, from here or from the step that found it.
    """
    if on_finding not in WAYS:
        raise UsageError(
            f"on_finding must be one of {', '.join(WAYS)}, not {on_finding!r}{near(str(on_finding), WAYS)}"
        )
    return Watch(subjects(model, optimizers, schedulers), on_finding, Allowed(allow))


class Watch:
    """What ``watch`` returns. ``findings`` has all so far, ``info`` included."""

    def __init__(self, subjects: Subjects, on_finding: str, allowed: Allowed):
        self.findings: list[Finding] = []
        self._subjects, self._on_finding, self._allowed = subjects, on_finding, allowed
        self._told: set[tuple[str, str, str]] = set()
        self._handles: list[Any] = []
        self._adopted: tuple[Owner, ...] = ()
        self._round: set[int] = set()
        self._rounds = 0
        self._last: int | None = None  # the optimizer that stepped last,
        self._closing: int | None = None  # and last in the round before
        self._inside: int | None = None  # the one whose step has begun
        self._changed = False
        self._between, self._used_twice = Between(), UsedTwice()
        self._rebound: set[int] = set()
        self._loading: dict[int, Loading] = {}
        look = Look(subjects)
        self._history = History(look)
        self._steppers = {id(o.optimizer): Stepper(o) for o in look.owners}
        self._known = {id(layer): layer for owner in look.owners for layer in owner.layers()}
        self._settle(look)
        self._report(list(judged(look)))
        self._attach()

    def _attach(self) -> None:
        self._handles = [
            register_optimizer_step_pre_hook(torch.compiler.disable(self._before, reason=OUTSIDE)),
            register_optimizer_step_post_hook(torch.compiler.disable(self._after, reason=OUTSIDE)),
            register_module_parameter_registration_hook(self._parameter_assigned),
            register_module_module_registration_hook(self._module_assigned),
            *(Hooks(owner, self._saved, self._loads, self._loaded) for owner in self._subjects.owners),
        ]

    def close(self) -> None:
        """Stop watching and remove every hook. Findings stay."""
        for handle in self._handles:
            handle.remove()
        for stepper in self._steppers.values():
            stepper.close()
        self._handles = []

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- looking ---------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Everything once, as audit does, and what changed since the last look."""
        look = Look(self._subjects, self._history.memory(), self._adopted)
        found = [*judged(look), *self._history.compare(look)]
        look.memory = self._history.memory()  # which has let go what nobody holds
        self._settle(look)
        self._report(found)

    def _settle(self, look: Look) -> None:
        """Take a look as the one that later steps are compared with."""
        self._changed = False
        self._current = look
        self._track = Track(look, getattr(self, "_track", None))
        self._modules = {id(module): (module, prefix) for prefix, module in look.modules}
        self._unowned = [t for _, t in look.tensors if id(t) not in look.holders]
        self._followed = followed(look)
        for number, owner in enumerate(look.owners):
            self._steppers[id(owner.optimizer)].settle(look, number)

    def _report(self, found: Iterable[Finding]) -> None:
        new = []
        for finding in found:
            key = (finding.code, finding.parameter, finding.severity)
            if key not in self._told and finding not in self._allowed:
                self._told.add(key)
                new.append(finding)
        self.findings += new
        serious = [finding for finding in new if finding.severity != "info"]
        if serious and self._on_finding == "raise":
            raise BindingError(serious)
        if serious and self._on_finding == "warn":
            frame = user_frame()
            warnings.warn_explicit(summary(serious), BindingWarning, frame.f_code.co_filename, frame.f_lineno)

    # -- stepping --------------------------------------------------------------------------------------

    def _before(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        stepper = self._steppers.get(id(optimizer)) or self._meet(optimizer)
        if stepper is None or _capturing():
            return
        if not self._round or id(optimizer) in self._round:
            self._start_round()
        else:
            self._between.forget()
        self._round.add(id(optimizer))
        self._last = self._inside = id(optimizer)
        found = list(stepper.before(args, kwargs, self._rounds, self._unowned, self._steppers.values()))
        if stepper.shared:
            found += self._used_twice.before(id(optimizer), stepper.shared, stepper.owner.name)
        found += stepper.takes_over(self._current, self._rounds, self._steppers)
        if found:
            self._report(found)

    def _after(self, optimizer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        stepper = self._steppers.get(id(optimizer))
        if stepper is None or _capturing():
            return
        self._inside = None
        found = list(stepper.after())
        if stepper.shared:
            self._used_twice.after(id(optimizer), stepper.shared)
        if self._closing in (id(optimizer), None):
            self._between.after(self._followed, self._rounds)
        if found:
            self._report(found)

    def _start_round(self) -> None:
        """The first step of a round: every optimizer steps at most once in one."""
        self._round.clear()
        self._rounds += 1
        self._closing = self._last
        found = list(self._between.before())
        if self._changed or self._rounds % RARELY == 2 or self._track.changed():
            self._look()
        elif moved := [t for t in self._track.rebound_data() if id(t) not in self._rebound]:
            self._rebound |= {id(t) for t in moved}  # some are given other memory in every step
            found += [data_rebound(self._current.name(t) or "") for t in moved]
            self._look()
        if found:
            self._report(found)

    def _meet(self, optimizer: Any) -> Stepper | None:
        """An optimizer that was not given: taken in when it holds parameters of the model."""
        if id(optimizer) in self._known or self._inside is not None:  # a part of the optimizer that is stepping
            return None
        self._known[id(optimizer)] = optimizer
        owner = Owner(f"an optimizer that was not given ({type(optimizer).__name__})", optimizer, optimizer)
        if not any(id(t) in self._current.names for _, _, t in owner.slots()):
            return None
        self._adopted = (*self._adopted, owner)
        stepper = self._steppers[id(optimizer)] = Stepper(owner, given=False)
        self._changed = True
        return stepper

    # -- assigning -------------------------------------------------------------------------------------

    def _parameter_assigned(self, module: Module, name: str, parameter: Tensor | None) -> None:
        if id(module) in self._modules:
            self._assigned(module, [name])

    def _module_assigned(self, module: Module, name: str, child: Module | None) -> None:
        if id(module) in self._modules and child is not None:
            self._assigned(module, [f"{name}.{inner}" for inner, _ in child.named_parameters()])

    def _assigned(self, module: Module, names: list[str]) -> None:
        self._changed = True
        prefix = self._modules[id(module)][1]
        line = user_line()
        for name in names:
            self._history.lines[stripped(f"{prefix}.{name}" if prefix else name)] = line

    # -- saving and loading ----------------------------------------------------------------------------

    def _saved(self, optimizer: Any, state_dict: dict[str, Any]) -> None:
        look = Look(self._subjects)
        state_dict[KEY] = fingerprint(look, self._number(look, optimizer))

    def _loads(self, optimizer: Any, state_dict: dict[str, Any]) -> None:
        look = Look(self._subjects)
        loading = self._loading[id(optimizer)] = Loading(look, self._number(look, optimizer), state_dict)
        self._report(loading.before())

    def _loaded(self, optimizer: Any) -> None:
        self._changed = True
        loading = self._loading.pop(id(optimizer), None)
        if loading is not None:
            self._report([*loading.after(), *judged(Look(self._subjects, self._history.memory()), AFTER_LOADING)])

    def _number(self, look: Look, optimizer: Any) -> int:
        return next(i for i, owner in enumerate(look.owners) if owner.optimizer is optimizer)


def _capturing() -> bool:
    """Whether a CUDA graph is being captured, during which nothing may be waited for."""
    return torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()
