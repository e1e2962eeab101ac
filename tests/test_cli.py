"""The command line: its text is kept in tests/snapshots, to be read when it changes.

``UPDATE_SNAPSHOTS=1 python -m pytest tests/test_cli.py`` writes them anew.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reference import RULES
from tests.checking import run_check
from verify import Subject
from verify.certificate import Cell, Certificate, FindingRecord
from verify.checks import IDS, all_checks
from verify.cli import main
from verify.report.terminal import findings, header, matrix, verdict

SNAPSHOTS = Path(__file__).parent / "snapshots"


def check_snapshot(name: str, text: str) -> None:
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "command",
    [
        "rules",
        "checks",
        "explain rule.step",
        "explain adam",
        "explain adam_eps_hat --latex",
        "explain heavy_ball",
        "explain examples/signum.py:SIGNUM",
    ],
)
def test_text(command, capsys):
    assert main(command.split()) == 0
    check_snapshot(command.replace(" ", "-").replace("/", "-").replace(":", "-"), capsys.readouterr().out)


def test_allowance_is_explained(capsys):
    assert main(["explain", "allowance"]) == 0
    out = capsys.readouterr().out
    assert "FACTOR = 4" in out
    assert "torch.optim.Adam " in out


def test_every_check_explains_itself(capsys):
    for id, check in all_checks().items():
        assert main(["explain", id]) == 0
        assert check.claim in capsys.readouterr().out


@pytest.mark.parametrize("name", RULES)
def test_every_rule_explains_itself(name, capsys):
    assert main(["explain", name]) == 0
    out = capsys.readouterr().out
    assert RULES[name].source in out
    assert "✗" not in out


def certificate() -> Certificate:
    made = Certificate(
        "mine.Adam",
        "adam",
        rule_source="Kingma & Ba 2015",
        environment={"optim-verify": "0.1.0", "torch": "2.13.0", "devices": ["cpu"], "seed": 0, "budget": "quick"},
        seconds={"subject": 1.0, "reference": 2.0, "generation": 0.5, "total": 3.0},
    )
    for dtype, status in (("float64", "passed"), ("float32", "failed"), ("bfloat16", "not-applicable")):
        made.cells.append(Cell("rule.step", dtype, "cpu", "for-loop", status, "", 0.25, "p", 3, 10, 1_000_000, 0.5))
    made.cells.append(Cell("rule.step", "float16", "cpu", "for-loop", "not-run", "there is no cuda device here"))
    message = "after step 1, parameter 0, element 0: the parameter is not what rule adam gives\nsmallest    build [0]"
    made.findings += [
        FindingRecord("rule.step", "float32", "cpu", "for-loop", message, {}, "a.json", "a.py"),
        FindingRecord("rule.step", "float64", "cpu", "for-loop", message, {}, "b.json", "b.py"),
    ]
    return made


def test_report_text():
    made = certificate()
    assert made.decide() == "not certified"
    lines = [*header(made), "", *matrix(made), *findings(made), *verdict(made)]
    check_snapshot("report", "\n".join(lines) + "\n")


def test_one_program_is_told_once():
    made = certificate()
    message = made.findings[0].message.replace("build [0]", "build [-0]")
    made.findings.append(FindingRecord("rule.tails", "float32", "cpu", "for-loop", message, {}, "c.json", "c.py"))
    text = "\n".join(findings(made))
    assert "also fails  rule.tails, by the same program" in text
    assert text.count("FAILED") == 1
    made.findings[-1].message = message.replace("[-0]", "[2]")
    assert "\n".join(findings(made)).count("FAILED") == 2


def test_counts_add_up():
    counts = certificate().counts
    assert counts["planned"] == sum(n for status, n in counts.items() if status != "planned") == 4


def test_incomplete_is_not_success():
    made = certificate()
    made.findings.clear()
    made.cells = [c for c in made.cells if c.status != "failed"]
    assert made.decide() == "incomplete"
    made.cells = [c for c in made.cells if c.status != "not-run"]
    assert made.decide() == "certified"
    made.cells.clear()
    assert made.decide() == "incomplete"


def test_help_imports_neither_torch_nor_sympy():
    code = "import sys, verify.cli; verify.cli.parser(); print([m for m in ('torch', 'sympy') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_the_readme_shows_the_whole_example():
    source = Path("examples/signum.py").read_text(encoding="utf-8")
    readme = Path("README.md").read_text(encoding="utf-8")
    rule = source[source.index("def equations") : source.index("class Signum")].strip()
    assert rule in readme


def test_the_readme_lists_every_rule():
    readme = Path("README.md").read_text(encoding="utf-8")
    for rule in RULES.values():
        assert f"| `{rule.name}` | {rule.title} |" in readme, "run reports/regenerate.py"
        assert f"| {rule.source} |" in readme


@pytest.mark.parametrize("check", IDS)
def test_a_rule_of_ones_own(check):
    subject = Subject("examples/signum.py:Signum", "examples/signum.py:SIGNUM")
    for dtype in ("float32", "bfloat16"):
        report = run_check(subject, check, dtype)
        assert report is None or report.status in ("passed", "not-applicable"), report.reason
