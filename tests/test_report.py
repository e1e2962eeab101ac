"""Reports that are written from a certificate: read back by other parsers, and safe with any text."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.test_cli import certificate, check_snapshot
from verify.certificate import STATUSES, Cell, Certificate, ExpectedRecord, FindingRecord, write_json
from verify.cli import main
from verify.errors import UsageError
from verify.program import Filling, Parameter, Program, Step
from verify.program_json import to_json
from verify.report.badge import badge
from verify.report.files import FORMATS, write_reports
from verify.report.junit import junit
from verify.report.markdown import MOST_CHARACTERS, code, fenced, markdown
from verify.report.reading import from_json, read_certificate
from verify.report.sarif import sarif

PROGRAM = Program(parameters=(Parameter((1,)),), operations=(Step((Filling(1),)),))
PLACE = ("float32", "cpu", "for-loop")


def made(text: str = "it <is> wrong & ``odd``") -> Certificate:
    """One cell of each status, and somebody's text wherever there may be some."""
    cells = [Cell("rule.step", "float64", "cpu", "for-loop", "passed", worst_ratio=0.25, worst_quantity="p")]
    cells += [Cell(f"groups.{s.replace('-', '_')}", *PLACE, s, text) for s in STATUSES[1:]]
    found = FindingRecord("groups.failed", *PLACE, f"{text}\nsmallest    build {text}", to_json(PROGRAM))
    found.replay, found.script = f"reports/{text}.json", "reports/a.py"
    expected = ExpectedRecord(
        "groups.expected_failure", *PLACE, text, cell="*", reason=text or "x", origin="--expect", stored=True
    )
    whole = replace(certificate(), subject=text or "x", cells=cells, findings=[found], expected=[expected])
    whole.location = {"file": "my code/opt.py", "line": 12}
    whole.environment |= {"python": "3.11"}
    whole.decide()
    return whole


def test_junit_has_a_case_for_each_cell():
    root = ET.fromstring(junit(made()))
    suite = root[0]
    assert [suite.get(k) for k in ("tests", "failures", "errors", "skipped")] == ["6", "1", "1", "3"]
    cases = {case.get("name"): [child.tag for child in case] for case in suite.iter("testcase")}
    assert cases["rule.step[float64-cpu-for-loop]"] == []
    assert cases["groups.failed[float32-cpu-for-loop]"] == ["failure"]
    assert cases["groups.not_run[float32-cpu-for-loop]"] == ["error"]
    assert sum(children == ["skipped"] for children in cases.values()) == 3


def test_sarif_points_to_the_step():
    run = json.loads(sarif(made()))["runs"][0]
    finding, expected = run["results"]
    place = finding["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "my%20code/opt.py"}, "region": {"startLine": 12}}
    assert run["tool"]["driver"]["rules"][finding["ruleIndex"]]["id"] == finding["ruleId"] == "groups.failed"
    assert "suppressions" not in finding
    assert expected["suppressions"][0]["justification"]


def test_a_finding_keeps_its_fingerprint():
    def fingerprints(whole):
        return [r["partialFingerprints"] for r in json.loads(sarif(whole))["runs"][0]["results"]]

    assert fingerprints(made()) == fingerprints(made())
    other = made()
    other.findings[0].program = to_json(replace(PROGRAM, dtype="float64"))
    assert fingerprints(other)[0] != fingerprints(made())[0]


@pytest.mark.parametrize(
    ("verdict", "color"), [("certified", "brightgreen"), ("not certified", "red"), ("incomplete", "lightgrey")]
)
def test_badge(verdict, color):
    data = json.loads(badge(replace(made(), verdict=verdict)))
    assert data["schemaVersion"] == 1
    assert data["message"] == f"{verdict}, 1 expected failure"
    assert data["color"] == color


@given(st.text(st.characters(codec="utf-8"), max_size=30))
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_is_only_text(text):
    whole = made(text)
    root = ET.fromstring(junit(whole))
    assert len(root.findall(".//testcase")) == len(whole.cells)
    assert json.loads(sarif(whole))["runs"][0]["results"][1]["suppressions"][0]["justification"] == (text or "x")
    ticks = fenced(text)[0].removesuffix("text")
    assert ticks not in text
    assert code(text).strip("`").strip() == " ".join(text.split()).strip("`").strip()
    assert "<details>" in markdown(whole)


def test_a_comment_that_would_be_too_long_is_cut():
    whole = made()
    whole.findings = [replace(whole.findings[0], check=f"groups.a{k}", message="x" * 3000) for k in range(50)]
    text = markdown(whole)
    assert len(text) < MOST_CHARACTERS + 100
    assert "more findings are in the certificate" in text


def test_markdown_as_it_is():
    check_snapshot("report.md", markdown(made("it <is> wrong")))


def test_a_certificate_is_read_back(tmp_path):
    whole = made()
    write_json(tmp_path / "a.json", whole.to_json())
    assert read_certificate(tmp_path / "a.json") == whole


def test_files_go_beside_the_certificate(tmp_path, capsys):
    source = tmp_path / "a.json"
    write_json(source, made().to_json())
    assert main(["report", str(source), *(f"--{name}" for name in FORMATS)]) == 0
    names = {"a.junit.xml", "a.sarif", "a.md", "a.badge.json"}
    assert names <= {Path(line).name for line in capsys.readouterr().out.splitlines()}
    assert names <= {path.name for path in tmp_path.iterdir()}
    assert main(["report", str(source)]) == 0
    assert "NOT CERTIFIED" in capsys.readouterr().out


def test_the_summary_of_a_job_is_added_to(tmp_path, monkeypatch):
    source, summary = tmp_path / "a.json", tmp_path / "summary"
    write_json(source, made().to_json())
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    for _ in range(2):
        write_reports(source, {"markdown": summary})
    assert summary.read_text().count("###") == 2


def test_the_certificate_is_not_replaced(tmp_path):
    source = tmp_path / "a.json"
    write_json(source, made().to_json())
    with pytest.raises(UsageError, match="would replace the certificate"):
        write_reports(source, {"badge": source})
    assert read_certificate(source) == made()


def damaged() -> list[tuple[str, object, str]]:
    whole = json.loads(json.dumps(made().to_json()))
    return [
        ("schema", "other", "is no certificate"),
        ("version", 2, "reads version 1"),
        ("verdict", "fine", "damaged at verdict"),
        ("counts", {**whole["counts"], "passed": 7}, "its counts are"),
        ("cells", [{**whole["cells"][0], "status": "well"}], r"damaged at cells\[0\].status"),
        ("subject", 3, "damaged at subject"),
    ]


@pytest.mark.parametrize(("key", "value", "sentence"), damaged(), ids=lambda x: str(x)[:12])
def test_a_damaged_certificate_is_refused_in_words(key, value, sentence):
    data = json.loads(json.dumps(made().to_json()))
    with pytest.raises(UsageError, match=sentence):
        from_json({**data, key: value})


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "ends too early"),
        (b'{"schema": ', "ends too early"),
        (b"\xff\xfe", "no text in UTF-8"),
        (b"[1]", "no certificate"),
    ],
)
def test_a_file_that_is_none(tmp_path, capsys, content, sentence):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert main(["report", str(path), "--junit"]) == 2
    assert sentence in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.skipif(shutil.which("xmllint") is None, reason="xmllint is not installed")
def test_xmllint_reads_it(tmp_path):
    import subprocess

    (tmp_path / "a.xml").write_text(junit(made("\x00\x1b[31m\ufffe]]>")), encoding="utf-8")
    assert subprocess.run(["xmllint", "--noout", str(tmp_path / "a.xml")], check=False).returncode == 0
