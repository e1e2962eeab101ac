"""The public state machine finds a wrong optimizer and accepts a right one; users can add rules to it."""

import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, run_state_machine_as_test

from verify import OptimizerMachine, Subject

QUICK = settings(
    max_examples=25,
    stateful_step_count=12,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


class AdamMachine(OptimizerMachine):
    subject = Subject("torch.optim.Adam")

    @invariant()
    def parameters_stay_leaves(self):
        assert all(p.is_leaf for p in self.parameters)


class Remembers(torch.optim.SGD):
    """SGD that goes on with the learning rate of its first step."""

    def step(self, closure=None):
        self.first = getattr(self, "first", None) or [g["lr"] for g in self.param_groups]
        for group, lr in zip(self.param_groups, self.first, strict=False):
            group["lr"] = lr
        return super().step(closure)


class RemembersMachine(OptimizerMachine):
    subject = Subject(Remembers, rule="sgd")


class UnknownMachine(OptimizerMachine):
    subject = Subject("torch.optim.Adafactor", rule="none")

    @invariant()
    def nothing_is_nan(self):
        assert not any(torch.isnan(p).any() for p in self.parameters)


@pytest.mark.parametrize("machine", [AdamMachine])
def test_a_right_optimizer_is_accepted(machine):
    run_state_machine_as_test(machine, settings=QUICK)


def test_a_wrong_optimizer_is_refuted():
    with pytest.raises(AssertionError, match="lr"):
        run_state_machine_as_test(RemembersMachine, settings=QUICK)


def test_an_optimizer_of_unknown_rule_is_driven():
    run_state_machine_as_test(UnknownMachine, settings=settings(QUICK, max_examples=5))
