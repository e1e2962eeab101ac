"""A subject costs its own cells and nothing else, whatever it does to its process."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from verify import Subject, certify
from verify.budgets import BUDGETS
from verify.cli import main
from verify.errors import UsageError
from verify.isolation import Guard
from verify.pool import Limits, Pool, _Process
from verify.worker import _answer

HOSTILE = str(Path(__file__).with_name("hostile.py"))
SETTINGS = {"budget": "quick", "seed": 0, "memory": 1 << 46}


@pytest.fixture(autouse=True)
def process(monkeypatch):
    """This process stays as it was, too."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    torch.set_num_threads(1)
    with Guard() as guard:
        yield
    for name in set(sys.modules) - before:
        if name.startswith("optim_verify_subject_"):
            del sys.modules[name]
    assert guard.changes == []


@pytest.fixture
def pids(tmp_path):
    """Ids of all processes that imported the hostile file."""
    file = tmp_path / "pids"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOSTILE_PIDS", str(file))
        yield lambda: [int(line) for line in file.read_text().split()] if file.exists() else []


@pytest.fixture
def impatient(monkeypatch):
    """A call of the subject may take six seconds: enough for a right one on a busy machine."""
    monkeypatch.setitem(BUDGETS, "quick", replace(BUDGETS["quick"], call_seconds=6.0))


def exists(pid: int) -> bool:
    """Whether there is such a process, be it a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def subject(name: str) -> Subject:
    return Subject(f"{HOSTILE}:{name}", "gradient_descent")


def answers(name: str, *cells: tuple[str, str]) -> list[dict]:
    """What a worker answers, run in this process: the results of cells."""
    requests = [(check, dtype, "cpu", "for-loop") for check, dtype in cells]
    sent = []

    def receive():
        if not requests:
            raise EOFError
        return requests.pop(0)

    connection = SimpleNamespace(recv=receive, send=sent.append)
    _answer(connection, SimpleNamespace(value=0.0), {**SETTINGS, "subject": subject(name)})
    kinds = [kind for kind, _ in sent]
    assert kinds == ["imported", "ready", *["cell" for _ in cells]], sent[-1]
    return [payload for _, payload in sent[2:]]


# -- in one process -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("SetsDefaultDtype", ["the subject changed torch's default dtype from torch.float32 to torch.float64"]),
        ("SetsDefaultDevice", ["the subject changed torch's default device from cpu to meta"]),
        ("SetsThreads", ["the subject changed torch's thread count from 1 to 3"]),
        ("TurnsGradientsOff", ["the subject changed torch's grad mode from True to False"]),
        ("Flushes", ["the subject changed torch's flushing of subnormal numbers from False to True"]),
        ("Seeds", ["the subject changed torch's random state (it drew numbers or set the seed)"]),
        ("Draws", ["the subject changed torch's random state (it drew numbers or set the seed)"]),
        ("Prints", ["the subject printed to stdout: 'one'"]),
        ("ClosesStdout", ["the subject printed to stdout: 'bye'"]),
        ("PatchesTensor", ["the subject replaced torch.Tensor.mul_"]),
        ("PatchesAdd", ["the subject replaced torch.add"]),
        ("PatchesReshape", ["the subject replaced torch.Tensor.reshape"]),
        ("PatchesOptimizer", ["the subject replaced torch.optim.Optimizer.zero_grad"]),
        ("LeavesHook", ["the subject left a hook in torch.optim.optimizer._global_optimizer_post_hooks"]),
        (
            "Deceives",
            [
                "the subject replaced torch.equal",
                "the subject replaced torch.get_default_dtype",
                "the subject changed torch's default dtype from torch.float32 to torch.float64",
                "the subject changed torch's random state (it drew numbers or set the seed)",
            ],
        ),
    ],
)
def test_what_step_changes_is_reported_and_undone(name, changes):
    if name == "Flushes" and not torch.set_flush_denormal(False):
        pytest.skip("this processor does not flush subnormal numbers")
    own, other = answers(name, ("contract.side_effects", "float32"), ("rule.tails", "float64"))
    for cell in own, other:
        assert cell["status"] == "failed"
        assert sorted(f["message"] for f in cell["findings"]) == sorted(changes)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("RaisesSystemExit", "the subject raised SystemExit: 0"),
        ("RaisesGeneratorExit", "the subject raised GeneratorExit"),
        ("RaisesKeyboardInterrupt", "the subject raised KeyboardInterrupt"),
        ("RaisesUnprintable", "the subject raised Unprintable"),
        ("RaisesSurrogates", f"the subject raised ValueError: \\ud800{'x' * 294} …"),
        ("OddGroups", "the subject raised TypeError: 'int' object is not subscriptable"),
        (
            "ReplacesParameter",
            "after step 1, parameter 0: the parameter became float32 of shape (3,) on cpu; "
            "it must stay float32 of shape (1,) on cpu",
        ),
    ],
)
def test_what_step_raises_is_reported(name, sentence):
    for cell in answers(name, ("rule.tails", "float32"), ("rule.tails", "float32")):
        assert cell["status"] == "failed"
        assert cell["reason"] == sentence


def test_state_that_raises_is_state_that_cannot_be_seen():
    cells = answers("HidesState", ("rule.tails", "float32"), ("precision.state_dtype", "float32"))
    assert [cell["status"] for cell in cells] == ["passed", "passed"]


def test_a_fault_of_ours_costs_one_cell():
    pool = Pool({}, 1, Limits(1.0, 1.0))
    worker = _Process(None, None, None, "ready", (3, ()))
    ((index, result),) = pool._heard(worker, "fault", ("KeyError: 'x'", "the traceback"))
    assert (index, result["status"], result["reason"]) == (3, "not-run", "a fault of ours: KeyError: 'x'")
    assert (worker.job, result["fault"]) == (None, "the traceback")


def test_after_four_lost_processes_the_rest_is_not_run():
    pool = Pool({}, 1, Limits(1.0, 1.0), _deaths=4, _charges=["gone"])
    results = [result for _, result in pool.run([("a",), ("b",), ("c",)])]
    assert [r["status"] for r in results] == ["failed", "not-run", "not-run"]
    assert [r["reason"] for r in results[1:]] == ["the subject had already ended 4 worker processes"] * 2


@pytest.mark.parametrize(
    ("phase", "inside", "code", "sentence"),
    [
        ("import", 1.0, 3, "importing the subject ended the interpreter (exit code 3)"),
        ("import", 1.0, -11, "importing the subject ended the interpreter (signal SIGSEGV)"),
        ("build", 1.0, 0, "building the subject ended the interpreter (exit code 0)"),
        ("ready", 1.0, -9, "the subject ended the interpreter (signal SIGKILL)"),
    ],
)
def test_how_a_process_ended_is_told(phase, inside, code, sentence):
    worker = _Process(SimpleNamespace(exitcode=code), None, SimpleNamespace(value=inside), phase)
    assert Pool({}, 1, Limits(1.0, 1.0))._ended(worker) == sentence


# -- in worker processes --------------------------------------------------------------------


def test_a_lost_process_costs_one_cell(pids, impatient, monkeypatch):
    monkeypatch.setattr("verify.certification.Limits", partial(Limits, memory=1 << 29))
    dtypes = ["float64", "float32", "complex64", "float16", "complex128", "bfloat16"]
    certificate = certify(
        subject("EachDtypeItsOwn"), only=["rule.tails"], dtypes=dtypes, implementations=["for-loop"],
        budget="quick", jobs=2,
    )  # fmt: skip
    reasons = {cell.dtype: cell.reason for cell in certificate.cells}
    # the limit of the process, or the parent's watch on it, whichever sees it first
    told = reasons.pop("float16")
    assert "can't allocate memory" in told or "took more than 0.5 GiB" in told
    assert reasons == {
        "float64": "the subject did not return within 6 s",
        "float32": "the subject ended the interpreter (exit code 7)",
        "complex64": "the subject ended the interpreter (signal SIGSEGV)",
        "complex128": "",
        "bfloat16": "",
    }
    assert certificate.verdict == "not certified"
    assert sorted(f.dtype for f in certificate.findings) == ["complex64", "float16", "float32", "float64"]
    assert multiprocessing.active_children() == []
    assert len(pids()) >= 3
    assert not any(map(exists, pids()))


def test_a_constructor_that_does_not_come_back_costs_a_cell(pids, impatient):
    certificate = certify(
        subject("HangsWhenBuilt"), only=["rule.tails"], dtypes=["float32"], implementations=["for-loop"],
        budget="quick", jobs=1,
    )  # fmt: skip
    (finding,) = certificate.findings
    assert finding.message == "building the subject did not end within 6 s"
    assert certificate.counts["failed"] == 1
    assert not any(map(exists, pids()))


def test_an_import_that_does_not_come_back(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("verify.pool.START_SECONDS", 1.0)
    with contextlib.chdir(tmp_path):
        Path("stuck.py").write_text("import time; time.sleep(1e6)")
        assert main(["certify", "stuck.Adam", "--rule", "adam", "--jobs", "1"]) == 2
    assert capsys.readouterr() == ("", "optim-verify: importing the subject did not end within 1 s\n")
    assert multiprocessing.active_children() == []


def test_a_script_without_a_guard_is_told_so(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("from verify import certify\ncertify('torch.optim.SGD', jobs=1)\n")
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    sentence = (
        "a worker process ended before it could import the subject (exit code 1); "
        "a script that calls certify() must do so under if __name__ == '__main__'"
    )
    assert run.stderr.splitlines()[-1] == f"{UsageError.__module__}.UsageError: {sentence}"


def test_workers_end_with_their_parent(pids, tmp_path):
    source = f"""
        from verify import Subject, certify
        if __name__ == "__main__":
            certify(Subject({HOSTILE + ":HangsInFloat64"!r}, "gradient_descent"), only=["rule.tails"],
                    dtypes=["float64"], implementations=["for-loop"], budget="thorough", jobs=1)
    """
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(source))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    parent = subprocess.Popen([sys.executable, script], env=environment)
    deadline = time.monotonic() + 60
    while not pids() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    (worker,) = pids()
    while is_running(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(worker)


def is_running(pid: int) -> bool:
    """Whether a process, perhaps of another parent, is more than a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
