"""A state machine that does to an optimizer what training scripts do, with the reference beside it.

Subclass it, say what is under test, and run it with pytest or unittest::

    from verify import OptimizerMachine, Subject

    class AdamMachine(OptimizerMachine):
        subject = Subject("torch.optim.Adam")

    TestAdam = AdamMachine.TestCase

Further rules and invariants are written as in any Hypothesis state machine; ``self.optimizer``,
``self.parameters`` and ``self.program`` are there for them.
"""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from verify.driver import Driver, SubjectRaised, Unsupported, quiet
from verify.finding import message_for
from verify.oracle import LockStep
from verify.program import (
    COPIES,
    INTO,
    WAYS,
    AddGroup,
    Copy,
    Edit,
    Freeze,
    Operation,
    Program,
    Reload,
    Repeat,
    Schedule,
    Step,
    ZeroGrad,
    describe,
)
from verify.strategies import fillings, hyperparameter_values, programs
from verify.subject import LoadedSubject, Subject, load
from verify.trajectory import Recorder

LANES = 16


class OptimizerMachine(RuleBasedStateMachine):
    """Every operation is done on the subject and on the reference; after every step they are compared.

    Class attributes:
        subject: what is under test; with rule ``"none"`` nothing is compared, and rules of your own judge it.
        dtype, device, implementation: where and how it runs.

    Raises:
        AssertionError: a quantity is outside its allowance, or the subject raised; with the program so far.
    """

    subject: Subject
    dtype = "float32"
    device = "cpu"
    implementation = "for-loop"

    loaded: LoadedSubject
    driver: Driver

    @property
    def optimizer(self) -> Any:
        """The subject as it is now; loading and copying may replace it."""
        return self.driver.optimizer

    @property
    def parameters(self) -> list[torch.Tensor]:
        """The parameters, in the order of the program."""
        return [track.tensor for track in self.driver.tracks]

    @property
    def program(self) -> Program:
        """What was done so far."""
        return self.driver.program

    @initialize(data=st.data())
    def build(self, data: st.DataObject) -> None:
        self.loaded = load(self.subject)
        self.editable = self.loaded.editable()
        drawn = data.draw(
            programs(
                self.loaded.rule,
                dtype=self.dtype,
                device=self.device,
                implementation=self.implementation,
                fixed=self.loaded.fixed,
                options=tuple(self.loaded.options),
                editable=self.editable,
                lanes=LANES,
                most_steps=1,
            ),
            label="build",
        )
        later = [
            AddGroup(g) for g in range(1, len(drawn.groups)) if data.draw(st.booleans(), label=f"group {g} is late")
        ]
        make = LockStep if self.loaded.rule.known else Recorder
        self.driver = make(self.loaded, drawn.with_operations(later))
        self.driver.program = drawn.with_operations(())
        if isinstance(self.driver, Recorder):
            self.driver.moments = []
        with quiet():
            self._in_subject(self.driver.start)

    def do(self, op: Operation) -> None:
        """Do one operation on subject and reference; what the subject need not offer is left out."""
        before = self.program
        self.driver.program = before.with_operations((*before.operations, op))
        with quiet():
            try:
                self._in_subject(lambda: self.driver.do(len(before.operations), op))
            except Unsupported:
                self.driver.program = before
        if self.driver.outcome.failed:
            raise AssertionError(message_for(self.loaded, self.program, self.driver.outcome))

    def _in_subject(self, function) -> None:
        try:
            function()
        except SubjectRaised as error:
            raise AssertionError(f"the subject raised {error}\n{describe(self.program)}") from error

    def _step(self, data: st.DataObject, closure: bool) -> Step:
        given = (None if data.draw(st.integers(0, 3)) == 3 else data.draw(fillings()) for _ in self.parameters)
        return Step(tuple(given), closure)

    @rule(data=st.data(), closure=st.booleans())
    def step(self, data: st.DataObject, closure: bool) -> None:
        self.do(self._step(data, closure))

    @rule()
    def step_again(self) -> None:
        self.do(Repeat())

    @rule(set_to_none=st.booleans())
    def zero_grad(self, set_to_none: bool) -> None:
        self.do(ZeroGrad(set_to_none))

    @precondition(lambda self: self.editable)
    @rule(data=st.data())
    def edit(self, data: st.DataObject) -> None:
        group = data.draw(st.sampled_from(self.driver.present), label="group")
        name = data.draw(st.sampled_from(sorted(self.editable)), label="hyperparameter")
        known = self.loaded.rule.hyperparameters
        value = data.draw(hyperparameter_values(next(h for h in known if h.name == name)), label="value")
        changed = {**self.driver.values[group], name: value}
        if self.loaded.rule.constraint(changed, self.loaded.rule.step(self.program.options).options):
            self.do(Edit(group, name, value))

    @precondition(lambda self: "lr" in self.editable)
    @rule()
    def schedule(self) -> None:
        self.do(Schedule(0.5))

    @precondition(lambda self: len(self.driver.present) < len(self.program.groups))
    @rule()
    def add_group(self) -> None:
        self.do(AddGroup(next(g for g in range(len(self.program.groups)) if g not in self.driver.present)))

    @rule(data=st.data(), frozen=st.booleans())
    def freeze(self, data: st.DataObject, frozen: bool) -> None:
        self.do(Freeze(data.draw(st.integers(0, len(self.parameters) - 1)), frozen))

    @rule(how=st.sampled_from(WAYS), into=st.sampled_from(INTO))
    def save_and_load(self, how: str, into: str) -> None:
        self.do(Reload(how, into))

    @rule(how=st.sampled_from(COPIES))
    def copy(self, how: str) -> None:
        self.do(Copy(how))
