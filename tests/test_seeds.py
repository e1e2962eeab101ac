"""The rules by hand: figures printed in two tutorials come out of the generated reference step."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reference import get_rule
from reference.walk import Walk
from verify.cli import main
from verify.seeds import tables as seeds
from verify.seeds.tables import TABLES, TWO_ULP, Row, Table, figures

EXPLAINED = figures()["sgd_explained"]


@pytest.fixture(autouse=True)
def one_thread():
    """The order of a sum depends on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# -- curve fitting: trajectories of 10,000 steps ------------------------------------------------


@pytest.mark.parametrize("make", TABLES, ids=lambda make: make.__name__)
def test_table(make):
    table = make()
    assert [row for row in table.rows if not row.agrees] == []


def test_every_table_of_the_source_is_there():
    printed = figures()["sine_fit"]
    names = [name for name, entry in printed.items() if isinstance(entry, dict)]
    assert len(TABLES) == len(names) == 6


def test_momentum_with_shared_weights_goes_on_as_torch():
    x = torch.linspace(-1, 1, 50)
    torch.manual_seed(0)
    a, b = parameters = [torch.randn(()).requires_grad_() for _ in range(2)]
    (a + b * x).pow(2).sum().backward()
    hyperparameters = {"lr": 1e-3, "momentum": 0.9}
    optimizer = torch.optim.SGD(parameters, **hyperparameters)
    walks = [Walk(get_rule("sgd"), precision="float32") for _ in parameters]
    for _ in range(3):
        predicted = [
            walk.step(p.detach().numpy(), p.grad.numpy(), hyperparameters)
            for walk, p in zip(walks, parameters, strict=True)
        ]
        optimizer.step()
        assert [p.item() for p in parameters] == pytest.approx([float(q) for q in predicted], rel=TWO_ULP)


def test_the_command_prints_both(monkeypatch, capsys):
    good = Table("one", "gradient descent", [Row("loss at 0", 2.0, 2.0, 0.0)])
    bad = Table("two", "RMSprop", [Row("loss at 0", 2.0, 3.0, 0.5)], "it cycles")
    monkeypatch.setattr(seeds, "TABLES", (lambda: good,))
    assert main(["seeds"]) == 0
    monkeypatch.setattr(seeds, "TABLES", (lambda: good, lambda: bad))
    assert main(["seeds"]) == 1
    out = capsys.readouterr().out
    assert "it cycles" in out
    assert "1 of 2 tables agree" in out


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
