"""The pytest fixture, in a run of pytest of its own."""

import subprocess
import sys

TESTS = """
import torch
from torch import nn

def train(model, optimizer):
    for _ in range(3):
        optimizer.zero_grad()
        model(torch.ones(2, 4)).sum().backward()
        optimizer.step()

def test_right(watch_binding):
    model = nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch_binding(model, optimizer)
    train(model, optimizer)

def test_wrong(watch_binding):
    model = nn.Sequential(nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch_binding(model, optimizer)
    model[0] = nn.Linear(4, 3)
    train(model, optimizer)

def test_accepted(watch_binding):
    model = nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 2))
    optimizer = torch.optim.SGD(model[1].parameters(), lr=0.1)
    watch_binding(model, optimizer, allow=["not-optimized:0.*"])
    train(model, optimizer)
"""


def test_fails_the_test_in_which_something_is_found(tmp_path):
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["verify.binding.pytest_fixture"]\n', encoding="utf-8")
    (tmp_path / "test_training.py").write_text(TESTS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:benchmark", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "3 passed, 1 error" in run.stdout, run.stdout + run.stderr
    assert "ERROR" in run.stdout
    assert "test_wrong" in run.stdout
    assert "nothing-shared" in run.stdout
