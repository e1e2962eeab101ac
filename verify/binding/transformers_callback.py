"""A callback for Hugging Face's Trainer: ``Trainer(..., callbacks=[BindingCallback()])``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from transformers import TrainerCallback

from verify.binding.watch import Watch, watch


class BindingCallback(TrainerCallback):
    """Watches the model, its optimizer and its scheduler from the start of ``train`` to its end.

    Args:
        on_finding, allow: as for ``verify.watch``. ``watching`` is what that returned.
    """

    def __init__(self, on_finding: str = "warn", allow: Iterable[str] = ()):
        self.on_finding, self.allow = on_finding, tuple(allow)
        self.watching: Watch | None = None

    def on_train_begin(
        self, args: Any, state: Any, control: Any, model: Any, optimizer: Any, lr_scheduler: Any, **_: Any
    ) -> None:
        self._close()  # a run before this one may have ended in an exception
        schedulers = [] if lr_scheduler is None else [lr_scheduler]
        self.watching = watch(model, optimizer, schedulers=schedulers, on_finding=self.on_finding, allow=self.allow)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._close()

    def _close(self) -> None:
        if self.watching is not None:
            self.watching.close()
