"""L-BFGS: its direction in exact and in enclosing arithmetic, the reading of traces, diagnoses, scripts, replays."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction

import flint
import numpy as np
import pytest
from flint import arb
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from reference.quasi_newton import LBFGS
from reference.quasi_newton.conventions import CONVENTIONS
from reference.quasi_newton.enclosure import EXACT, Enclosure
from reference.quasi_newton.inverse_hessian import Pair, dense, two_loop
from reference.quasi_newton.reading import BITS
from reference.quasi_newton.variants import VARIANTS
from reference.rounding import PRECISIONS
from tests.specimens.minimised import RIGHT_MINIMISED, WRONG_MINIMISED
from verify import Subject, load
from verify.budgets import BUDGETS
from verify.checks import all_checks
from verify.checks.context import Context, Finding
from verify.program import OBJECTIVES, Filling, Minimise, Parameter, Program
from verify.program_json import from_json, to_json
from verify.quasi_newton import objectives
from verify.quasi_newton.judge import Broken, judge, read
from verify.quasi_newton.mistakes import concerned, measure, playable, player_of
from verify.quasi_newton.programs import CLAIMS
from verify.replay import Replay, replay
from verify.script import script_for

FORMULA = ("move", "search", "stop", "count")
numbers = st.integers(-8, 8).map(lambda n: Fraction(n, 4))


@st.composite
def histories(draw):
    """A gradient, and pairs with positive curvature."""
    n = draw(st.integers(1, 4))
    vectors = st.lists(numbers, min_size=n, max_size=n)
    pairs = [Pair(draw(vectors), draw(vectors)) for _ in range(draw(st.integers(0, 4)))]
    assume(all(EXACT.dot(s, y) > 0 for s, y in pairs))
    return draw(vectors), pairs, draw(st.sampled_from((Fraction(1), Fraction(1, 3), Fraction(5))))


def context(target: str, dtype: str = "float32", **facts) -> Context:
    loaded = load(Subject(target, "lbfgs"))
    return Context(loaded, dtype, "cpu", "for-loop", BUDGETS["quick"], 0, loaded.editable(), **facts)


@given(histories())
def test_two_loops_are_the_matrix(history):
    g, pairs, gamma = history
    assert two_loop(g, pairs, gamma, EXACT) == dense(g, pairs, gamma, EXACT)


@given(histories())
def test_newest_secant_equation_holds(history):
    _, pairs, gamma = history
    assume(pairs)
    assert dense(pairs[-1].y, pairs, gamma, EXACT) == [-x for x in pairs[-1].s]


@settings(max_examples=60)
@given(histories(), st.sampled_from(("float32", "float64")))
def test_enclosures_hold_exact_and_computed_values(history, dtype):
    """Both forms, as numpy computes them in the precision, are inside the balls of the same form."""
    g, pairs, gamma = history
    exact = dense(g, pairs, gamma, EXACT)
    real = np.dtype(dtype).type

    def rounded(v):
        return np.array([real(float(x)) for x in v], real)

    class Computed(type(EXACT)):
        def rounded(self, x):
            return real(x)

        def dot(self, a, b):
            return real(np.dot(np.array(a, real), np.array(b, real)))

    with flint.ctx.workprec(BITS):
        a = Enclosure(PRECISIONS[dtype])
        balls = [Pair([arb(float(x)) for x in s], [arb(float(x)) for x in y]) for s, y in pairs]
        of_gamma = a.rounded(arb(gamma.numerator) / gamma.denominator)
        for form in (dense, two_loop):
            around = form([arb(float(x)) for x in g], balls, of_gamma, a)
            with np.errstate(all="ignore"):
                own = [Pair(list(rounded(s)), list(rounded(y))) for s, y in pairs]
                computed = form(list(rounded(g)), own, real(float(gamma)), Computed())
            for ball, x, got in zip(around, exact, computed, strict=True):
                assert ball.contains(arb(x.numerator) / x.denominator)
                assert ball.contains(arb(float(got)))


def test_objectives_are_those_of_programs():
    assert tuple(objectives.OBJECTIVES) == OBJECTIVES


def test_variants_are_distinct():
    assert len({v.name for v in VARIANTS}) == len({v.sentence for v in VARIANTS}) == len(VARIANTS)
    assert all(v.name != CONVENTIONS.name for v in VARIANTS)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_exact_player_is_accepted(dtype):
    """An L-BFGS that shares no arithmetic with torch's, and has a line search of its own."""
    cell = context("torch.optim.LBFGS", dtype)
    player = player_of(cell.loaded, CONVENTIONS)
    for claim in CLAIMS.values():
        for program in playable(claim.offered(cell))[::5]:
            outcome, trace = judge(player, program, claim.kinds)
            assert not outcome.failed, (program, outcome.broken or outcome.error)
            assert trace.calls


def test_every_variant_is_told_apart():
    power = measure(context("torch.optim.LBFGS", "float64"))
    assert set(power.known) == {v.name for v in VARIANTS}
    assert power.missed == {}


def test_without_a_search_its_variants_do_not_concern():
    loaded = load(Subject("torch.optim.LBFGS", "lbfgs", arguments={"line_search_fn": None}))
    assert "strong_wolfe" not in loaded.options
    left = {v.name for v in VARIANTS} - {v.name for v in concerned(loaded)}
    assert left == {"armijo_alone", "curvature_alone", "any_decrease", "wolfe_loose"}


DIAGNOSED = {
    "GammaInverted": "gamma_inverted",
    "BetaAdded": "beta_added",
    "AlphasReversed": "alphas_reversed",
    "NewestUnused": "newest_unused",
    "FirstUnscaled": "first_unscaled",
    "LrTwice": "lr_twice",
    "ChangeOneStepLate": "change_late",
    "StartsAnew": "forgets",
    "OldestKept": "oldest_kept",
    "SkipRelative": "skip_relative",
    "DecreaseAlone": "armijo_alone",
    "SumTolerance": "sum_tolerance",
    # no variant is any of these
    "GammaOfSkipped": "",
    "SearchesBesides": "",
}


@pytest.mark.parametrize("name", DIAGNOSED)
def test_diagnosis_names_the_mistake(name):
    specimen = next(s for s in WRONG_MINIMISED if s.name == f"lbfgs.{name}")
    report = all_checks()[specimen.check].run(context(specimen.target, diagnoses=True))
    message = report.findings[0].message
    assert ("diagnosis" in message) == bool(DIAGNOSED[name]), message
    assert f"({DIAGNOSED[name]})" in message or not DIAGNOSED[name], message


def _finding(name: str) -> tuple[Subject, str, Finding]:
    specimen = next(s for s in WRONG_MINIMISED if s.name == f"lbfgs.{name}")
    report = all_checks()[specimen.check].run(context(specimen.target))
    return Subject(specimen.target, "lbfgs"), specimen.check, report.findings[0]


@pytest.mark.parametrize("name", ["BetaAdded", "DecreaseAlone", "OneMore", "CrashesWhenResized"])
def test_finding_replays_and_its_script_shows_it(name, tmp_path):
    subject, check, finding = _finding(name)
    program = from_json(json.loads(json.dumps(to_json(finding.program))))
    assert program == finding.program
    failed, told = replay(Replay(subject, check, finding.message, program))
    assert failed, told
    path = tmp_path / "finding.py"
    path.write_text(script_for(load(subject), check, finding))
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1, done.stderr
    assert "wrong: " in done.stdout or "IndexError" in done.stdout
    right = script_for(load(Subject(RIGHT_MINIMISED[0].target, "lbfgs")), check, finding)
    path.write_text(right)
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_trace_is_read_anew_where_a_step_was_wrong():
    """One wrong step is one violation: what follows is judged from where it led."""
    loaded = load(Subject("torch.optim.LBFGS", "lbfgs"))
    values = {
        "lr": 0.5,
        "max_iter": 1,
        "max_eval": 9,
        "tolerance_grad": 0.0,
        "tolerance_change": 0.0,
        "history_size": 4,
    }
    program = Program(
        "float64",
        groups=(values,),
        parameters=(Parameter((3,), 0, Filling(values=(1.0, -2.0, 0.5))),),
        operations=(Minimise("quartic", (1.0, 2.0)),) * 5,
    )
    outcome, trace = judge(loaded, program, FORMULA)
    assert not outcome.failed
    bent = tuple(x + 0.125 for x in trace.calls[1][1].end)
    trace.calls[1][1].end = bent
    found = read(trace).violations
    assert {v.kind for v in found} == {"move", "count"} or {v.kind for v in found} == {"move"}
    assert found[0].sentence.startswith("in call 2 of step(), the step of iteration 2 leads")


def test_violations_of_torch_are_pinned():
    """What torch 2.13 does with max_eval, and where a loss is nan."""
    cell = context("torch.optim.LBFGS", "float64")
    (limit,) = all_checks()["rule.max_eval"].run(cell).findings
    assert isinstance(limit.broken, Broken)
    assert limit.broken.violation.test == "len(calls[0].evaluations) <= 1"
    (copied,) = all_checks()["state.copies"].run(context("torch.optim.LBFGS")).findings
    assert copied.error is not None
    assert "_params" in copied.error


def test_rule_is_found_by_class_and_by_name():
    assert load(Subject("torch.optim.LBFGS")).rule is LBFGS
    assert load(Subject(RIGHT_MINIMISED[0].target, "lbfgs")).rule is LBFGS
