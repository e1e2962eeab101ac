"""Which rule an optimizer follows, told from its steps: by its names, and without any."""

import pytest
import torch

from verify import Subject
from verify.cli import main
from verify.identify import identify

CLASSES = {
    "SGD": "sgd",
    "Adam": "adam",
    "AdamW": "adamw",
    "Adamax": "adamax",
    "NAdam": "nadam",
    "RAdam": "radam",
    "Adagrad": "adagrad",
    "Adadelta": "adadelta",
    "RMSprop": "rmsprop",
    "Rprop": "rprop",
    "ASGD": "asgd",
}


@pytest.mark.parametrize("name", CLASSES)
def test_torch_optimizers_are_named(name):
    found = identify(Subject(f"torch.optim.{name}"))
    assert [m.rule for m in found.matches] == [CLASSES[name]]
    assert found.matches[0].variant == ""


def adam_of_ones_own(params):
    return torch.optim.Adam(params, lr=0.03, betas=(0.8, 0.95), eps=1e-6)


def rmsprop_of_ones_own(params):
    return torch.optim.RMSprop(params, lr=0.02, alpha=0.95)


def test_hyperparameters_are_estimated_where_nobody_names_them():
    best = identify(Subject(adam_of_ones_own)).matches[0]
    assert best.rule == "adam"
    assert best.values == {"lr": 0.03, "beta1": 0.8, "beta2": 0.95, "eps": 1e-6}
    best = identify(Subject(rmsprop_of_ones_own)).matches[0]
    assert (best.rule, best.values["lr"], best.values["alpha"]) == ("rmsprop", 0.02, 0.95)


def test_a_variant_is_named():
    found = identify(Subject("tests/specimens/wrong/adam.py:EpsInsideRoot"))
    assert "epsilon is inside the square root" in found.lines()[0]


class Stays(torch.optim.SGD):
    def step(self, closure=None):
        return None


def test_what_does_not_move_is_no_rule():
    def build(params):
        return Stays(params, lr=1.0)

    found = identify(Subject(build))
    assert found.matches == ()
    assert "did not move" in "\n".join(found.lines())


def test_the_command_line(capsys):
    assert main(["identify", "torch.optim.Adamax"]) == 0
    assert capsys.readouterr().out.startswith("torch.optim.Adamax: adamax\n")
    assert main(["identify", "torch.optim.Adm"]) == 2
    assert "did you mean 'Adam'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "first"),
    [
        (["heavy_ball", "sgd", "--given", "lr constant"], 0, "PROVED"),
        (["heavy_ball", "sgd"], 1, "REFUTED"),
        (["adamw", "adam", "--given", "weight_decay = 0"], 0, "PROVED"),
        (["adam", "adamw"], 1, "REFUTED"),
    ],
)
def test_equal(arguments, code, first, capsys):
    assert main(["equal", *arguments]) == code
    assert capsys.readouterr().out.startswith(first)


def test_equal_of_nothing_known(capsys):
    assert main(["equal", "adam", "adm"]) == 2
    assert "did you mean 'adam'?" in capsys.readouterr().err
    assert main(["equal", "adam", "adamw", "--given", "nonsense here"]) == 2
    assert capsys.readouterr().err.startswith("optim-verify: ")
