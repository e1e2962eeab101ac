"""Expected failures: what is expected is not counted, and hides as little as possible."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis.database import InMemoryExampleDatabase

from verify import Subject, UsageError, load, memory, run_program
from verify.certificate import Cell, Certificate, ExpectedRecord, StaleRecord
from verify.checks import IDS
from verify.cli import main
from verify.expectations import Expectation, gather, kind, parse, read, shipped, write
from verify.memory import open_database
from verify.program import Edit, Filling, Parameter, Program, Reload, Repeat, Step
from verify.program_json import from_json, to_json
from verify.report.terminal import expected_lines, matrix, verdict
from verify.triggers import features, without
from verify.worker import Worker

TWOFOLD = str(Path(__file__).with_name("twofold.py"))
DATABASE = InMemoryExampleDatabase()
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPTIM_VERIFY_DATABASE", "none")
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def cell(name: str, check: str, *expected: Expectation, dtype="float32", database="none", seed=0) -> dict:
    """What a worker answers for one cell of an optimizer of twofold.py."""
    settings = {
        "subject": Subject(f"{TWOFOLD}:{name}", "adam"),
        "budget": "quick",
        "seed": seed,
        "memory": 1 << 46,
        "expectations": expected,
        "database": database,
    }
    worker = Worker(SimpleNamespace(value=0.0), settings)
    worker.probe()
    return worker.cell(check, dtype, "cpu", "for-loop")


def entry_of(name: str, check: str) -> Expectation:
    """The stored failure of an optimizer with one mistake."""
    result = cell(name, check)
    (finding,) = result["findings"]
    entry = Expectation(check, "*", f"known: {name}", program=finding["program"], message=finding["message"])
    (there,) = cell(name, check, entry)["expected"]
    return replace(entry, triggers=there["triggers"])


# -- what is written ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("rule.step", "--expect wants ID[dtype-device-implementation]=reason, not 'rule.step'"),
        ("rule.step=x", "--expect wants ID[dtype-device-implementation]=reason, not 'rule.step=x'"),
        ("rule.step[*]", "--expect rule.step[*] needs a reason, as rule.step[*]='why that is accepted'"),
        ("rule.step[*]= ", "--expect rule.step[*] needs a reason, as rule.step[*]='why that is accepted'"),
        ("rule.stp[*]=x", "no check is called 'rule.stp'; did you mean 'rule.step'?"),
        ("rule.step[float31-cpu-fused]=x", "there is no cell 'float31-cpu-fused'; did you mean 'float32-cpu-fused'?"),
        ("rule.step[*-cpu-fusd]=x", "there is no cell '*-cpu-fusd'; did you mean '*-cpu-fused'?"),
        ("rule.step[x]=y", "there is no cell 'x'; write dtype-device-implementation, or a glob such as *-cpu-fused"),
        ("rule.step[]=y", "there is no cell ''; write dtype-device-implementation, or a glob such as *-cpu-fused"),
    ],
)
def test_what_cannot_be_expected(text, sentence):
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert str(caught.value) == sentence


def test_what_can_be_expected():
    found = parse("rule.layouts[*-cuda:1-fused] = issue 7 = strides")
    assert (found.check, found.cell, found.reason) == ("rule.layouts", "*-cuda:1-fused", "issue 7 = strides")
    assert found.speaks_of("rule.layouts", "float32", "cuda:1", "fused")
    assert not found.speaks_of("rule.layouts", "float32", "cuda:0", "fused")
    assert not found.speaks_of("rule.tails", "float32", "cuda:1", "fused")
    assert parse("rule.step[*-cpu-for-loop]=x").speaks_of("rule.step", "float64", "cpu", "for-loop")


GOOD = {"check": "rule.step", "cell": "*", "reason": "why"}


def file(*entries, **changes) -> Path:
    data = {"schema": "optim-verify-expectations", "version": 1, "subjects": {"mine.A": list(entries)}} | changes
    path = Path("e.json")
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (lambda: Path("none.json"), "cannot read 'none.json': No such file or directory"),
        (lambda: Path("."), "cannot read '.': Is a directory"),
        (lambda: file(schema="x"), "'e.json': this is no file of expectations of optim-verify"),
        (lambda: file(version=2), "'e.json': this is a file of version 2; this optim-verify reads version 1"),
        (lambda: file(version=True), "'e.json': this is a file of version True; this optim-verify reads version 1"),
        (lambda: file(subjects=[]), "'e.json': 'subjects' must map each subject to a list of expectations"),
        (lambda: file(7), "'e.json': mine.A, entry 1 is no object"),
        (lambda: file({**GOOD, "reason": " "}), "'e.json': mine.A, entry 1 has no reason"),
        (lambda: file({"check": "rule.step", "reason": "x"}), "'e.json': mine.A, entry 1 has no cell"),
        (lambda: file({**GOOD, "check": 7}), "'e.json': mine.A, entry 1: 'check' is of the wrong kind"),
        (
            lambda: file(GOOD, {**GOOD, "check": "rule.stp"}),
            "'e.json': mine.A, entry 2: no check is called 'rule.stp'; did you mean 'rule.step'?",
        ),
        (
            lambda: file({**GOOD, "resaon": "x"}),
            "'e.json': mine.A, entry 1 has an unknown key 'resaon'; did you mean 'reason'?",
        ),
        (lambda: file({**GOOD, "program": {}}), "'e.json': mine.A, entry 1: not a program: dtype is missing"),
    ],
)
def test_a_bad_file(path, sentence):
    with pytest.raises(UsageError) as caught:
        read(path(), "mine.A")
    assert str(caught.value) == sentence


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b"\xff", b"null"])
def test_a_broken_file(content):
    Path("e.json").write_bytes(content)
    with pytest.raises(UsageError, match="no file of expectations"):
        read(Path("e.json"), "mine.A")


def test_a_file_is_read_as_it_was_written():
    program = Program(operations=(Step((Filling(1),)),))
    entries = [{**GOOD, "message": "x", "program": to_json(program)}, {**GOOD, "issue": "7"}]
    write(Path("e.json"), {"mine.A": entries, "mine.B": []})
    one, two = read(Path("e.json"), "mine.A")
    assert one.to_json() == {**GOOD, "message": "x", "program": to_json(program)}
    assert from_json(one.program) == program
    assert (two.issue, two.program, two.origin) == ("7", None, "e.json")
    assert read(Path("e.json"), "mine.B") == read(Path("e.json"), "mine.C") == []


def test_where_expectations_come_from():
    Path("optim-verify-expectations.json").write_text(file(GOOD).read_text())
    assert [e.origin for e in gather("mine.A", ["rule.step[*]=x"], None)] == [
        "--expect",
        "optim-verify-expectations.json",
    ]
    assert [e.origin for e in gather("mine.A", ["rule.step[*]=x"], Path("none"))] == ["--expect"]
    assert gather("mine.B", [], None) == ()


def test_what_is_shipped():
    assert shipped("mine.A") == []
    from reference import RULES

    for name in [name for rule in RULES.values() for name in rule.torch]:
        loaded = load(Subject(name))
        for e in shipped(name):
            assert e.check in IDS
            assert e.reason
            assert e.message
            assert e.program is None or features(from_json(e.program), loaded)


# -- the same failure -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("the subject raised KeyError: 'a'", "the subject raised KeyError: 'b'", True),
        ("the subject raised KeyError: 'a'", "the subject raised TypeError: 'a'", False),
        ("after step 1, parameter 0, element 22: p is not", "after step 2, parameter 1, element 3: p is not", True),
        ("after step 1, parameter 0: p is not", "after step 1, parameter 0: m is not", False),
        ("p moved from -1e-8 to nan", "p moved from 2 to inf", True),
        ("after 'exp_avg' (pickle) it is 1", "after 'step' it is 2", True),
    ],
)
def test_kinds(one, other, same):
    assert (kind(one) == kind(other)) is same


def test_features_can_be_taken_away():
    loaded = load(Subject("torch.optim.Adam"))
    program = Program(
        groups=({"eps": 0.1, "beta2": 0.999}, {"eps": 1e-8, "beta2": 0.5, "lr": 0.0}),
        options={"amsgrad": True},
        parameters=(Parameter((2, 3), 0, Filling(1), "transposed"), Parameter((), 1)),
        operations=(
            Step((Filling(3), None)),
            Edit(0, "lr", 0.5, tensor=True),
            Reload("file", "fresh"),
            Repeat(),
            Step((Filling(values=(float("inf"),)), Filling(values=(0.0,), expanded=True)), closure=True),
        ),
        reuse_gradients=True,
        beside=True,
    )
    own = features(program, loaded)
    assert own >= {
        ("option", "amsgrad"), ("eps", "small"), ("eps", "differs"), ("lr", "zero"), ("lr", "edited"), ("lr", "tensor"),
        ("beta2", "near one"), ("layout", "not contiguous"), ("shape", "0-d"), ("shape", "several"), ("steps", "several"),
        ("gradient", "missing"), ("gradient", "zero"), ("gradient", "not finite"), ("gradient", "expanded"),
        ("operation", "Repeat"), ("load", "fresh"), ("save", "file"), ("step", "closure"), ("groups", "several"),
        ("parameters", "several"), ("program", "beside"), ("program", "reuse_gradients"),
    }  # fmt: skip
    assert ("option", "maximize") not in own
    stuck = {f for f in own if not list(without(program, f, loaded))}
    assert stuck == set()
    for feature in own:
        for plainer in without(program, feature, loaded):
            assert feature not in features(plainer, loaded)


# -- in a cell --------------------------------------------------------------------------------------

PAIRS = [
    ("EpsInside", "EpsInsideAndDecaysWithoutLr", "rule.step"),
    ("DecaysWithoutLr", "EpsInsideAndDecaysWithoutLr", "rule.step"),
    ("DecaysWithoutLr", "FirstGroupsEpsAndDecaysWithoutLr", "groups.hyperparameters"),
    ("FirstGroupsEps", "FirstGroupsEpsAndDecaysWithoutLr", "groups.hyperparameters"),
    ("FirstGroupsEps", "FirstGroupsEpsAndEpsInside", "groups.hyperparameters"),
    ("RaisesOnMissing", "RaisesOnMissingAndDecaysWithoutLr", "groups.hyperparameters"),
    ("DecaysWithoutLr", "RaisesOnMissingAndDecaysWithoutLr", "groups.hyperparameters"),
]


# what is stored knows its triggers; a first failure may be the one of the two that shows wherever the other does
ENTANGLED = "FirstGroupsEpsAndEpsInside"


@pytest.mark.parametrize(
    ("expected", "both", "check", "open_ended"),
    [(*pair, is_open) for pair in PAIRS for is_open in (True, False) if not (is_open and pair[1] == ENTANGLED)],
)
def test_one_mistake_does_not_excuse_another(expected, both, check, open_ended):
    entry = Expectation(check, "*", "known") if open_ended else entry_of(expected, check)
    alone = cell(expected, check, entry)
    assert (alone["status"], alone["findings"], alone["stale"]) == ("expected-failure", [], [])
    assert alone["reason"] == entry.reason
    together = cell(both, check, entry)
    assert together["status"] == "failed"
    assert len(together["expected"]) == 1
    (finding,) = together["findings"]
    assert finding["program"] != together["expected"][0]["program"]
    if not open_ended:
        # it is the other mistake: the optimizer that has only the expected one passes this program
        loaded = load(Subject(f"{TWOFOLD}:{expected}", "adam"))
        assert not run_program(loaded, from_json(finding["program"])).failed


def test_what_no_longer_fails_is_stale():
    entry = entry_of("EpsInside", "rule.step")
    right = cell("Adam", "rule.step", entry)
    assert (right["status"], right["stale"], right["expected"]) == ("passed", [0], [])
    other = cell("DecaysWithoutLr", "rule.step", entry)
    assert (other["status"], other["stale"], len(other["findings"])) == ("failed", [0], 1)
    assert cell("Adam", "rule.step", Expectation("rule.step", "*", "nothing fails"))["stale"] == [0]


def test_an_expectation_of_another_cell_changes_nothing():
    entry = entry_of("EpsInside", "rule.step")
    for changed in (replace(entry, cell="float64-*"), replace(entry, check="rule.tails")):
        result = cell("EpsInside", "rule.step", changed)
        assert (result["status"], result["stale"], result["expected"]) == ("failed", [], [])


def test_side_effects_can_be_expected():
    result = cell("Prints", "contract.side_effects")
    (finding,) = result["findings"]
    entry = Expectation(
        "contract.side_effects", "*", "it talks", program=finding["program"], message=finding["message"]
    )
    assert cell("Prints", "contract.side_effects", entry)["status"] == "expected-failure"
    seeds = replace(entry, message="the subject changed torch's random state (it drew numbers or set the seed)")
    assert cell("Prints", "contract.side_effects", seeds)["status"] == "failed"


def test_a_program_of_another_rule_is_no_expectation():
    entry = entry_of("EpsInside", "rule.step")
    entry.program["groups"][0]["momentum"] = "0x1.0p-1"
    settings = {"subject": Subject(f"{TWOFOLD}:EpsInside", "adam"), "budget": "quick", "seed": 0, "memory": 1 << 46}
    worker = Worker(SimpleNamespace(value=0.0), {**settings, "expectations": (entry,)})
    (why,) = worker.description()["unfit"].values()
    assert why.startswith("rule 'adam' has no hyperparameter 'momentum'")


def test_what_fails_only_at_times_is_known_by_its_triggers():
    """A program that passes now stands for a failure with its triggers, if that is written down."""
    entry = entry_of("RaisesOnMissing", "groups.hyperparameters")
    calm = from_json(entry.program)
    calm = calm.with_operations(op for op in calm.operations if not any(g is None for g in op.gradients))
    passing = replace(entry, program=to_json(replace(calm, operations=(Step((Filling(1),) * len(calm.parameters)),))))
    strict = cell("RaisesOnMissing", "groups.hyperparameters", passing)
    assert (strict["status"], strict["stale"]) == ("failed", [0])
    lenient = cell("RaisesOnMissing", "groups.hyperparameters", replace(passing, flaky=True))
    assert (lenient["status"], lenient["stale"]) == ("expected-failure", [])
    other = cell("RaisesOnMissingAndDecaysWithoutLr", "groups.hyperparameters", replace(passing, flaky=True))
    assert other["status"] == "failed"


# -- the memory of earlier runs -----------------------------------------------------------------------


def test_a_second_run_tries_the_old_failure_first(folder):
    first = cell("EpsInside", "rule.step", database="kept")
    again = cell("EpsInside", "rule.step", database="kept", seed=99)
    assert first["findings"][0]["program"] == again["findings"][0]["program"]
    assert again["programs"] == 1
    kept = list(folder.glob("kept/*/*"))
    assert len(kept) >= 1


def test_what_is_drawn_is_remembered_too(folder):
    """A failure that only the search finds."""
    found = next(
        (seed, r)
        for seed in range(20)
        if (r := cell("Rare", "groups.hyperparameters", seed=seed))["status"] == "failed"
    )
    seed, _ = found
    first = cell("Rare", "groups.hyperparameters", database="kept", seed=seed)
    quiet = next(s for s in range(20) if cell("Rare", "groups.hyperparameters", seed=s)["status"] == "passed")
    assert first["programs"] > 1
    again = cell("Rare", "groups.hyperparameters", database="kept", seed=quiet)
    assert (again["status"], again["programs"]) == ("failed", 1)


def test_what_is_mended_is_forgotten(folder):
    broken = cell("Switched", "rule.step", database="kept")
    assert broken["status"] == "failed"
    Path("mended").touch()
    assert cell("Switched", "rule.step", database="kept")["status"] == "passed"
    Path("mended").unlink()
    assert cell("Switched", "rule.step", database="kept")["programs"] == broken["programs"]


def test_an_empty_memory_changes_nothing():
    one, other = cell("EpsInside", "rule.step"), cell("EpsInside", "rule.step", database="kept")
    assert one["findings"] == other["findings"]
    assert one["programs"] == other["programs"]


def test_any_hypothesis_database_serves():
    DATABASE.data.clear()
    place = f"{__name__}:DATABASE"
    cell("EpsInside", "rule.step", database=place)
    assert len(DATABASE.data) == 1
    assert cell("EpsInside", "rule.step", database=place)["programs"] == 1
    (key,) = DATABASE.data
    (good,) = DATABASE.data[key]
    DATABASE.data[key] |= {b"", b"{", b'{"dtype": "float32"}', b"\xff"}
    assert cell("EpsInside", "rule.step", database=place)["status"] == "failed"
    assert good in DATABASE.data[key]
    assert b"" not in DATABASE.data[key]


class Away(InMemoryExampleDatabase):
    def fetch(self, key):
        raise ConnectionError("no\nserver")


def test_a_server_that_is_away_costs_only_the_memory():
    result = cell("EpsInside", "rule.step", database=f"{__name__}:Away")
    assert result["status"] == "failed"
    assert "the example database failed with ConnectionError: no server" in result["notes"]


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("no_such_module:X", "--database 'no_such_module:X': ModuleNotFoundError: No module named 'no_such_module'"),
        (f"{__name__}:Nothing", f"--database '{__name__}:Nothing': AttributeError: *"),
        (f"{__name__}:made", f"--database '{__name__}:made' is Certificate, not a Hypothesis example database"),
        (f"{__name__}:GOOD", f"--database '{__name__}:GOOD' is dict, not a Hypothesis example database"),
    ],
)
def test_what_is_no_database(place, sentence):
    with pytest.raises(UsageError) as caught:
        open_database(place)
    assert str(caught.value).startswith(sentence[:-1]) if sentence.endswith("*") else str(caught.value) == sentence


def test_no_database_ends_in_a_sentence(capsys):
    place = ["--database", "no_such_module:X", "--jobs", "1"]
    assert main(["certify", "torch.optim.SGD", "--only", "rule.tails", "--dtype", "float32", *place]) == 2
    assert capsys.readouterr().err.startswith("optim-verify: --database 'no_such_module:X': ModuleNotFoundError")


def test_the_default_folder_is_left_alone_by_git():
    Path(".optim-verify").mkdir()
    memory.hide("elsewhere")
    assert not Path(".optim-verify/.gitignore").exists()
    memory.hide(memory.DEFAULT)
    assert Path(".optim-verify/.gitignore").read_text() == "*\n"


# -- the whole -----------------------------------------------------------------------------------------


def made(*statuses: str) -> Certificate:
    environment = {"optim-verify": "0", "torch": "2", "devices": ["cpu"], "seed": 0, "budget": "quick"}
    found = Certificate("mine.A", "adam", environment=environment)
    found.seconds = {"subject": 0.0, "reference": 0.0, "generation": 0.0, "total": 0.0}
    found.cells = [Cell("rule.step", "float32", "cpu", "for-loop", s, "why") for s in statuses]
    return found


@pytest.mark.parametrize(
    ("statuses", "wanted"),
    [
        (("passed", "expected-failure"), "certified"),
        (("expected-failure",), "certified"),
        (("passed", "skipped"), "certified"),
        (("skipped",), "incomplete"),
        (("passed", "expected-failure", "failed"), "not certified"),
        (("passed", "expected-failure", "not-run"), "incomplete"),
    ],
)
def test_verdicts(statuses, wanted):
    found = made(*statuses)
    assert found.decide() == wanted
    counts = found.counts
    assert counts["planned"] == sum(n for s, n in counts.items() if s != "planned")


def test_expectations_are_shown():
    found = made("passed", "expected-failure", "skipped")
    cell = ("rule.step", "float32", "cpu", "fused")
    found.expected = [
        ExpectedRecord(*cell, "it is wrong\nsmallest    x", None, "", "", "*-cpu-fused", "strides", "#7", "--expect"),
        ExpectedRecord(*cell, "it is wrong", {}, "", "", "*-cpu-fused", "late", "", "a.json", True),
    ]
    found.stale = [StaleRecord("rule.tails", "*", "tails", "", "m", "a.json", "no longer fails")]
    found.decide()
    assert "\n".join(expected_lines(found)) == (
        "  expected    strides (#7)\n"
        "              rule.step on float32-cpu-fused\n"
        "              it is wrong\n"
        "              smallest    x\n"
        "  expected    late\n"
        "              rule.step on float32-cpu-fused\n"
        "  store       the programs of expected failures: optim-verify expect update mine.A ...\n"
        "  stale       1 expectation is stale:\n"
        "              rule.tails[*] no longer fails: tails (a.json)\n"
        "              optim-verify expect prune mine.A ... removes them"
    )
    text = "\n".join(verdict(found))
    assert "CERTIFIED with 1 expected failure  " in text
    assert "3 planned = 1 passed, 1 expected-failure, 1 skipped" in text
    assert "rule s 1/3" in "\n".join(matrix(found))


WHERE = ["--dtype", "float32", "--budget", "quick", "--jobs", "1"]
OPTIONS = ["--rule", "adam", "--only", "rule.step", "--only", "rule.tails", *WHERE]


def test_the_life_of_an_expectation(folder, capsys):
    """Refused, expected, stored, replayed, stale, pruned."""
    target = f"{TWOFOLD}:Switched"
    assert main(["certify", target, *OPTIONS]) == 1
    capsys.readouterr()

    assert main(["expect", "update", target, *OPTIONS]) == 2
    assert "needs a reason" in capsys.readouterr().err
    assert main(["expect", "update", target, *OPTIONS, "--reason", "known", "--issue", "#7", "--json", "u.json"]) == 0
    out = capsys.readouterr().out
    assert "stored rule.step[float32-cpu-for-loop]: after step 1, parameter 0, element 0: the parameter is not" in out
    entries = json.loads(Path("optim-verify-expectations.json").read_text())["subjects"][target]
    assert {(e["reason"], e["issue"]) for e in entries} == {("known", "#7")}
    assert json.loads(Path("u.json").read_text())["verdict"] == "certified"

    assert main(["certify", target, *OPTIONS, "--json", "c.json"]) == 0
    assert "CERTIFIED with" in capsys.readouterr().out
    data = json.loads(Path("c.json").read_text())
    assert {(e["reason"], e["issue"], e["stored"]) for e in data["expected"]} == {("known", "#7", True)}
    assert data["findings"] == data["stale"] == []

    Path("mended").touch()
    assert main(["certify", target, *OPTIONS, "--json", "c.json"]) == 0
    assert "no longer fails: known" in capsys.readouterr().out
    assert len(json.loads(Path("c.json").read_text())["stale"]) == len(entries)
    assert main(["expect", "prune", target, *OPTIONS]) == 0
    assert f"{len(entries)} removed, 0 expected failures" in capsys.readouterr().out
    assert json.loads(Path("optim-verify-expectations.json").read_text())["subjects"] == {target: []}
