"""How long things take. Skipped unless asked for:

    python -m pytest tests/benchmarks --benchmark-only -n 0

Nothing here asserts a time: what is measured goes into the table, and ``extra_info`` into
``--benchmark-json``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.checking import run_check
from verify import Subject

COMMAND = str(Path(sys.executable).with_name("optim-verify"))


def run(*arguments: str) -> int:
    return subprocess.run([COMMAND, *arguments], capture_output=True, check=False).returncode


@pytest.mark.parametrize(("budget", "rounds"), [("quick", 3), ("standard", 1)])
def test_certify_adam(benchmark, tmp_path, budget, rounds):
    """A whole run, start of the interpreter and worker processes included."""
    arguments = ("certify", "torch.optim.Adam", "--budget", budget, "--reports", str(tmp_path))
    code = benchmark.pedantic(run, args=arguments, rounds=rounds)
    # 1 where torch's fused kernel has the bug that test_torch_optimizers.py pins
    assert code in (0, 1)


def test_help(benchmark):
    """Imports neither torch nor sympy."""
    assert benchmark.pedantic(run, args=("--help",), rounds=5) == 0


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_own_work_over_the_subjects(benchmark, name):
    """Reference and generation per step, against a warm step of the subject on the same elements."""
    subject = Subject(f"torch.optim.{name}")
    report = benchmark.pedantic(
        run_check, args=(subject, "rule.step", "float32"), kwargs={"budget": "standard"}, rounds=3
    )
    assert report.status == "passed"
    benchmark.extra_info |= report.speed
    assert report.speed["own_over_subject"] > 0
