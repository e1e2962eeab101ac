"""One optimizer, from before a step to after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor

from verify.binding.finding import Finding
from verify.binding.gradients import Kept, none_there
from verify.binding.look import Look
from verify.binding.memory import plain
from verify.binding.movement import Movement, Named
from verify.binding.subjects import Owner, unwrapped


class Stepper:
    """What is followed of one optimizer.

    Args:
        given: by the user, or met when it stepped parameters of the model.
    """

    def __init__(self, owner: Owner, given: bool = True):
        self.owner, self.given = owner, given
        self.held: list[Named] = []
        self.shared: list[Named] = []
        self.last_round = 0
        self._smallest: list[Named] = []
        self._known: list[int] = []
        self._idle = 0
        self._movement, self._kept = Movement(), Kept()

    def settle(self, look: Look, number: int) -> None:
        """Take over the parameters of a look."""
        self.held = [(look.name(t) or look.called(number, g, i), t) for g, i, t in look.slots[number]]
        self._known = [i for i, (_, t) in enumerate(self.held) if id(t) in look.names]
        self._movement.settle([self.held[i] for i in self._known])
        self._smallest = sorted((pair for pair in self.held if plain(pair[1])), key=lambda pair: pair[1].numel())
        self.shared = [(name, t) for name, t in self.held if len(look.holders[id(t)]) > 1]

    def before(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        round: int,
        unowned: list[Tensor],
        others: Iterable[Stepper],
    ) -> Iterator[Finding]:
        closure = any(callable(value) for value in (*args[1:], *kwargs.values()))
        self.last_round = round
        grads = [tensor.grad for _, tensor in self.held]
        if closure or any(grad is not None for grad in grads):
            self._idle = 0
        elif grads:
            self._idle += 1
            elsewhere = any(tensor.grad is not None for tensor in unowned)
            working = any(tensor.grad is not None for other in others if other is not self for _, tensor in other.held)
            yield none_there(self.owner.name, self._idle > 1 and not working, elsewhere)
        if not closure:  # which may compute gradients of its own
            self._movement.before([grads[i] for i in self._known], round)
        yield from self._kept.before()

    def after(self) -> Iterator[Finding]:
        yield from self._movement.after()
        self._kept.after(self._smallest)

    def takes_over(self, look: Look, round: int, steppers: dict[int, Stepper]) -> Iterator[Finding]:
        """An optimizer that was not given steps what another holds, which rests, and a scheduler drives that one."""
        if self.given or not self.shared:
            return
        for scheduler in look.subjects.schedulers:
            driven = unwrapped(scheduler.optimizer)[-1]
            resting = steppers.get(id(driven))
            if resting is None or resting is self or resting.last_round >= round - 1:
                continue
            mine = {id(t) for _, t in self.held}
            if any(id(t) in mine for _, t in resting.held):
                yield Finding(
                    "scheduler-foreign",
                    "error",
                    type(scheduler).__name__,
                    f"it drives {resting.owner.name}, which no longer steps: {self.owner.name} has taken over its parameters, and its "
                    f"learning rate never changes. Build it again: scheduler = {type(scheduler).__name__}(optimizer, ...).",
                )

    def close(self) -> None:
        """Remove hooks from parameters."""
        self._kept.close()
