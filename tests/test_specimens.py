"""Every wrong specimen is refuted by the check named for it; every right one passes all checks."""

import zlib

import pytest

from tests.checking import run_check
from tests.specimens import RIGHT, WRONG, Specimen
from verify import Subject
from verify.checks import IDS, all_checks

# those that hang, crash or print are tried in worker processes, by test_isolation.py
IN_PROCESS = [s for s in WRONG if "isolation" not in s.target]


# of the smallest program that shows a mistake
MOST_OPERATIONS = 4


def subject_of(specimen: Specimen) -> Subject:
    return Subject(specimen.target, specimen.rule, arguments=specimen.arguments, names=specimen.names)


def test_there_are_enough_specimens():
    assert len(WRONG) >= 40
    assert len(RIGHT) >= 10
    # these two are reported, and what they find is another check's business
    refuting = {s.check for s in WRONG} | {"performance.step", "rule.power", "rule.mistakes"}
    assert refuting == set(IDS), "a check that no broken specimen can make fail does not belong"


@pytest.mark.parametrize("specimen", IN_PROCESS, ids=lambda s: s.name)
def test_wrong_is_refuted(specimen):
    subject = subject_of(specimen)
    for dtype in ("float32", "float64", "bfloat16", "float16", "complex64"):
        for implementation in ("for-loop", "foreach"):
            report = run_check(subject, specimen.check, dtype, implementation)
            if report is not None and report.status == "failed":
                (finding,) = report.findings
                assert finding.message
                short = finding.program is None or len(finding.program.operations) <= MOST_OPERATIONS
                # RAdam's rectification begins at the fifth step or later
                assert short or specimen.rule in ("radam", "adabelief_rectified")
                return
    pytest.fail(f"{specimen.check} accepts it: {specimen.mechanism}")


@pytest.mark.parametrize("specimen", RIGHT, ids=lambda s: s.name)
def test_right_is_accepted(specimen):
    """By every check, each in a third of its dtypes: another third for every specimen and check."""
    subject = subject_of(specimen)
    for check, facts in all_checks().items():
        for dtype in facts.dtypes[zlib.crc32(f"{specimen.name} {check}".encode()) % min(3, len(facts.dtypes)) :: 3]:
            for implementation in ("for-loop", "foreach"):
                report = run_check(subject, check, dtype, implementation)
                if report is None or report.status != "failed":
                    continue
                message = report.findings[0].message
                refused = dtype.startswith("complex") and "raised" in message and "complex" in message
                assert refused, f"{check} {dtype} {implementation}\n{message}"
