"""Which gradients a step finds: none, an old one, or one that another optimizer has used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from verify.binding.finding import Finding
from verify.binding.movement import Named
from verify.binding.values import differ, sample


def none_there(name: str, again: bool, elsewhere: bool) -> Finding:
    """Every gradient of an optimizer is None.

    Args:
        again: so it was in its last step.
        elsewhere: parameters of the model that no optimizer holds have gradients.
    """
    where = " The gradients are at parameters of the model that no optimizer holds." if elsewhere else ""
    twice = " for the second time in a row" if again and not elsewhere else ""
    return Finding(
        "no-gradients",
        "warning" if again or elsewhere else "info",
        name,
        f"step() was called{twice} while every gradient of its parameters is None, and did nothing.{where} Call loss.backward() "
        "before it, on the model whose parameters it holds: optimizer = Optimizer(model.parameters(), ...).",
    )


class UsedTwice:
    """Gradients of parameters that two optimizers hold, as the last one of them left them."""

    def __init__(self) -> None:
        self._used: dict[int, tuple[int, Tensor, Tensor | None]] = {}

    def before(self, stepping: int, shared: list[Named], caller: str) -> Iterator[Finding]:
        for name, tensor in shared:
            owner, grad, values = self._used.get(id(tensor), (stepping, None, None))
            if owner == stepping or grad is None or tensor.grad is not grad or values is None or not values.any():
                continue
            if not differ([values], [sample(grad)]):
                yield Finding(
                    "stepped-twice",
                    "error",
                    name,
                    f"{caller} steps it on a gradient that another optimizer has just used, so it moves twice for one backward pass. "
                    "Give every parameter to one optimizer, or call zero_grad() and backward() between the two steps.",
                )

    def after(self, stepping: int, shared: list[Named]) -> None:
        for _, tensor in shared:
            if tensor.grad is not None:
                self._used[id(tensor)] = (stepping, tensor.grad, sample(tensor.grad))


class Kept:
    """Whether the gradient of one parameter is ever zeroed between two steps.

    Nothing is done unless the gradient is the same object in two steps in a row, as zero_grad leaves another. Then the
    gradient's elements are followed from the end of one step through every backward to the next: as long as each backward
    finds what was there before, nobody zeroed it.
    """

    def __init__(self) -> None:
        self._grad: Tensor | None = None
        self._tensor: Named | None = None
        self._values: Tensor | None = None
        self._unbroken, self._backwards, self._times = True, 0, 0
        self._handles: list[Any] = []
        self._over = False

    def before(self) -> Iterator[Finding]:
        if self._over or self._tensor is None or self._grad is None or self._tensor[1].grad is not self._grad:
            self._unfollow()
        elif not self._handles:
            self._follow(self._tensor[1])
        elif not self._unbroken:
            self._over = True
            self._unfollow()
        elif self._backwards and self._values is not None and bool(self._values.any()):
            self._times += 1
            if self._times == 2:
                self._over = True
                self._unfollow()
                yield Finding(
                    "gradients-kept",
                    "warning",
                    self._tensor[0],
                    "its gradient was not zeroed between steps, so gradients of all steps add up. Write: optimizer.zero_grad() in "
                    "every iteration, on the optimizer that steps.",
                )

    def after(self, smallest: Iterable[Named]) -> None:
        """Choose the smallest parameter that has a gradient, or go on with the chosen one."""
        if self._over:
            return
        if not self._handles:
            self._tensor = next(
                ((n, t) for n, t in smallest if t.grad is not None and t.grad.layout is torch.strided), None
            )
            self._grad = self._tensor[1].grad if self._tensor is not None else None
        self._values = sample(self._grad) if self._grad is not None and self._handles else None
        self._unbroken, self._backwards = True, 0

    def _follow(self, tensor: Tensor) -> None:
        if not tensor.requires_grad:
            return

        def finds(_: Tensor) -> None:
            found = sample(tensor.grad) if tensor.grad is not None else None
            if found is None or self._values is None or not found.any() or not torch.equal(found, self._values):
                self._unbroken = False

        def leaves(_: Tensor) -> None:
            self._values = sample(tensor.grad) if tensor.grad is not None else None
            self._backwards += 1

        self._handles = [tensor.register_hook(finds), tensor.register_post_accumulate_grad_hook(leaves)]

    def _unfollow(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles = []

    def close(self) -> None:
        """Remove the hooks."""
        self._unfollow()
