"""Sparse gradients: as data, as tensors, in the oracle, and in what is told of a mistake."""

from __future__ import annotations

import random
import subprocess
import sys

import flint
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import verify
from reference import RULES, RuleError
from reference.lowering.ball import exact_step
from reference.reductions import norm
from reference.rule import StateVariable, UpdateRule
from reference.variants import lazy_variants, variants
from tests.checking import run_check
from tests.specimens import Specimen
from tests.specimens.sparse_gradients import RIGHT_SPARSE, WRONG_SPARSE
from tests.test_specimens import subject_of
from verify import Filling, Parameter, Program, Repeat, Step, Subject
from verify.budgets import BUDGETS
from verify.checks.context import Context, context_for
from verify.checks.programs import sweep
from verify.identify import identify
from verify.lanes import DTYPES, as_float64, fill
from verify.power import measure
from verify.program import SPARSE, describe
from verify.program_json import from_json, to_json
from verify.script import script_for
from verify.sparse import entries_of, in_form
from verify.sparsely import has_sparse, sparsely
from verify.strategies import sparse_programs

SPARSE_ADAM = RULES["sparse_adam"]
SHAPES = ((5,), (4, 3), (2, 3, 2), (0,), (3, 0), (1,), ())


def loaded(name: str):
    found = verify.load(Subject(f"torch.optim.{name}"))
    found.find_sparse_alone()
    return found


def specimen(name: str) -> Specimen:
    return next(s for s in (*WRONG_SPARSE, *RIGHT_SPARSE) if s.name == f"sparse.{name}")


def one(values: tuple[float, ...], form: str = "rows") -> Filling:
    return Filling(values=values, sparse=form)


# -- as data -----------------------------------------------------------------------------------


@settings(max_examples=40)
@given(sparse_programs(SPARSE_ADAM, lanes=32))
def test_programs_survive_json(program):
    assert from_json(to_json(program)) == program
    assert has_sparse(program.operations)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sparse": "columns"}, "a sparse gradient is one of rows, elements, stored, twice, parts"),
        ({"sparse": ["rows"]}, "a sparse gradient is one of"),
        ({"sparse": "rows", "expanded": True}, "sparse and expanded"),
    ],
)
def test_a_bad_form_is_refused_in_words(change, message):
    data = to_json(Program(operations=(Step((Filling(values=(1.0,)),)),)))
    data["operations"][0]["gradients"][0] |= change
    with pytest.raises(verify.UsageError, match=message):
        from_json(data)


def test_a_parameter_is_not_sparse():
    data = to_json(Program(parameters=(Parameter((2,), 0, one((1.0,))),)))
    with pytest.raises(verify.UsageError, match="a parameter that is sparse"):
        from_json(data)


def test_a_program_says_in_which_form():
    program = Program(parameters=(Parameter((2,)),), operations=(Step((one((1.0, 0.0), "twice"),)),))
    assert "step(grad=sparse twice of 1, 0)" in describe(program)


def test_sparsely_leaves_no_dense_gradient():
    steps = (Step((Filling(3), None)), Repeat(), Step((Filling(4, expanded=True), one((1.0,), "parts"))))
    program = sparsely(Program(parameters=(Parameter(()), Parameter((2,))), operations=steps))
    forms = [g and g.sparse for op in program.operations if isinstance(op, Step) for g in op.gradients]
    assert forms == ["rows", None, "rows", "parts"]
    assert [p.shape for p in program.parameters] == [(1,), (2,)]


# -- as tensors --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", SPARSE)
@given(start=st.integers(0, 1 << 17), shape=st.sampled_from(SHAPES))
@settings(max_examples=25)
def test_every_form_has_the_values_exactly(dtype, form, start, shape):
    values = fill(Filling(start, sparse=form), shape, DTYPES[dtype])
    gradient = in_form(values, form)
    assert (gradient.layout, gradient.shape, gradient.dtype) == (torch.sparse_coo, values.shape, values.dtype)
    entries = entries_of(gradient)
    assert np.array_equal(entries.sums, as_float64(values))
    assert (entries.sizes >= np.abs(entries.sums)).all()
    assert not entries.sums[entries.times == 0].any()


@pytest.mark.parametrize(
    ("form", "times", "coalesced"),
    [
        ("rows", [[1, 1], [0, 0], [1, 1]], True),
        ("elements", [[1, 1], [0, 0], [0, 1]], True),
        ("stored", [[1, 1], [1, 1], [1, 1]], False),
        ("twice", [[2, 2], [0, 0], [2, 2]], False),
        ("parts", [[3, 3], [0, 0], [3, 3]], False),
    ],
)
def test_entries(form, times, coalesced):
    gradient = in_form(torch.tensor([[1.0, 2.0], [0.0, 0.0], [0.0, -4.0]]), form)
    assert entries_of(gradient).times.reshape(3, 2).tolist() == times
    assert gradient.is_coalesced() == coalesced


def test_zeros_have_no_entries():
    assert in_form(torch.zeros(4, 2), "rows")._nnz() == in_form(torch.zeros(4, 2), "twice")._nnz() == 0


def test_parts_are_not_added_up_exactly():
    values = fill(Filling(5, sparse="parts"), (400,), torch.float32)
    summed = in_form(values, "parts").coalesce().to_dense()
    assert not torch.equal(summed, values)
    assert torch.equal(in_form(values, "twice").to_dense(), values)


def test_rows_of_the_pool_come_and_go():
    """A third of the rows have no entries, others in another step; and of a matrix it is whole rows."""
    first, second = (fill(Filling(start, sparse="rows"), (300, 2), torch.float64) for start in (9, 10))
    missing = (first == 0).all(1)
    assert 100 <= int(missing.sum()) < 130
    assert not torch.equal(missing, (second == 0).all(1))


# -- in the rule -------------------------------------------------------------------------------


def test_lazy_names_quantities_of_elements():
    with pytest.raises(RuleError, match="'mu' is lazy"):
        UpdateRule("x", "", "", lambda v, o: None, state=(StateVariable("mu", scalar=True),), lazy=("mu",))


def test_lazy_and_reductions_do_not_go_together():
    def equations(v, options):
        v.let("p", v.p - v.g / norm(v.g))

    with pytest.raises(RuleError, match="lazy and has reductions"):
        UpdateRule("x", "", "", equations, lazy=("p",)).step()


def test_ball_arithmetic_keeps_what_has_no_entry():
    known = {**SPARSE_ADAM.defaults, "p": 1.0, "g": 0.0, "t": 3, "exp_avg": 0.5, "exp_avg_sq": 0.25}
    fine = dict.fromkeys(SPARSE_ADAM.step().outputs, 1e-30)
    absent = exact_step(SPARSE_ADAM.step(), {**known, "g.entry": 0}, fine)
    assert all(absent[name] == flint.arb(known[name]) for name in fine)
    present = exact_step(SPARSE_ADAM.step(), {**known, "g.entry": 1}, fine)
    assert all(not present[name].overlaps(absent[name]) for name in fine)


def test_variants_of_what_is_lazy():
    assert {v.name for v in lazy_variants(SPARSE_ADAM)} == {
        "lazy.nothing",
        "lazy.only.p",
        "lazy.only.state",
        "lazy.not.exp_avg",
        "lazy.not.exp_avg_sq",
        "lazy.own_count",
    }
    assert {v.name for v in lazy_variants(RULES["sgd"])} == {"lazy.all", "lazy.only.p"}
    assert not lazy_variants(RULES["lamb"])
    assert not {v.name for v in variants(RULES["sgd"])} & {"lazy.all", "lazy.only.p"}


def test_a_run_would_catch_every_variant():
    subject = loaded("SparseAdam")
    context = Context(subject, "float32", "cpu", "for-loop", BUDGETS["quick"], 0, subject.editable())
    missed = measure(subject, sweep(context), variants(SPARSE_ADAM)).missed
    assert not [name for name in missed if name.startswith("lazy.")]


# -- on subjects -------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "alone"), [("SparseAdam", True), ("SGD", False), ("Adam", False)])
def test_what_is_taken_is_found_out_by_trying(name, alone):
    assert loaded(name).sparse_alone is alone


def test_what_takes_nothing_does_not_take_sparse_gradients_alone():
    class Refuses(torch.optim.SGD):
        def step(self, closure=None):
            raise RuntimeError("no")

    assert verify.load(Subject(Refuses, "sgd")).find_sparse_alone() is False


CELLS = [
    *(("SparseAdam", "for-loop", dtype) for dtype in ("float64", "float32", "bfloat16", "float16")),
    *((name, implementation, dtype) for name in ("SGD", "Adagrad") for implementation in ("for-loop", "foreach")
      for dtype in ("float64", "float32", "bfloat16")),
    ("SGD", "for-loop", "complex64"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "implementation", "dtype"), CELLS)
@settings(max_examples=6)
@given(data=st.data())
def test_torch_is_right_on_sparse_gradients(name, implementation, dtype, data):
    subject = loaded(name)
    # weight decay is refused with them
    fixed = dict(subject.fixed) | ({"weight_decay": 0.0} if name != "SparseAdam" else {})
    choices = {"dtype": dtype, "implementation": implementation, "fixed": fixed, "options": tuple(subject.options)}
    program = data.draw(sparse_programs(subject.rule, lanes=128, **choices))
    outcome = verify.run_program(subject, program)
    assert not outcome.failed, outcome
    assert outcome.element_steps


def test_allowances_grow_with_the_entries_of_an_element():
    """Twenty entries that are added to a parameter one by one are rounded twenty times."""
    subject = verify.load(subject_of(specimen("SGDEntryByEntry")))
    rows = random.Random(3)

    class Looked(torch.nn.Embedding):
        pass

    embedding = Looked(4, 1, sparse=True)
    embedding(torch.tensor([rows.randrange(4) for _ in range(80)])).sum().backward()
    times = entries_of(embedding.weight.grad).times
    assert times.sum() == 80
    assert times.max() > 15
    program = Program(
        dtype="bfloat16",
        groups=({"lr": 1.0, "momentum": 0.0, "weight_decay": 0.0},),
        parameters=(Parameter((64,), 0, Filling(77)),),
        operations=tuple(Step((Filling(500 + k, sparse="parts"),)) for k in range(4)),
    )
    outcome = verify.run_program(subject, program)
    assert not outcome.failed
    assert 0 < max(outcome.worst.values()) <= 1


def test_what_has_no_entry_must_stay_bit_for_bit():
    class Nudges(torch.optim.SparseAdam):
        """The last element moves by one unit in the last place, in every step."""

        @torch.no_grad()
        def step(self, closure=None):
            super().step(closure)
            for p in self.param_groups[0]["params"]:
                p[-1] = torch.nextafter(p[-1], torch.tensor(float("inf")))

    subject = verify.load(Subject(Nudges, "sparse_adam"))
    program = Program(
        groups=(dict(SPARSE_ADAM.defaults),),
        parameters=(Parameter((2,), 0, Filling(values=(1.0,))),),
        operations=(Step((one((1.0, 0.0)),)),),
    )
    (worst,) = verify.run_program(subject, program).mismatches
    assert (worst.quantity, worst.element, worst.allowance) == ("p", 1, 0.0)
    there = program.with_operations((Step((one((1.0, 0.0), "stored"),)),))
    assert not verify.run_program(subject, there).mismatches


def test_torch_sgd_buffer_of_an_embedding_grows_past_the_parameter():
    """The buffer of SGD takes the layout of the first gradient, and its entries are not merged (pytorch#3129)."""
    torch.manual_seed(0)
    embedding = torch.nn.Embedding(20, 2, sparse=True)
    optimizer = torch.optim.SGD(embedding.parameters(), lr=0.1, momentum=0.9)
    for _ in range(100):
        optimizer.zero_grad()
        embedding(torch.randint(0, 20, (8,))).sum().backward()
        optimizer.step()
    entries = optimizer.state[embedding.weight]["momentum_buffer"]._nnz()
    assert entries > 2 * 20, "torch has mended this"


def test_identify_knows_lazy_adam():
    assert [m.rule for m in identify(Subject("torch.optim.SparseAdam")).matches] == ["sparse_adam"]
    assert "sparse_adam" not in [m.rule for m in identify(Subject("torch.optim.Adam")).matches]


# -- what is told ------------------------------------------------------------------------------

DIAGNOSES = {
    "AbsentMove": "elements that a sparse gradient does not have move and remember as with a gradient of zero",
    "AbsentMomentsDecay": "the state of elements that a sparse gradient does not have changes as with a gradient of zero",
    "AbsentSecondMomentDecays": "exp_avg_sq of elements that a sparse gradient does not have changes as with a gradient "
    "of zero",
    "CorrectedByOwnCount": "the bias is corrected by the number of entries that the element has had",
    "LastEntryWins": "the last of several entries of an element counts alone",
    "EntriesAveraged": "the mean of several entries of an element counts in place of their sum",
    "MomentumOfEntries": "elements that a sparse gradient does not have keep parameter and state",
}


@pytest.mark.parametrize("name", DIAGNOSES)
def test_diagnosis(name):
    report = _report(name, diagnoses=True)
    assert DIAGNOSES[name] in report.findings[0].message


def _report(name: str, diagnoses: bool = False):
    from verify.checks import all_checks

    subject = verify.load(subject_of(specimen(name)))
    subject.find_sparse_alone()
    context = Context(
        subject, "float32", "cpu", "for-loop", BUDGETS["quick"], 0, subject.editable(), diagnoses=diagnoses
    )
    return all_checks()["rule.sparse"].run(context)


@pytest.mark.parametrize(
    "name", ["AbsentMove", "LastEntryWins", "EntryOfZeroSkipped", "RowsOfElements", "NoEntriesCrash"]
)
def test_findings_are_small_replay_and_stand_alone(name, tmp_path):
    (finding,) = _report(name).findings
    program = from_json(to_json(finding.program))
    assert sum(isinstance(op, Step) for op in program.operations) <= 2
    subject = verify.load(subject_of(specimen(name)))
    context = context_for(subject, program)
    assert context.run(program).failed
    path = tmp_path / "shows.py"
    path.write_text(script_for(subject, "rule.sparse", finding))
    assert subprocess.run([sys.executable, str(path)], capture_output=True, text=True).returncode == 1


def test_one_that_refuses_is_not_judged():
    report = run_check(Subject("torch.optim.Adam"), "rule.sparse", "float32")
    assert (report.status, report.reason) == ("not-applicable", "it refuses sparse gradients, in words")
