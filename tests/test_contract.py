"""The contract of every optimizer: torch's own keep it, broken ones are told by the line that they break."""

import subprocess
import sys
import warnings
from dataclasses import replace

import pytest
import torch

from tests.checking import run_check
from tests.specimens import Specimen
from tests.specimens.beyond_one_step import WRONG_BEYOND
from tests.specimens.promises_kept import WRONG_PROMISES
from verify import Subject, load
from verify.budgets import BUDGETS
from verify.checks import IDS, all_checks
from verify.checks.context import Context
from verify.isolation import Guard
from verify.promises import PROMISES
from verify.promises.case import Broken, Case
from verify.promises.tensors import sparse
from verify.script_promise import promise_script, script_for_promise, source

TORCH = (
    "Adam",
    "AdamW",
    "SGD",
    "RMSprop",
    "Adagrad",
    "Adadelta",
    "Adamax",
    "NAdam",
    "RAdam",
    "Rprop",
    "ASGD",
    "SparseAdam",
)
BROKEN = [s for s in (*WRONG_BEYOND, *WRONG_PROMISES) if s.check in PROMISES]
# one specimen for each check; the others are tried by test_specimens.py
ONE_EACH = list({s.check: s for s in BROKEN}.values())

# what torch's own classes do not keep, with the words of the finding
TORCH_BREAKS = {
    ("contract.validation", "SGD"): "the constructor takes nan for lr",
    ("contract.validation", "RMSprop"): "the constructor takes 1.25 for alpha",
    ("contract.validation", "Rprop"): "the constructor takes -0.25, nan, 'fast' for step_sizes[0]",
    ("contract.validation", "ASGD"): "the constructor takes -0.25, nan, 'fast' for lambd",
    ("contract.memory", "SGD", "for-loop"): "the optimizer's tensors grow with every step on sparse gradients",
    ("contract.memory", "SGD", "foreach"): "the optimizer's tensors grow with every step on sparse gradients",
    ("contract.grad_scaler", "SGD", "fused"): "with GradScaler, an infinite gradient before the first step",
}


def subject_of(specimen: Specimen) -> Subject:
    return Subject(specimen.target, specimen.rule, arguments=specimen.arguments, names=specimen.names)


def test_every_promise_is_a_check():
    promised = {id for id in IDS if id.startswith(("contract.", "binding."))}
    assert set(PROMISES) == promised - {"contract.side_effects"}
    for id in PROMISES:
        assert all_checks()[id].explanation.startswith(PROMISES[id].__doc__.splitlines()[0])


@pytest.mark.parametrize("name", TORCH)
@pytest.mark.parametrize("check", PROMISES)
def test_torch_keeps_it(check, name):
    for implementation in ("for-loop", "foreach", "fused"):
        for dtype in ("float32", "bfloat16"):
            report = run_check(Subject(f"torch.optim.{name}"), check, dtype, implementation)
            if report is None:
                continue
            broken = TORCH_BREAKS.get((check, name, implementation)) or TORCH_BREAKS.get((check, name))
            if broken is None and report.reason.startswith(
                "it refuses lr as a tensor: lr as a Tensor is not supported"
            ):
                assert (check, implementation) == ("contract.tensor_lr", "foreach")
            elif report.reason == "its state is made when a group is added":
                assert (check, name) == ("binding.anew", "Adagrad")
            elif broken is None:
                assert report.status == "passed", report.findings[0].message if report.findings else report.reason
            else:
                assert report.findings[0].message.startswith(broken)


def scripts_of(specimen: Specimen) -> dict[str, str]:
    """The script of a finding, and the same with torch's own optimizer in the place of the broken one."""
    report = run_check(subject_of(specimen), specimen.check, "float32")
    (finding,) = report.findings
    broken = script_for_promise(load(subject_of(specimen)), specimen.check, finding)
    right = load(Subject(f"torch.optim.{'Adam' if specimen.rule == 'adam' else 'SGD'}"))
    program = finding.program
    if specimen.rule not in ("adam", "sgd"):
        program = replace(program, groups=tuple({"lr": 0.5} for _ in program.groups), options={})
    slack = 1e-5 if specimen.check == "contract.compile" else 0.0
    promise = PROMISES[specimen.check]
    return {"broken": broken, "right": promise_script(right, specimen.check, program, promise, "", slack)}


@pytest.mark.parametrize("specimen", ONE_EACH, ids=lambda s: s.check)
def test_script_shows_it(specimen, capsys):
    """The script exits 1 for the broken specimen, and with 0 for torch's own."""
    for which, text in scripts_of(specimen).items():
        assert "verify" not in text.replace("optim_verify", "")
        ended = 0
        try:
            exec(compile(text, "script.py", "exec"), {"__name__": "__main__"})
        except SystemExit as error:
            ended = error.code
        printed = capsys.readouterr().out
        assert ended == (1 if which == "broken" else 0), printed


def test_script_stands_alone(tmp_path):
    specimen = next(s for s in BROKEN if s.check == "contract.gradients")
    ends = []
    for which, text in scripts_of(specimen).items():
        path = tmp_path / f"{which}.py"
        path.write_text(text)
        done = subprocess.run([sys.executable, "-I", path], capture_output=True, text=True, timeout=120)
        assert not done.stderr
        ends.append(done.returncode)
    assert ends == [1, 0]


BAD_CITIZENS = [s for s in WRONG_PROMISES if s.check == "contract.side_effects"]


@pytest.mark.parametrize("specimen", BAD_CITIZENS, ids=lambda s: s.name)
def test_what_is_changed_beyond_torch_is_told_and_put_back(specimen):
    """Import, construction and steps are guarded, as in a worker."""
    with Guard() as outside:
        loaded = load(subject_of(specimen))
        context = Context(loaded, "float32", "cpu", "for-loop", BUDGETS["quick"], 0)
        report = all_checks()["contract.side_effects"].run(context)
    assert report.status == "failed"
    assert report.findings[0].message.startswith("the subject changed ")
    assert outside.changes == []


def test_a_warning_in_every_step_is_a_note():
    class Warns(torch.optim.SGD):
        def step(self, closure=None):
            warnings.warn("SGD is old", FutureWarning, stacklevel=2)
            super().step(closure)

    for target, notes in ((Warns, ["it warns in every step: FutureWarning: SGD is old"]), ("torch.optim.SGD", [])):
        report = run_check(Subject(target, "sgd"), "contract.side_effects", "float32")
        assert report.status == "passed"
        assert report.notes == notes


def test_source_is_python():
    transposed = torch.arange(6.0).reshape(2, 3).mT
    for value in (transposed, torch.ones(2, dtype=torch.bfloat16), torch.tensor(1 + 2j), torch.zeros(0, 3)):
        again = eval(source(value), {"torch": torch})
        assert torch.equal(again, value)
        assert (again.dtype, again.stride()) == (value.dtype, value.stride())
    for value in ({"betas": (0.5, 1.0)}, (1,), (), [float("inf"), None, "text"]):
        assert eval(source(value)) == value


def test_sparse_rows_alone_may_move():
    """SparseAdam moves the rows that the gradient has, and no other; it refuses dense gradients."""
    parameters = [torch.tensor([[1.0, -0.5], [2.0, 0.25], [-1.5, 0.75]]), torch.ones(2)]
    gradients = [[torch.tensor([[0.5, 1.0], [-1.0, 2.0], [0.25, -0.75]]), torch.ones(2)] for _ in range(3)]
    groups = [([0, 1], {})]

    class MovesAnother(torch.optim.SparseAdam):
        def step(self, closure=None):
            super().step(closure)
            with torch.no_grad():
                self.param_groups[0]["params"][0][1].add_(1)

    sparse(Case(torch.optim.SparseAdam, {}, groups, parameters, gradients))
    with pytest.raises(Broken, match="must move the rows of its gradient"):
        sparse(Case(MovesAnother, {}, groups, parameters, gradients))
