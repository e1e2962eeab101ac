"""What a pass is worth: the programs of a run tell the known mistakes from the rule, and the rule not from itself."""

import pytest

from reference import get_rule
from reference.variants import variants
from verify import Program, Subject, load
from verify.budgets import BUDGETS
from verify.checks import all_checks
from verify.checks.context import Context
from verify.checks.programs import scenarios, sweep
from verify.power import concerns, measure, tells_apart
from verify.program import Filling, Parameter, Step


def context_of(name: str, budget: str = "quick") -> Context:
    loaded = load(Subject(f"torch.optim.{name}"))
    return Context(loaded, "float32", "cpu", "for-loop", BUDGETS[budget], 0, loaded.editable())


@pytest.mark.parametrize("name", ["SGD", "Adam", "Adagrad", "RMSprop", "Rprop"])
def test_no_program_tells_a_rule_from_itself(name):
    context = context_of(name)
    rule = context.loaded.rule
    assert not any(tells_apart(context.loaded, p, rule, rule) for p in [*sweep(context), *scenarios(context)])


@pytest.mark.parametrize("name", ["SGD", "Adadelta"])
def test_a_run_catches_every_known_mistake(name):
    report = all_checks()["rule.power"].run(context_of(name, "standard"))
    assert report.status == "passed"
    assert report.power["known"] > 50
    assert report.power["missed"] == []


def test_a_poor_program_catches_little():
    """At lr = 0 nothing of the step shows in the parameter."""
    loaded = load(Subject("torch.optim.SGD"))
    poor = Program(
        groups=({"lr": 0.0, "momentum": 0.0},), parameters=(Parameter((4,)),), operations=(Step((Filling(7),)),)
    )
    power = measure(loaded, [poor], variants(loaded.rule))
    assert len(power.missed) > len(power.known) / 2
    assert measure(loaded, [], variants(loaded.rule)).missed.keys() == power.known.keys()


def test_variants_of_what_is_not_offered_are_left_out():
    loaded = load(
        Subject(
            "tests/specimens/right/hidden.py:GradientDescentRenamed", "gradient_descent", names={"lr": "learning_rate"}
        )
    )
    assert not concerns(loaded, get_rule("gradient_descent"))
    assert any(concerns(loaded, v.rule) for v in variants(loaded.rule))
