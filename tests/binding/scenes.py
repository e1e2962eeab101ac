"""Scenes: what a user writes, and what ``audit`` and ``watch`` must say of it.

A scene is a generator. It builds, yields the subjects (model, optimizers and, if there are any, schedulers) at the moment
when a watch would begin, and then goes on as the user does. What it yields last is audited when it has ended.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

ERROR, WARNING, INFO = "error", "warning", "info"
Expected = dict[str, str]


@dataclass(frozen=True)
class Unseen:
    """Nothing is found, for a reason."""

    reason: str


@dataclass(frozen=True)
class Scene:
    """One scene.

    Args:
        rows: of the table of pitfalls, which numbers them from 1 to 113; none for a scene beside it.
        play: the generator.
        audit, watch: codes with the severity expected, all of them; nothing for a benign scene.
    """

    rows: tuple[int, ...]
    play: Callable[[], Iterator[tuple[Any, ...]]]
    audit: Expected | Unseen = field(default_factory=dict)
    watch: Expected | Unseen = field(default_factory=dict)

    @property
    def id(self) -> str:
        rows = "+".join(map(str, self.rows))
        return f"{rows}-{self.play.__name__}" if rows else self.play.__name__


SCENES: list[Scene] = []


def faulty(*rows: int, audit: Expected | Unseen, watch: Expected | Unseen):
    """Register a scene in which something is wrong."""

    def register(play):
        SCENES.append(Scene(rows, play, audit, watch))
        return play

    return register


def benign(*rows: int):
    """Register a scene in which nothing is wrong: no finding at all."""
    return faulty(*rows, audit={}, watch={})


class Net(nn.Module):
    """Two layers, as small as they come."""

    def __init__(self, classes: int = 3):
        super().__init__()
        self.body = nn.Linear(4, 8)
        self.head = nn.Linear(8, classes)

    def forward(self, x):
        return self.head(torch.relu(self.body(x)))


def net() -> Net:
    torch.manual_seed(0)
    return Net()


def batch(model: nn.Module) -> torch.Tensor:
    some = next(p for p in model.parameters())
    generator = torch.Generator().manual_seed(1)
    return torch.randn(5, 4, generator=generator).to(some.device, some.dtype)


def backward(model: nn.Module) -> None:
    model(batch(model)).abs().pow(2).sum().backward()


def train(model: nn.Module, *optimizers: Any, steps: int = 3, set_to_none: bool = True) -> None:
    """The usual loop."""
    for _ in range(steps):
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=set_to_none)
        backward(model)
        for optimizer in optimizers:
            optimizer.step()


def sgd(model: nn.Module, lr: float = 0.01, **options: Any) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=lr, **options)


def adam(model: nn.Module, lr: float = 0.01, **options: Any) -> torch.optim.Adam:
    return torch.optim.Adam(model.parameters(), lr=lr, **options)


def quietly(call: Callable[[], Any]) -> Any:
    """What torch itself warns of is not the matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()
