"""The tables of the tutorial, each computed anew.

Model, loss and gradients are as the tutorial has them; every step of the optimizer is the reference's own, rounded
to float32 where the tutorial's parameters are float32. How many digits a table pins is known from its kind: a
float32 loss is a sum of 2,000 terms, whose order changes its last bits; coefficients that belong at zero are
rounding noise.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import torch

from reference import get_rule
from reference.walk import Walk

STEPS = 10_000
# two units in the last place of float32
TWO_ULP = 2.0**-22


@cache
def figures() -> dict[str, Any]:
    """What the source documents print."""
    return json.loads(files("verify.seeds").joinpath("figures.json").read_text(encoding="utf-8"))


@dataclass
class Row:
    """One figure: as printed, as computed, and how far apart they may be."""

    name: str
    printed: float
    computed: float
    allowed: float

    @property
    def agrees(self) -> bool:
        return abs(self.computed - self.printed) <= self.allowed


@dataclass
class Table:
    """One training run: losses by iteration, then the coefficients that it ends with."""

    name: str
    title: str
    rows: list[Row] = field(default_factory=list)
    note: str = ""

    @property
    def agrees(self) -> bool:
        return all(row.agrees for row in self.rows)


def tables() -> Iterator[Table]:
    """All of them, one by one: each takes seconds."""
    for make in TABLES:
        yield make()


def gradient_descent_in_float64() -> Table:
    """Stable to 14 digits in the losses and to 11 in b and d; a and c are rounding noise around zero."""
    told = _told("gd_float64_numpy")
    x = np.linspace(-math.pi, math.pi, 2000)
    y = np.sin(x)
    generator = np.random.RandomState(0)
    p = np.array([generator.randn() for _ in range(4)])
    walk, losses = Walk(get_rule("gradient_descent")), {}
    for t in range(STEPS + 1):
        residual = p[0] + p[1] * x + p[2] * x**2 + p[3] * x**3 - y
        if t % 1000 == 0:
            losses[str(t)] = float(np.square(residual).sum())
        if t < STEPS:
            g = 2.0 * residual
            gradient = np.array([g.sum(), (g * x).sum(), (g * x**2).sum(), (g * x**3).sum()])
            p = walk.step(p, gradient, {"lr": told["lr"]})
    rows = [Row(f"loss at {t}", v, losses[t], 1e-14 * v) for t, v in told["loss"].items()]
    return _table("gradient descent, numpy float64", told, rows, p.tolist(), 1e-11, 1e-9)


def gradient_descent_in_float32() -> Table:
    """The same in torch, printed alike for gradients by hand, by autograd and for torch.optim.SGD on a Module."""
    told = _told("gd_float32_torch")
    x, y = _x_and_y()
    torch.manual_seed(0)
    parameters = [torch.randn(()).requires_grad_() for _ in range(4)]

    def loss(a, b, c, d):
        return (a + b * x + c * x**2 + d * x**3 - y).pow(2).sum()

    losses = _trajectory("gradient_descent", told["lr"], parameters, loss)
    return _single("gradient descent, torch float32", told, losses, [p.item() for p in parameters])


class LegendreP3(torch.autograd.Function):
    """(5 z³ - 3 z) / 2 with its derivative written by hand."""

    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return 0.5 * (5 * z**3 - 3 * z)

    @staticmethod
    def backward(ctx, gradient):
        (z,) = ctx.saved_tensors
        return gradient * 1.5 * (5 * z**2 - 1)


def gradient_descent_on_a_custom_function() -> Table:
    """A cubic Legendre polynomial as a custom autograd Function."""
    told = _told("gd_float32_legendre")
    x, y = _x_and_y()
    parameters = [torch.full((), value).requires_grad_() for value in (0.0, -1.0, 0.0, 0.3)]

    def loss(a, b, c, d):
        return (a + b * LegendreP3.apply(c + d * x) - y).pow(2).sum()

    losses = _trajectory("gradient_descent", told["lr"], parameters, loss)
    return _single("gradient descent, custom autograd Function", told, losses, [p.item() for p in parameters])


def gradient_descent_on_a_module() -> Table:
    """torch.nn.Linear on the powers of x, with torch.nn.MSELoss."""
    told = _told("gd_float32_linear")
    model, loss = _linear_model()
    losses = _trajectory("gradient_descent", told["lr"], list(model.parameters()), loss)
    return _single("gradient descent, torch.nn", told, losses, _coefficients(model))


def rmsprop_on_a_module() -> Table:
    """The start is stable to all digits and iteration 1000 to five; then a limit cycle of width lr sets in.

    On the cycle the loss is stable to one or two digits and every coefficient to lr / 2 and a little.
    """
    told = _told("rmsprop_float32_linear")
    model, loss = _linear_model()
    losses = _trajectory("rmsprop", told["lr"], list(model.parameters()), loss)
    pinned = {"0": TWO_ULP, "1000": 1e-5}
    rows = [Row(f"loss at {t}", v, losses[t], pinned.get(t, 0.02) * v) for t, v in told["loss"].items()]
    note = "settles into a limit cycle as wide as lr, whose phase depends on the order of a sum"
    return _table("torch.optim.RMSprop, torch.nn", told, rows, _coefficients(model), 0.0, 0.6 * told["lr"], note)


def momentum_with_shared_weights() -> Table:
    """Only the start is fixed: both optional powers were in the first forward pass, and later ones are drawn unseeded."""
    told = _told("momentum_float32_shared")
    x, y = _x_and_y()
    torch.manual_seed(0)
    a, b, c, d, e = [torch.randn(()) for _ in range(5)]
    loss = (a + b * x + c * x**2 + d * x**3 + e * x**4 + e * x**5 - y).pow(2).sum().item()
    rows = [Row("loss at 0", told["loss"]["0"], loss, TWO_ULP * loss)]
    return Table(
        told["name"], "SGD with momentum, shared weights", rows, "the powers of later steps are drawn without a seed"
    )


TABLES: tuple[Callable[[], Table], ...] = (
    gradient_descent_in_float64,
    gradient_descent_in_float32,
    gradient_descent_on_a_custom_function,
    gradient_descent_on_a_module,
    rmsprop_on_a_module,
    momentum_with_shared_weights,
)


def _told(name: str) -> dict[str, Any]:
    return {"name": name, **figures()["sine_fit"][name]}


def _table(
    title: str, told: dict, rows: list[Row], end: list[float], relative: float, absolute: float, note: str = ""
) -> Table:
    for (name, printed), computed in zip(told["result"].items(), end, strict=True):
        rows.append(Row(f"{name} at {STEPS}", printed, computed, max(relative * abs(printed), absolute)))
    return Table(told["name"], title, rows, note)


def _single(title: str, told: dict, losses: dict[str, float], end: list[float]) -> Table:
    """All printed losses to two units in the last place of float32; the end to six digits, but for what is noise."""
    rows = [Row(f"loss at {t}", v, losses[t], TWO_ULP * v) for t, v in told["loss"].items()]
    return _table(title, told, rows, end, 1e-6, 1e-7)


def _x_and_y() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.linspace(-math.pi, math.pi, 2000)
    return x, torch.sin(x)


def _trajectory(rule: str, lr: float, parameters: list[torch.Tensor], loss) -> dict[str, float]:
    """Losses at every thousandth step; leaves the parameters where they end."""
    walk, losses = Walk(get_rule(rule), precision="float32"), {}
    sizes = [p.numel() for p in parameters]
    for t in range(STEPS + 1):
        value = loss(*parameters)
        if t % 1000 == 0:
            losses[str(t)] = value.item()
        if t < STEPS:
            gradients = torch.autograd.grad(value, parameters)
            with torch.no_grad():
                old, gradient = (torch.cat([q.reshape(-1) for q in qs]).numpy() for qs in (parameters, gradients))
                new = torch.from_numpy(walk.step(old, gradient, {"lr": lr}).astype(np.float32))
                for p, q in zip(parameters, new.split(sizes), strict=True):
                    p.copy_(q.view_as(p))
    return losses


def _linear_model():
    """The module of two of the tables, and its loss."""
    x, y = _x_and_y()
    powers = x.unsqueeze(-1).pow(torch.tensor([1, 2, 3]))
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.Flatten(0, 1))
    criterion = torch.nn.MSELoss(reduction="sum")
    return model, lambda *parameters: criterion(model(powers), y)


def _coefficients(model) -> list[float]:
    return [model[0].bias.item(), *model[0].weight[0].tolist()]
