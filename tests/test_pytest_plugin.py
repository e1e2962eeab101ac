"""The pytest plugin, run in sessions of its own."""

import sys

import pytest

import verify
from tests.specimens import RIGHT, WRONG
from verify.testing import CheckFailed, NotCertified

pytest_plugins = ["pytester"]

MINE = """
import torch

class Mine(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3):
        super().__init__(params, dict(lr=lr))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.add_(p.grad, alpha=-1.01 * group["lr"])
"""
CELLS = ("--optim-verify-rule=gradient_descent", "--optim-verify-budget=quick", "--optim-verify-dtype=float32")
WANTED = (*CELLS, "--optim-verify-only=rule.step", "--optim-verify-only=contract.repr")


@pytest.fixture
def project(pytester, monkeypatch):
    """A folder with an optimizer and a test that has nothing to do with it."""
    pytester.makepyfile(mine=MINE)
    pytester.makepyfile(test_other="def test_other(): pass")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return lambda *arguments: pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def test_without_being_asked_it_does_nothing(project, pytester):
    pytester.makepyfile(
        test_other="""
        import sys

        def test_other():
            ours = {name for name in sys.modules if name.split(".")[0] in ("verify", "reference")}
            assert ours <= {"verify", "verify.pytest_plugin"}
            assert "torch" not in sys.modules and "sympy" not in sys.modules
        """
    )
    found = project("-v")
    found.assert_outcomes(passed=1)
    assert "optim-verify" not in "\n".join(x for x in found.outlines if not x.startswith("plugins: "))


def test_one_item_for_each_cell(project):
    found = project("--optim-verify=mine.py:Mine", *WANTED, "-v")
    found.assert_outcomes(failed=1, passed=1)
    found.stdout.fnmatch_lines(
        [
            "mine.py:Mine::rule.step[[]Mine-float32-cpu-for-loop] FAILED*",
            "mine.py:Mine::contract.repr[[]Mine-float32-cpu-for-loop] PASSED*",
            "*exact *-1   got -1.0*",
            "*smallest *build*",
        ]
    )
    assert "Traceback" not in found.stdout.str()


def test_other_items_run_where_paths_are_given(project):
    project("test_other.py", "--optim-verify=mine.py:Mine", *WANTED, "-k", "repr or other").assert_outcomes(
        passed=2, deselected=1
    )


def test_the_last_failed_runs_again(project, pytester):
    arguments = ("--optim-verify=mine.py:Mine", *WANTED)
    pytester.runpytest_subprocess(*arguments).assert_outcomes(failed=1, passed=1)
    pytester.runpytest_subprocess("--lf", *arguments).assert_outcomes(failed=1, deselected=1)


def test_items_are_shared_among_processes(project):
    project("--optim-verify=mine.py:Mine", *WANTED, "-n", "2").assert_outcomes(failed=1, passed=1)


def test_what_is_expected_and_what_does_not_apply(project):
    expected = "--optim-verify-expect=rule.step[*]=it is known"
    found = project("--optim-verify=mine.py:Mine", *WANTED, expected, "--optim-verify-impl=for-loop", "-rxs")
    found.assert_outcomes(xfailed=1, passed=1)
    found.stdout.fnmatch_lines(["XFAIL *it is known"])
    project("--optim-verify=mine.py:Mine", *WANTED, "--optim-verify-impl=fused").assert_outcomes(skipped=2)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--optim-verify=nowhere.py:Mine",), "there is no file 'nowhere.py'"),
        (("--optim-verify=mine.py:Mine", "--optim-verify-rule=adm"), "did you mean 'adam'"),
        (("--optim-verify=mine.py:Mine", *CELLS, "--optim-verify-seed=x"), "wants a whole number"),
        (("--optim-verify=mine.py:Mine", *CELLS, "--optim-verify-only=rule.stp"), "did you mean 'rule.step'"),
    ],
)
def test_mistakes_end_in_a_sentence(project, arguments, sentence):
    found = project(*arguments)
    assert found.ret != 0
    assert sentence in found.stdout.str()
    assert "Traceback" not in found.stdout.str()


def test_a_decorated_test_has_an_item_for_each_cell(project, pytester):
    pytester.makepyfile(
        test_decorated="""
        import verify

        @verify.parametrize_with_checks(
            [verify.Subject("mine.py:Mine", "gradient_descent"), "torch.optim.SGD"],
            budget="quick", dtypes=["float32"], implementations=["for-loop"], only=["rule.step", "contract.repr"],
        )
        def test_optimizer(check):
            check()
        """
    )
    found = project("test_decorated.py", "-v")
    found.assert_outcomes(failed=1, passed=3)
    found.stdout.fnmatch_lines(["*::test_optimizer[[]rule.step[[]Mine-float32-cpu-for-loop]] FAILED*"])


FEW = {"budget": "quick", "dtypes": ["float32"], "implementations": ["for-loop"], "only": ["rule.step"], "jobs": 1}


def test_check_optimizer_gives_the_certificate_or_raises():
    from tests.specimens import Specimen

    def subject(specimen: Specimen) -> verify.Subject:
        return verify.Subject(specimen.target, specimen.rule)

    wrong = next(s for s in WRONG if s.rule == "sgd" and s.check == "rule.step" and not s.arguments)
    right = next(s for s in RIGHT if s.rule == "sgd" and not s.arguments and not s.names)
    assert verify.check_optimizer(subject(right), **FEW).verdict == "certified"
    with pytest.raises(NotCertified, match=r"FAILED  rule\.step") as caught:
        verify.check_optimizer(subject(wrong), **FEW)
    assert caught.value.certificate.counts["failed"] == 1


def test_a_class_without_a_name_is_certified_by_value():
    import torch

    class Nameless(torch.optim.SGD):
        pass

    assert verify.check_optimizer(Nameless, "sgd", **FEW).subject.endswith("Nameless")
    assert verify.check_optimizer(torch.optim.SGD, **FEW).subject == "torch.optim.SGD"


def test_a_check_is_called_what_it_is():
    assert issubclass(CheckFailed, AssertionError)
    assert "verify.pytest_plugin" in sys.modules
