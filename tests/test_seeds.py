"""The rules by hand: figures printed in two tutorials come out of the generated reference step.

Model, loss and gradients are computed as the tutorials compute them; every step of the optimizer is
the reference's own, rounded to float32 where the tutorial's parameters are float32.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from reference import get_rule
from reference.walk import Walk

FIGURES = json.loads((Path(__file__).parent / "data" / "figures.json").read_text())
TABLES, EXPLAINED = FIGURES["sine_fit"], FIGURES["sgd_explained"]
STEPS = 10_000
# A printed float32 loss is a sum of 2000 terms, whose order changes its last bit or two.
TWO_ULP = 2.0**-22


@pytest.fixture(autouse=True)
def one_thread():
    """The order of a sum depends on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# -- curve fitting: trajectories of 10,000 steps ------------------------------------------------


def test_gradient_descent_in_float64():
    """Stable to 14 digits in the losses and to 11 in b and d; a and c are rounding noise around zero."""
    table = TABLES["gd_float64_numpy"]
    x = np.linspace(-math.pi, math.pi, 2000)
    y = np.sin(x)
    generator = np.random.RandomState(0)
    p = np.array([generator.randn() for _ in range(4)])
    walk, losses = Walk(get_rule("gradient_descent")), {}
    for t in range(STEPS + 1):
        residual = p[0] + p[1] * x + p[2] * x**2 + p[3] * x**3 - y
        if t % 1000 == 0:
            losses[str(t)] = np.square(residual).sum()
        if t < STEPS:
            g = 2.0 * residual
            gradient = np.array([g.sum(), (g * x).sum(), (g * x**2).sum(), (g * x**3).sum()])
            p = walk.step(p, gradient, {"lr": table["lr"]})
    assert losses == pytest.approx(table["loss"], rel=1e-14)
    assert p == pytest.approx(list(table["result"].values()), rel=1e-11, abs=1e-9)


def x_and_y() -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.linspace(-math.pi, math.pi, 2000)
    return x, torch.sin(x)


def trajectory(rule: str, lr: float, parameters: list[torch.Tensor], loss) -> dict[str, float]:
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


def agrees_with(table: dict, losses: dict[str, float], end: list[float]) -> None:
    """All printed losses to two units in the last place of float32; the end to six digits.

    Coefficients that belong at zero are rounding noise of 1e-8 and less, stable in size alone.
    """
    for iteration, printed in table["loss"].items():
        assert losses[iteration] == pytest.approx(printed, rel=TWO_ULP), iteration
    for name, got, printed in zip(table["result"], end, table["result"].values(), strict=True):
        assert got == pytest.approx(printed, rel=1e-6, abs=1e-7), name


def test_gradient_descent_in_float32():
    table = TABLES["gd_float32_torch"]
    x, y = x_and_y()
    torch.manual_seed(0)
    parameters = [torch.randn(()).requires_grad_() for _ in range(4)]

    def loss(a, b, c, d):
        return (a + b * x + c * x**2 + d * x**3 - y).pow(2).sum()

    losses = trajectory("gradient_descent", table["lr"], parameters, loss)
    agrees_with(table, losses, [p.item() for p in parameters])


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


def test_gradient_descent_on_a_custom_function():
    table = TABLES["gd_float32_legendre"]
    x, y = x_and_y()
    parameters = [torch.full((), value).requires_grad_() for value in (0.0, -1.0, 0.0, 0.3)]

    def loss(a, b, c, d):
        return (a + b * LegendreP3.apply(c + d * x) - y).pow(2).sum()

    losses = trajectory("gradient_descent", table["lr"], parameters, loss)
    agrees_with(table, losses, [p.item() for p in parameters])


def linear_model():
    """The module of two of the tables, and its loss."""
    x, y = x_and_y()
    powers = x.unsqueeze(-1).pow(torch.tensor([1, 2, 3]))
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.Flatten(0, 1))
    criterion = torch.nn.MSELoss(reduction="sum")
    return model, lambda *parameters: criterion(model(powers), y)


def coefficients(model) -> list[float]:
    return [model[0].bias.item(), *model[0].weight[0].tolist()]


def test_gradient_descent_on_a_module():
    table = TABLES["gd_float32_linear"]
    model, loss = linear_model()
    losses = trajectory("gradient_descent", table["lr"], list(model.parameters()), loss)
    agrees_with(table, losses, coefficients(model))


def test_rmsprop_on_a_module():
    """The start is stable to all digits and iteration 1000 to five; then a limit cycle of width lr sets in.

    On the cycle the loss is stable to one or two digits and every coefficient to lr / 2 and a little.
    """
    table = TABLES["rmsprop_float32_linear"]
    model, loss = linear_model()
    losses = trajectory("rmsprop", table["lr"], list(model.parameters()), loss)
    relative = {"0": TWO_ULP, "1000": 1e-5}
    for iteration, printed in table["loss"].items():
        assert losses[iteration] == pytest.approx(printed, rel=relative.get(iteration, 0.02)), iteration
    assert coefficients(model) == pytest.approx(list(table["result"].values()), abs=0.6 * table["lr"])


def test_momentum_with_shared_weights_starts():
    """Only the start is fixed: both optional powers were in the first forward pass."""
    table = TABLES["momentum_float32_shared"]
    x, y = x_and_y()
    torch.manual_seed(0)
    a, b, c, d, e = parameters = [torch.randn(()).requires_grad_() for _ in range(5)]
    loss = (a + b * x + c * x**2 + d * x**3 + e * x**4 + e * x**5 - y).pow(2).sum()
    assert loss.item() == pytest.approx(table["loss"]["0"], rel=TWO_ULP)
    loss.backward()
    hyperparameters = {"lr": table["lr"], "momentum": 0.9}
    optimizer = torch.optim.SGD(parameters, **hyperparameters)
    walks = [Walk(get_rule("sgd"), precision="float32") for _ in parameters]
    for _ in range(3):
        predicted = [
            walk.step(p.detach().numpy(), p.grad.numpy(), hyperparameters)
            for walk, p in zip(walks, parameters, strict=True)
        ]
        optimizer.step()
        assert [p.item() for p in parameters] == pytest.approx([float(q) for q in predicted], rel=TWO_ULP)


# -- SGD taken apart ----------------------------------------------------------------------------


def scene(lr: float):
    """x and c, an optimizer on both, and y with its gradients still to be taken."""
    x = torch.tensor(5.0, requires_grad=True)
    c = torch.tensor(3.0, requires_grad=True)
    optimizer = torch.optim.SGD([x, c], lr=lr)
    y = 3 * c * torch.exp(x) + 2 * x + 4
    return x, c, optimizer, y


def printed(value: torch.Tensor | np.ndarray) -> float:
    """As the tutorial prints: four digits after the point."""
    return round(value.item(), 4)


def predict(p: torch.Tensor, gradient: float | None, lr: float) -> float:
    """Where the reference puts a parameter; without a gradient, where it is."""
    if gradient is None:
        return printed(p)
    return printed(Walk(get_rule("sgd")).step(p.detach().numpy(), np.array(gradient), {"lr": lr}))


def test_one_exact_step():
    x, c, optimizer, y = scene(lr=1.0)
    y.backward()
    assert (printed(y), printed(x.grad), printed(c.grad)) == (
        EXPLAINED["y"], EXPLAINED["grad_x"], EXPLAINED["grad_c"],
    )  # fmt: skip
    predicted = {"x": predict(x, x.grad.item(), 1.0), "c": predict(c, c.grad.item(), 1.0)}
    optimizer.step()
    assert predicted == {"x": printed(x), "c": printed(c)} == EXPLAINED["after_one_step_lr_1"]


def test_a_parameter_replaced_in_the_group():
    """The caller's x goes on receiving gradients and never moves; its replacement has none."""
    figures = EXPLAINED["rebound_in_the_group"]
    x, c, optimizer, y = scene(lr=1.0)
    group = optimizer.param_groups[0]
    group["lr"] = 0.1
    group["params"][0] = torch.tensor(10.0, requires_grad=True)
    y.backward()
    predicted = [predict(p, None if p.grad is None else p.grad.item(), 0.1) for p in group["params"]]
    optimizer.step()
    assert predicted == [printed(p) for p in group["params"]] == [figures["group_x"], figures["group_c"]]
    assert (printed(x), printed(x.grad)) == (figures["x_of_the_caller"], figures["x_grad"])
    assert group["params"][1] is c


def test_a_name_rebound_by_the_caller():
    """The optimizer goes on moving the old tensor; the one that the caller now calls x has no gradient."""
    figures = EXPLAINED["rebound_by_the_caller"]
    x, c, optimizer, y = scene(lr=1.0)
    held, x = x, torch.tensor(10.0, requires_grad=True)
    y.backward()
    predicted = [predict(held, held.grad.item(), 1.0), predict(c, c.grad.item(), 1.0)]
    optimizer.step()
    moved = [printed(p) for p in optimizer.param_groups[0]["params"]]
    assert predicted == moved == [figures["group_x"], figures["group_c"]]
    assert (printed(x), x.grad) == (figures["x_of_the_caller"], figures["x_grad"])
