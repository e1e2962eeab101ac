"""Constructor arguments that the user gives: what they fix holds for the rule too."""

import pytest

from tests.checking import run_check
from verify import Subject, load
from verify.checks import all_checks
from verify.cli import _literal

GIVEN = [
    ("torch.optim.Adam", {"amsgrad": True}),
    ("torch.optim.Adam", {"maximize": True, "lr": 0.25}),
    ("torch.optim.AdamW", {"amsgrad": True, "betas": (0.5, 0.75)}),
    ("torch.optim.RAdam", {"decoupled_weight_decay": True}),
    ("torch.optim.RMSprop", {"centered": True, "momentum": 0.5}),
    ("torch.optim.SGD", {"nesterov": True, "momentum": 0.5}),
    ("torch.optim.SGD", {"momentum": 0.9, "dampening": 0.5}),
]
CHECKS = [name for name in all_checks() if name.startswith(("rule.step", "rule.state", "rule.shapes", "groups."))]


@pytest.mark.parametrize(("target", "arguments"), GIVEN, ids=lambda x: str(x))
def test_what_is_given_is_what_the_rule_has(target, arguments):
    for check in CHECKS:
        report = run_check(Subject(target, arguments=arguments), check, "float32")
        assert report is None or report.status != "failed", report.findings[0].message


def test_a_subject_without_its_option_is_refuted():
    wrong = Subject("tests/specimens/wrong/adam.py:MaximizeIgnored", "adam", arguments={"maximize": True})
    report = run_check(wrong, "rule.step", "float64")
    assert report is not None
    assert report.status == "failed"


def test_given_values_take_the_place_of_what_is_usually_absent():
    assert load(Subject("torch.optim.RMSprop", arguments={"momentum": 0.5})).fixed == {"momentum": 0.5}


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("True", True), ("false", False), ("null", None), ("0.5", 0.5), ("fast", "fast")],
)
def test_values_on_the_command_line(text, value):
    assert _literal(text) == value
