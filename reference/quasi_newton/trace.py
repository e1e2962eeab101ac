"""What is seen of an optimizer from outside: where it calls the closure, and what the closure tells it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Evaluation:
    """One call of the closure: all parameters as one vector, the loss there, and the gradient as it was handed over."""

    point: tuple[float, ...]
    loss: float
    gradient: tuple[float, ...]


@dataclass
class Call:
    """One call of ``step(closure)``.

    Args:
        start, end: the parameters before and after it.
        evaluations: what it asked for, in order.
        returned: the loss that it returned, None for anything that is no number.
        counted: what the optimizer's own counter of evaluations says afterwards, where it keeps one.
        without_grad: whether it ever called the closure with gradients disabled.
    """

    start: tuple[float, ...]
    evaluations: list[Evaluation] = field(default_factory=list)
    end: tuple[float, ...] = ()
    returned: float | None = None
    counted: int | None = None
    without_grad: bool = False
