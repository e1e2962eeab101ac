"""Every kind of finding leaves a script that shows it: exit 1 while the mistake is there."""

import json
import runpy
import sys

import pytest

from tests.checking import run_check
from tests.specimens import WRONG, Specimen
from tests.test_specimens import subject_of
from verify import load
from verify.certificate import FindingRecord
from verify.certification import replay_data
from verify.checks import IDS
from verify.program_json import to_json
from verify.script import script_for

# side effects, and a dtype that is too low, have scripts of their own kind (see test_replay.py)
_OTHERS = ("contract.side_effects", "precision.state_dtype", "performance.step", "rule.power", "rule.mistakes")
CHECKS = [id for id in IDS if id not in _OTHERS]


def first_finding(check: str) -> tuple[Specimen, str, str, object]:
    """The finding of the first specimen of a check that leaves a program."""
    for specimen in WRONG:
        if specimen.check != check or "isolation" in specimen.target:
            continue
        for dtype in ("float32", "float64", "bfloat16", "complex64"):
            for implementation in ("for-loop", "foreach"):
                report = run_check(subject_of(specimen), check, dtype, implementation)
                if report is not None and report.status == "failed" and report.findings[0].program is not None:
                    return specimen, dtype, implementation, report.findings[0]
    pytest.fail(f"no specimen of {check} leaves a program")


@pytest.mark.parametrize("check", CHECKS)
def test_the_script_shows_the_mistake(check, tmp_path, monkeypatch, capsys):
    specimen, dtype, implementation, finding = first_finding(check)
    subject = subject_of(specimen)
    script = tmp_path / "finding.py"
    script.write_text(script_for(load(subject), check, finding))
    record = FindingRecord(check, dtype, "cpu", implementation, finding.message, to_json(finding.program))
    script.with_suffix(".json").write_text(json.dumps(replay_data(subject, specimen.rule, record)))
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(script), run_name="__main__")
    assert end.value.code == 1, capsys.readouterr().out
