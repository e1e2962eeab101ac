"""Operations meet in every order, and drawn programs of all of them survive JSON and are passed by a right optimizer."""

import json
from itertools import product

from hypothesis import given, settings

import verify
from verify.checks.meetings import KINDS, covered, sequences
from verify.finding import message_for
from verify.program import AddGroup, Copy, Freeze, Reload, Schedule, Step, ZeroGrad
from verify.program_json import from_json, to_json
from verify.strategies import OPERATIONS

ADAM = verify.load(verify.Subject("torch.optim.Adam"))
DRAWN = verify.programs(
    ADAM.rule,
    fixed=ADAM.fixed,
    options=tuple(ADAM.options),
    editable=ADAM.editable(),
    operations=OPERATIONS,
    most_steps=6,
)


def test_every_kind_comes_right_after_every_other():
    assert covered(sequences()) >= set(product(KINDS, KINDS))


@settings(max_examples=40)
@given(DRAWN)
def test_a_right_optimizer_passes_whatever_is_drawn(program):
    outcome = verify.run_program(ADAM, program)
    assert not outcome.failed, message_for(ADAM, program, outcome)


@settings(max_examples=40)
@given(DRAWN)
def test_drawn_programs_survive_json(program):
    assert from_json(json.loads(json.dumps(to_json(program)))) == program


def test_every_kind_of_operation_is_drawn():
    seen: set[type] = set()

    @settings(max_examples=150, database=None)
    @given(DRAWN)
    def draw(program):
        seen.update(type(op) for op in program.operations)

    draw()
    assert seen >= {Step, AddGroup, Copy, Freeze, Reload, Schedule, ZeroGrad}
