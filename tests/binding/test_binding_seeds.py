"""Two re-binding traps, with the figures that were printed for them, step by step; ``audit`` and ``watch`` catch both."""

import pytest
import torch

import verify
from verify.seeds.tables import figures

FIGURES = figures()["sgd_explained"]


def start():
    """x and c, y = 3 c exp(x) + b x + d, and an optimizer of x and c."""
    variables = {"x": torch.tensor(5.0, requires_grad=True), "c": torch.tensor(3.0, requires_grad=True)}
    y = 3 * variables["c"] * torch.exp(variables["x"]) + 2 * variables["x"] + 4
    return variables, y, torch.optim.SGD(variables.values(), lr=1.0)


def printed(tensor, figure):
    """Whether it prints as the source printed it."""
    return f"{tensor.item():.4f}" == f"{figure:.4f}"


def test_one_step():
    variables, y, optimizer = start()
    assert printed(y, FIGURES["y"])
    y.backward()
    assert printed(variables["x"].grad, FIGURES["grad_x"])
    assert printed(variables["c"].grad, FIGURES["grad_c"])
    with verify.watch(variables, optimizer, on_finding="raise"):
        optimizer.step()
    for name, figure in FIGURES["after_one_step_lr_1"].items():
        assert printed(variables[name], figure)
    assert verify.audit(variables, optimizer) == []


@pytest.fixture
def rebound_in_the_group():
    """Trap A: an entry of the group is replaced, and the rate is set to 0.1."""
    variables, y, optimizer = start()
    watching = verify.watch(variables, optimizer, on_finding="collect")
    optimizer.param_groups[0]["lr"] = 0.1
    optimizer.param_groups[0]["params"][0] = torch.tensor(10.0, requires_grad=True)
    y.backward()
    optimizer.step()
    watching.close()
    return variables, optimizer, watching.findings


def test_figures_of_an_entry_of_the_group_replaced(rebound_in_the_group):
    variables, optimizer, _ = rebound_in_the_group
    figures = FIGURES["rebound_in_the_group"]
    x, c = optimizer.param_groups[0]["params"]
    assert variables["x"].item() == figures["x_of_the_caller"]
    assert printed(variables["x"].grad, figures["x_grad"])
    assert x.item() == figures["group_x"]
    assert printed(c, figures["group_c"])


def test_an_entry_of_the_group_replaced_is_found(rebound_in_the_group):
    variables, optimizer, watched = rebound_in_the_group
    for found in (verify.audit(variables, optimizer), watched):
        assert [(f.code, f.severity, f.parameter) for f in found] == [("rebound", "error", "x")]


@pytest.fixture
def rebound_by_the_caller():
    """Trap B: the caller's own variable is another tensor now."""
    variables, y, optimizer = start()
    old = variables["x"]
    watching = verify.watch(variables, optimizer, on_finding="collect")
    variables["x"] = torch.tensor(10.0, requires_grad=True)
    y.backward()
    optimizer.step()
    watching.close()
    assert optimizer.param_groups[0]["params"][0] is old
    return variables, optimizer, watching.findings


def test_figures_of_a_variable_assigned_again(rebound_by_the_caller):
    variables, optimizer, _ = rebound_by_the_caller
    figures = FIGURES["rebound_by_the_caller"]
    x, c = optimizer.param_groups[0]["params"]
    assert variables["x"].item() == figures["x_of_the_caller"]
    assert variables["x"].grad is figures["x_grad"]
    assert printed(x, figures["group_x"])
    assert printed(c, figures["group_c"])


def test_a_variable_assigned_again_is_found(rebound_by_the_caller):
    variables, optimizer, watched = rebound_by_the_caller
    for found in (verify.audit(variables, optimizer), watched):
        assert [(f.code, f.severity, f.parameter) for f in found] == [("rebound", "error", "x")]


class Function(torch.nn.Module):
    """The same as a module, as it would be written today."""

    def __init__(self):
        super().__init__()
        self.x, self.c = torch.nn.Parameter(torch.tensor(5.0)), torch.nn.Parameter(torch.tensor(3.0))

    def forward(self):
        return 3 * self.c * torch.exp(self.x) + 2 * self.x + 4


@pytest.mark.parametrize("where", ["group", "module"])
def test_both_traps_on_a_module(where):
    model = Function()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    y = model()
    with verify.watch(model, optimizer, on_finding="collect") as watching:
        if where == "group":
            optimizer.param_groups[0]["params"][0] = torch.tensor(10.0, requires_grad=True)
        else:
            model.x = torch.nn.Parameter(torch.tensor(10.0))
        y.backward()
        optimizer.step()
    for found in (verify.audit(model, optimizer), watching.findings):
        assert [(f.code, f.parameter) for f in found] == [("rebound", "x")]
    assert ("test_binding_seeds.py" in watching.findings[0].message) == (where == "module")
