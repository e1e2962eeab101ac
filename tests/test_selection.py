"""What is run, what is left out, and that nothing is left out in silence."""

import json
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest

from verify import Subject, certification, certify
from verify.certification import Plan
from verify.checks import CAPABILITIES, all_checks
from verify.expectations import write
from verify.pool import failed
from verify.report.terminal import matrix, verdict
from verify.worker import Worker

OPTIMIZERS = """
import torch

class Whole(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3):
        super().__init__(params, dict(lr=lr))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.sub_(group["lr"] * p.grad)

class Bare:
    def __init__(self, params, lr=1e-3):
        self.params = [q for p in params for q in (p["params"] if isinstance(p, dict) else [p])]
        self.lr, self.key = lr, lambda: lr

    @torch.no_grad()
    def step(self):
        for p in self.params:
            if p.grad is not None:
                if p.is_complex() or p.grad.is_sparse:
                    raise RuntimeError("unsupported")
                p.sub_(self.lr * p.grad)
"""


class AllPass:
    """Stands for the pool of workers: every cell passes."""

    def __init__(self, settings, jobs, limits):
        self.settings = settings

    def start(self):
        worker = Worker(SimpleNamespace(value=0.0), {**self.settings, "memory": 1 << 46})
        return {**worker.description(), "has": worker.probe()}

    def run(self, cells):
        for index in range(len(cells)):
            yield index, {"status": "passed", "findings": []}

    def stop(self):
        pass


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(OPTIMIZERS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(certification, "Pool", AllPass)


def planned(name: str, *lacks: str, **plan):
    found = certify(Subject(f"mine.py:{name}", "gradient_descent", lacks=lacks), Plan(**plan))
    counts = found.counts
    assert counts["planned"] == len(found.cells) == sum(n for s, n in counts.items() if s != "planned")
    schema = json.loads(resources.files("verify").joinpath("certificate.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(found.to_json())
    return found


def test_what_is_skipped_is_counted():
    found = planned("Whole", skip=["groups*", "rule.tails"])
    skipped = [c for c in found.cells if c.status == "skipped"]
    assert {c.check for c in skipped} >= {"groups.order", "rule.tails"}
    assert {c.reason for c in skipped} == {"--skip groups*", "--skip rule.tails"}
    assert found.verdict == "certified"
    text = "\n".join([*matrix(found), *verdict(found)])
    assert f"CERTIFIED with {len(skipped)} cells skipped by request" in text
    assert f"{len(skipped)} skipped" in text
    assert "cells: --skip groups*" in text
    assert planned("Whole", only=["rule.tails"], skip=["rule*"]).verdict == "incomplete"


def test_only_is_no_skipping():
    found = planned("Whole", only=["rule.tails"])
    assert {c.check for c in found.cells} == {"rule.tails"}
    assert "CERTIFIED  " in "\n".join(verdict(found))


def test_nothing_is_lacking():
    assert not any(c.status == "not-applicable" for c in planned("Whole").cells)


@pytest.mark.parametrize("capability", ["state_dict", "add_param_group", "closure", "pickle", "complex", "sparse"])
def test_what_is_lacking(capability):
    found = planned("Bare", capability)
    left_out = {c.check for c in found.cells if c.reason == f"declared: it lacks {capability!r}"}
    needing = {id for id, check in all_checks().items() if capability in check.needs}
    assert left_out >= needing
    for cell in found.cells:
        lacking = cell.check in needing or (capability == "complex" and cell.dtype.startswith("complex"))
        assert (cell.status == "not-applicable") is lacking
    assert found.notes == []


@pytest.mark.parametrize("capability", ["state_dict", "add_param_group", "closure", "pickle", "complex"])
def test_a_wrong_declaration_is_not_believed(capability):
    found = planned("Whole", capability)
    assert not any(c.status == "not-applicable" for c in found.cells)
    assert found.notes == [f"declared to lack {capability!r}, which it has: cells that need it are run"]
    assert f"note        declared to lack {capability!r}" in "\n".join(verdict(found))


def test_a_declaration_that_cannot_be_tried_is_believed():
    assert {"tensor_lr", "compile"} < set(CAPABILITIES)
    found = planned("Whole", "compile", implementations=["for-loop", "compiled"])
    compiled = {c.status for c in found.cells if c.implementation == "compiled"}
    assert compiled == {"not-applicable"}


def test_without_a_rule():
    found = certify(Subject("mine.py:Whole", "none"), Plan())
    for cell in found.cells:
        needs = all_checks()[cell.check].needs
        assert (cell.reason == "no rule is given") is ("rule" in needs)
    assert found.verdict == "certified"


def test_long_cells_come_first():
    order = []

    class Order(AllPass):
        def run(self, cells):
            order.extend(check for check, *_ in cells)
            yield from super().run(cells)

    certification.Pool = Order
    planned("Whole", only=["rule.*", "contract.hooks"], dtypes=["float32"])
    assert order[0] == "rule.power"
    assert order[-1] == "contract.hooks"


@pytest.mark.parametrize(
    ("reason", "statuses"),
    [
        ("the subject ended the interpreter (exit code 7)", {"rule.tails": "expected-failure", "rule.step": "failed"}),
        ("the subject did not return within 10 s", {"rule.tails": "failed", "rule.step": "failed"}),
    ],
)
def test_a_lost_process_can_be_expected(monkeypatch, reason, statuses):
    class Lost(AllPass):
        def run(self, cells):
            for index in range(len(cells)):
                yield index, failed(reason)

    entry = {"check": "rule.tails", "cell": "float32-*", "reason": "known"}
    message = "the subject ended the interpreter (exit code -11)"
    write(Path("e.json"), {"mine.py:Whole": [{**entry, "message": message, "program": None}]})
    monkeypatch.setattr(certification, "Pool", Lost)
    found = planned("Whole", only=["rule.tails", "rule.step"], dtypes=["float32"], expectations="e.json")
    assert {c.check: c.status for c in found.cells} == statuses
    assert [e.reason for e in found.expected] == ["known"] * (statuses["rule.tails"] == "expected-failure")
    assert found.verdict == "not certified"
