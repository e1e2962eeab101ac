"""The optimizers of the source documents: each rule is accepted, and each defect that is told of them is found."""

import pytest

from tests.checking import run_check
from verify import Subject

FOLDER = "tests/specimens/sources"
MOMENTUM = Subject(f"{FOLDER}/momentum_sgd.py:MomentumSGD", "heavy_ball")
OLD_SGD = Subject(f"{FOLDER}/old_torch.py:OldSGD", "sgd")
OLD_ADAM = Subject(f"{FOLDER}/old_torch.py:OldAdam", "adam")
NUMBERS = ("rule.step", "rule.state", "rule.counter", "rule.tails", "rule.nonfinite")


def message(subject: Subject, check: str) -> str:
    """What a check finds; it must find something."""
    report = run_check(subject, check, "float32")
    assert report is not None
    assert report.status == "failed", check
    return report.findings[0].message


@pytest.mark.parametrize("check", NUMBERS)
@pytest.mark.parametrize("subject", [MOMENTUM, OLD_SGD, OLD_ADAM], ids=lambda s: s.title.rpartition(":")[2])
def test_the_rule_is_accepted(subject, check):
    for dtype in ("float64", "float32"):
        report = run_check(subject, check, dtype)
        assert report is None or report.status != "failed", report.findings[0].message


@pytest.mark.parametrize(
    ("subject", "check", "words"),
    [
        (MOMENTUM, "groups.absent", "'NoneType' object has no attribute 'data'"),
        (MOMENTUM, "contract.closure", "ran the closure 0 times"),
        (MOMENTUM, "groups.late", "raised KeyError"),
        (MOMENTUM, "contract.parameters", "changed the memory of parameter 0"),
        (OLD_SGD, "contract.gradients", "it must not write into it"),
        (OLD_SGD, "groups.hyperparameters", "p.grad, which was the gradient plus weight_decay times the parameter"),
        (OLD_SGD, "contract.parameters", "moved parameter 0 past autograd"),
        (OLD_ADAM, "contract.validation", "for weight_decay"),
    ],
    ids=lambda x: x.title.rpartition(":")[2] if isinstance(x, Subject) else str(x)[:24],
)
def test_each_defect_is_found(subject, check, words):
    assert words in message(subject, check)


def test_a_loss_that_is_not_returned():
    """Beside the closure that is never run: with it run, what is left is the loss."""
    subject = Subject("tests/specimens/sources/momentum_sgd.py:LossLost", "heavy_ball")
    assert "returned None" in message(subject, "contract.closure")


def test_a_sparse_gradient_is_refused_by_name():
    report = run_check(OLD_ADAM, "contract.sparse", "float32")
    assert report is not None
    assert report.status == "passed"


# arguments that are given, and names of those that are tried: a decay in the gradient is never absolute
MODES = {
    "coupled and by lr": ({"absolute": False}, {"decoupled_weight_decay": "decoupled"}),
    "coupled, absolute": ({"absolute": True, "decoupled": False}, {}),
    "absolute": ({"absolute": True, "decoupled": True}, {}),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("name", "rule"), [("HookedAdam", "adam_eps_hat"), ("PlainHookedAdam", "adam")])
def test_two_epsilons_and_four_decays(name, rule, mode):
    def subject(rule: str) -> Subject:
        arguments, names = MODES[mode]
        claimed = f"{FOLDER}/decay_without_lr.py:{rule.upper()}" if mode == "absolute" else rule
        return Subject(f"{FOLDER}/two_epsilons.py:{name}", claimed, arguments=arguments, names=names)

    report = run_check(subject(rule), "rule.step", "float32")
    assert report is not None
    assert report.status == "passed", report.findings
    other = {"adam": "adam_eps_hat", "adam_eps_hat": "adam"}[rule]
    assert "the parameter is not what rule" in message(subject(other), "rule.step")
