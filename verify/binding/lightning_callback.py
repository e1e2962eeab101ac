"""A callback for Lightning: ``Trainer(callbacks=[BindingCallback()])``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from verify.binding.watch import Watch, watch

try:
    from lightning.pytorch.callbacks import Callback
except ImportError:
    from pytorch_lightning.callbacks import Callback  # the same under its older name


class BindingCallback(Callback):
    """Watches the module, its optimizers and its schedulers from the start of ``fit`` to its end.

    Args:
        on_finding, allow: as for ``verify.watch``. ``watching`` is what that returned.
    """

    def __init__(self, on_finding: str = "warn", allow: Iterable[str] = ()):
        super().__init__()
        self.on_finding, self.allow = on_finding, tuple(allow)
        self.watching: Watch | None = None

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
        self.watching = watch(
            trainer.model, trainer.optimizers, schedulers=schedulers, on_finding=self.on_finding, allow=self.allow
        )

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if self.watching is not None:
            self.watching.close()
