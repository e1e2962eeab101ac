"""The gate: what it lets pass, what it does not, and that nothing damaged is taken for whole."""

import json
import os
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.test_cli import check_snapshot
from verify.certificate import Cell, Certificate, FindingRecord, write_json
from verify.cli import main
from verify.errors import UsageError
from verify.expectations import read_entries
from verify.gate.baseline import entry, read_baseline, write_baseline
from verify.gate.compare import compare, lines
from verify.gate.gate import judge
from verify.gate.journal import Journal
from verify.gate.required import Required
from verify.gate.results import Results, Shard, merge, read_results
from verify.gate.settings import Settings, read_settings
from verify.report.reading import read_certificate
from verify.report.told import cell_name
from verify.subject import Subject

CPU = ("float32", "cpu", "for-loop")
CUDA = ("float32", "cuda", "for-loop")
ABSENT = "there is no cuda device here"


def accepted() -> Certificate:
    """A certificate with a cell of each sort that the gate looks at."""
    made = Certificate("mine.Adam", "adam", rule_title="Adam", rule_source="Kingma & Ba 2015")
    made.environment = {
        "optim-verify": "0.1.0", "torch": "2.13.0", "cpu": "AVX512", "cuda": "", "seed": 0, "budget": "quick", "devices": ["cpu"],
    }  # fmt: skip
    made.cells = [
        Cell("rule.step", *CPU, "passed", worst_ratio=0.25, worst_quantity="p"),
        Cell("rule.step", "float64", "cpu", "for-loop", "passed", worst_ratio=0.0, worst_quantity="p"),
        Cell("parity.implementations", "float32", "cpu", "foreach", "passed", bitwise=[4, 4]),
        Cell("contract.repr", *CPU, "failed", "repr() is ''"),
        Cell("contract.sparse", *CPU, "not-applicable", "it takes no sparse gradients"),
    ]
    made.findings = [FindingRecord("contract.repr", *CPU, "repr() is ''")]
    made.seconds = {"subject": 1.0, "reference": 1.0, "generation": 1.0, "total": 2.0}
    made.performance = {
        "cpu/for-loop": {"step_seconds": 2e-4, "state_bytes_per_parameter": 8.0, "rival": "torch.optim.Adam (fused)",
                         "rival_step_seconds": 1e-4, "rival_state_bytes_per_parameter": 8.0}
    }  # fmt: skip
    made.decide()
    return made


def changed(**cells: dict) -> Certificate:
    """The accepted certificate, with fields of some cells changed (by the last part of the check's id)."""
    made = accepted()
    made.cells = [replace(c, **cells.get(c.check.split(".")[1], {})) if c.dtype == "float32" else c for c in made.cells]
    made.decide()
    return made


def kinds(certificate: Certificate, **limits) -> list[str]:
    return [c.kind for c in changes(certificate, **limits)]


def changes(certificate: Certificate, **limits):
    old = accepted()
    return compare({old.subject: entry(old)}, [certificate], Settings(((Subject("mine.Adam"), None),), **limits))


# -- planted regressions ---------------------------------------------------------------------


def test_nothing_has_changed():
    assert changes(accepted()) == []


def test_a_lost_dtype():
    lost = accepted()
    lost.cells = [c for c in lost.cells if c.dtype != "float64"]
    assert kinds(lost) == ["gone"]
    assert kinds(changed(step={"status": "not-applicable", "reason": "refused", "worst_ratio": None})) == ["gone"]


def test_a_new_failure_is_told_with_what_was_found():
    failed = changed(step={"status": "failed", "reason": "wrong"})
    failed.findings.append(FindingRecord("rule.step", *CPU, "after step 1 it is wrong\nexact 1"))
    (change,) = [c for c in changes(failed) if c.kind == "failed"]
    assert change.fails
    assert "after step 1 it is wrong" in change.text


def test_a_verdict_that_is_worse():
    old = accepted()
    old.cells, old.findings = old.cells[:3], []
    old.decide()
    new = changed(step={"status": "failed", "reason": "wrong"})
    found = compare({old.subject: entry(old)}, [new], Settings(()))
    assert found[0].kind == "verdict"
    assert [c.kind for c in compare({new.subject: entry(new)}, [old], Settings(()))][-1] == "better"


@pytest.mark.parametrize(
    ("ratio", "limit", "found"), [(0.49, 2.0, []), (0.51, 2.0, ["margin"]), (0.9, 4.0, []), (0.1, 2.0, [])]
)
def test_a_new_worst_ratio(ratio, limit, found):
    assert kinds(changed(step={"worst_ratio": ratio}), margin=limit) == found


def test_what_was_exact_and_is_no_longer():
    rounded = accepted()
    rounded.cells[1] = replace(rounded.cells[1], worst_ratio=0.01)
    assert kinds(rounded) == ["margin"]


def test_a_lost_bitwise_equality():
    assert kinds(changed(implementations={"bitwise": [3, 4]})) == ["bitwise"]


@pytest.mark.parametrize(("times", "found"), [(2.0, ["slower"]), (1.4, [])])
def test_a_slower_step(times, found):
    slow = accepted()
    slow.performance["cpu/for-loop"]["step_seconds"] *= times
    assert kinds(slow) == found
    # a machine that is slower in all is none
    slow.performance["cpu/for-loop"]["rival_step_seconds"] *= times
    assert kinds(slow) == []


def test_another_torch_is_said_and_not_failed():
    other = accepted()
    other.environment["torch"] = "2.14.0"
    (change,) = changes(other)
    assert change.kind == "said"
    assert not change.fails
    assert "2.14.0" in change.text


def test_a_new_subject_must_be_certified():
    new = accepted()
    new.subject = "mine.New"
    assert [c.kind for c in compare({}, [new], Settings(()))] == ["new subject"]
    new.cells, new.findings = new.cells[:2], []
    new.decide()
    assert [c.kind for c in compare({}, [new], Settings(()))] == ["said"]


def test_a_subject_that_is_gone():
    assert [c.kind for c in compare({"mine.Adam": entry(accepted())}, [], Settings(()))] == ["gone"]


def test_the_worst_is_told_first():
    bad = changed(step={"status": "failed", "reason": "wrong"}, implementations={"bitwise": [0, 4]})
    bad.cells[1] = replace(bad.cells[1], worst_ratio=0.5)
    bad.performance["cpu/for-loop"]["step_seconds"] *= 3
    bad.environment["torch"] = "2.14.0"
    found = changes(bad)
    assert [c.kind for c in found] == ["failed", "bitwise", "margin", "slower", "said"]
    check_snapshot("gate", "\n".join(lines(found)) + "\n")


# -- devices that are not here, cells that must have run ----------------------------------------


def with_cuda(status: str, reason: str = "") -> Certificate:
    made = accepted()
    made.cells.append(Cell("rule.step", *CUDA, status, reason))
    made.decide()
    return made


def outcome(certificate: Certificate, tmp_path: Path, require=(), old: Certificate | None = None):
    path = tmp_path / "baseline.json"
    write_baseline(path, [old or accepted()])
    return judge(Settings(((Subject("mine.Adam"), None),), path), [certificate], require)


def test_a_device_that_is_not_here_is_never_green_where_it_is_required(tmp_path):
    absent = with_cuda("not-run", ABSENT)
    assert outcome(absent, tmp_path, old=with_cuda("passed")).code == 0
    required = outcome(absent, tmp_path, ["cuda"], old=with_cuda("passed"))
    assert required.code == 3
    assert "INCOMPLETE" in required.lines[-1]
    assert outcome(accepted(), tmp_path, ["cuda"]).code == 3
    assert outcome(with_cuda("passed"), tmp_path, ["cuda"]).code == 0
    assert outcome(with_cuda("skipped", "--skip rule*"), tmp_path, ["rule.step[*-cuda-*]"]).code == 3


def test_cells_that_did_not_end_make_it_incomplete(tmp_path):
    new = with_cuda("not-run", "the cell did not end within 60 s")
    assert outcome(new, tmp_path).code == 3


def test_what_got_worse_weighs_more_than_what_did_not_run(tmp_path):
    assert outcome(changed(implementations={"bitwise": [0, 4]}), tmp_path, ["cuda"]).code == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("coda", "did you mean 'cuda'"), ("rule.step[float32-cuda", "wants a device"), ("rule.stp[*]", "did you mean 'rule.step'"),
     ("rule.step[float23-cpu-foreach]", "did you mean")],
)  # fmt: skip
def test_what_is_required_must_exist(text, sentence):
    with pytest.raises(UsageError, match=sentence):
        Required.parse(text)


# -- baseline, journal, shards ----------------------------------------------------------------


def test_a_baseline_is_read_back(tmp_path):
    write_baseline(tmp_path / "b.json", [accepted()])
    assert read_baseline(tmp_path / "b.json") == {"mine.Adam": entry(accepted())}


def test_a_truncated_baseline_is_refused(tmp_path):
    path = tmp_path / "b.json"
    write_baseline(path, [accepted()])
    text = path.read_text()
    for length in range(0, len(text) - 2, 37):
        path.write_text(text[:length])
        with pytest.raises(UsageError, match="cut off or damaged"):
            read_baseline(path)


def result(status: str = "passed") -> dict:
    return {"status": status, "findings": [], "worst_ratio": float("inf")}


@given(st.integers(0, 400))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_journal_that_was_cut_off_keeps_what_was_whole(tmp_path, length):
    cells = accepted().cells
    path = tmp_path / "gate.journal"
    journal = Journal(path, {"digest": "a"}, resume=False)
    for cell in cells:
        journal.add("mine.Adam", cell, result())
    journal.end(keep=True)
    text = path.read_bytes()
    head = text.index(b"\n") + 1
    kept = text[: max(head, len(text) - length)]
    path.write_bytes(kept)
    again = Journal(path, {"digest": "a"}, resume=True)
    assert len(again.results) == kept.count(b"\n") - 1
    # what is added now follows whole lines
    again.add("mine.Adam", cells[-1], result("failed"))
    again.end(keep=True)
    assert all(json.loads(line) for line in path.read_text().splitlines())
    Journal(path, {"digest": "a"}, resume=True).end(keep=False)
    assert not path.exists()


def test_a_journal_of_another_run_is_not_resumed(tmp_path):
    path = tmp_path / "gate.journal"
    Journal(path, {"digest": "a"}, resume=False).end(keep=True)
    with pytest.raises(UsageError, match="is of another run"):
        Journal(path, {"digest": "b"}, resume=True)
    with pytest.raises(UsageError, match="there is no journal"):
        Journal(tmp_path / "none", {"digest": "b"}, resume=True)


def shards(count: int) -> list[Results]:
    whole = accepted()
    names = {whole.subject: [cell_name(c) for c in whole.cells]}
    parts = []
    for number in range(1, count + 1):
        shard, part = Shard(number, count), deepcopy(whole)
        part.cells = [c for i, c in enumerate(whole.cells) if shard.has(i)]
        own = {c.key for c in part.cells}
        part.findings = [f for f in whole.findings if (f.check, f.dtype, f.device, f.implementation) in own]
        part.performance = whole.performance if number == 1 else {}
        part.decide()
        parts.append(Results("d", shard, names, [part]))
    return parts


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7])
def test_shards_make_the_whole(count, tmp_path):
    paths = [tmp_path / f"{k}.json" for k in range(count)]
    for path, part in zip(paths, shards(count), strict=True):
        part.write(path)
    (whole,) = merge([read_results(path) for path in reversed(paths)])
    assert changes(whole) == []
    assert (whole.cells, whole.findings, whole.verdict) == (accepted().cells, accepted().findings, accepted().verdict)


def test_shards_that_overlap_or_lack_cells():
    one, two = shards(2)
    with pytest.raises(UsageError, match="shards are missing: 2/2"):
        merge([one])
    with pytest.raises(UsageError, match="shard 1/2 is there twice"):
        merge([one, one])
    two.certificates[0].cells.append(one.certificates[0].cells[0])
    with pytest.raises(UsageError, match=r"1 cells of mine\.Adam are there twice"):
        merge([one, two])
    one, two = shards(2)
    del two.certificates[0].cells[0]
    with pytest.raises(UsageError, match=r"do not cover mine\.Adam"):
        merge([one, two])
    with pytest.raises(UsageError, match="belong to different runs"):
        merge([one, replace(two, digest="other")])


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", ""])
def test_a_shard_has_a_number(text):
    with pytest.raises(UsageError, match="--shard wants i/n"):
        Shard.parse(text)


# -- settings ----------------------------------------------------------------------------------

CONFIG = """
[tool.optim-verify]
budget = "quick"
dtypes = ["float32"]
only = ["rule.step", "contract.repr"]
require = ["cpu"]

[[tool.optim-verify.subjects]]
target = "mine.py:Mine"
rule = "gradient_descent"
seed = 3
"""


def test_settings_of_a_subject_come_before_those_of_all(tmp_path):
    path = tmp_path / "pyproject.toml"
    path.write_text(CONFIG)
    ((subject, plan),) = read_settings(path).subjects
    assert (subject.target, subject.rule, plan.budget, plan.seed) == ("mine.py:Mine", "gradient_descent", "quick", 3)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("budget", "budgets", "did you mean 'budget'"),
        ('target = "mine.py:Mine"', "", "has no target"),
        ("seed = 3", "seed = -3", "must be a whole number"),
        ("seed = 3", 'lack = ["pickle"]', "did you mean 'lacks'"),
        ('["float32"]', '"float32"', "must be a list of texts"),
        ('require = ["cpu"]', 'require = ["gpu"]', "no device is called 'gpu'"),
        ('require = ["cpu"]', "margin = 0.5", "must be a number of at least 1"),
        ("[[tool.optim-verify.subjects]]", "[[tool.other]]", "names no subjects"),
        ("[tool.optim-verify]", "[tool.optim-verify", "is no TOML"),
    ],
)
def test_settings_that_are_no_good(tmp_path, old, new, sentence):
    path = tmp_path / "pyproject.toml"
    path.write_text(CONFIG.replace(old, new))
    with pytest.raises(UsageError, match=sentence):
        read_settings(path)


# -- damaged files -----------------------------------------------------------------------------


def _valid(tmp_path: Path) -> dict[str, tuple]:
    write_baseline(tmp_path / "baseline", [accepted()])
    write_json(tmp_path / "certificate", accepted().to_json())
    shards(2)[0].write(tmp_path / "results")
    shipped = json.loads((Path(__file__).parent.parent / "verify/expected/torch.json").read_text())
    shipped["subjects"] = {k: v[:1] for k, v in list(shipped["subjects"].items())[:2]}
    (tmp_path / "expectations").write_text(json.dumps(shipped))
    (tmp_path / "config").write_text(CONFIG)
    readers = {
        "baseline": read_baseline,
        "certificate": read_certificate,
        "results": read_results,
        "expectations": read_entries,
        "config": read_settings,
    }
    return {name: (reader, (tmp_path / name).read_text()) for name, reader in readers.items()}


ODD = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3) | st.just([]) | st.just({})


@given(st.data())
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_damaged_ends_in_a_sentence(tmp_path_factory, data):
    """Some damage is harmless; none ends in another exception, and reading never writes."""
    folder = tmp_path_factory.getbasetemp() / f"damaged{os.getpid()}"
    folder.mkdir(exist_ok=True)
    name = data.draw(st.sampled_from(["baseline", "certificate", "results", "expectations", "config"]))
    reader, text = _valid(folder)[name]
    if name != "config" and data.draw(st.booleans()):
        whole = json.loads(text)
        _damage(data, whole)
        text = json.dumps(whole)
    else:
        cut = data.draw(st.integers(0, len(text) - 1))
        other = data.draw(st.text(st.characters(codec="utf-8"), max_size=3))
        text = text[:cut] + other + (text[cut + 1 :] if data.draw(st.booleans()) else "")
    path = folder / "damaged"
    path.write_text(text, encoding="utf-8")
    before = sorted((p.name, p.stat().st_mtime_ns) for p in folder.iterdir())
    sentence = "it is harmless"
    try:
        reader(path)
    except UsageError as error:
        sentence = str(error)
    assert sentence
    assert "\n" not in sentence
    assert before == sorted((p.name, p.stat().st_mtime_ns) for p in folder.iterdir())


def _damage(data, whole) -> None:
    """Change one thing, somewhere."""
    here = whole
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        if isinstance(here[key], dict | list) and here[key] and data.draw(st.booleans()):
            here = here[key]
            continue
        if data.draw(st.booleans()):
            here[key] = data.draw(ODD)
        else:
            del here[key]
        return


# -- whole runs --------------------------------------------------------------------------------

MINE = """
import torch

class Mine(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3):
        if not isinstance(lr, float) or not lr >= 0:
            raise ValueError("lr must not be negative")
        super().__init__(params, dict(lr=lr))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.add_(p.grad, alpha=-group["lr"])
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text(CONFIG)
    (tmp_path / "mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_changed_constant_closes_the_gate(project, capsys):
    assert main(["gate"]) == 2
    assert "gate --update" in capsys.readouterr().err
    assert main(["gate", "--update", "--jobs", "1"]) == 0
    assert main(["gate", "--jobs", "1"]) == 0
    assert "GATE OPEN" in capsys.readouterr().out
    (project / "mine.py").write_text(MINE.replace('-group["lr"]', '-1.01 * group["lr"]'))
    baseline = (project / "optim-verify-baseline.json").read_bytes()
    assert main(["gate", "--jobs", "1"]) == 1
    out = capsys.readouterr().out
    assert "GATE CLOSED" in out
    assert "it is not certified, and was certified" in out
    assert (project / "optim-verify-baseline.json").read_bytes() == baseline


def test_shards_are_run_and_merged(project, capsys):
    assert main(["gate", "--update", "--shard", "1/2"]) == 2
    for shard in ("1/2", "2/2"):
        assert main(["gate", "--shard", shard, "--jobs", "1"]) == 0
    results = ["reports/gate-1-of-2.json", "reports/gate-2-of-2.json"]
    assert main(["merge", *results, "--update"]) == 0
    assert main(["merge", *results]) == 0
    assert "GATE OPEN" in capsys.readouterr().out
    assert main(["merge", results[0]]) == 2
    assert read_certificate(project / "reports/mine.py-Mine/certificate.json").verdict == "certified"
