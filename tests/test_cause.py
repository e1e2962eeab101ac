"""What the subject did instead is told in one sentence, and only where it is certain."""

from dataclasses import replace

import pytest
import torch

from tests.specimens import WRONG
from verify import Subject, load
from verify.cause import Cause, find_cause, with_cause
from verify.finding import message_for
from verify.oracle import run_program
from verify.program import AddGroup, Edit, Filling, Parameter, Program, Reload, Repeat, Schedule, Step
from verify.reduce import reduce_program

PLAIN = {"momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0}
MOMENTUM = {**PLAIN, "momentum": 0.5}
TWO = (Parameter((6,), 0, Filling(3)), Parameter((6,), 1, Filling(40)))
ONE = TWO[:1]


def step(*present: bool, at: int = 100) -> Step:
    return Step(tuple(Filling(at + 17 * i) if there else None for i, there in enumerate(present)))


def cause_of(subject: type | str, rule: str, program: Program) -> str:
    """The sentence; "" when there is none."""
    loaded = load(Subject(subject, rule))
    outcome = run_program(loaded, program)
    assert outcome.mismatches, "it must fail"
    found = find_cause(loaded, program, outcome)
    return found.text if found else ""


class Sgd(torch.optim.Optimizer):
    """A right one; what derives from it is not."""

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        for index, group in enumerate(self.param_groups):
            for p in group["params"]:
                if p.grad is not None:
                    self.move(p, p.grad, self.state[p], self.seen(group, index))

    def seen(self, group, index):
        return group

    def move(self, p, g, state, group):
        g = g + group["weight_decay"] * p
        if group["momentum"]:
            if "momentum_buffer" in state:
                state["momentum_buffer"].mul_(group["momentum"]).add_(g, alpha=1 - group["dampening"])
            else:
                state["momentum_buffer"] = g.clone()
            g = state["momentum_buffer"]
        p.sub_(group["lr"] * g)


# -- hyperparameters -------------------------------------------------------------------------


class LrOfGroupOne(Sgd):
    def seen(self, group, index):
        return {**group, "lr": self.param_groups[1]["lr"]}


class AllOfGroupOne(Sgd):
    def seen(self, group, index):
        return self.param_groups[1]


class LrOfConstructor(Sgd):
    def seen(self, group, index):
        return {**group, "lr": self.defaults["lr"]}


class LrOfSignature(Sgd):
    def seen(self, group, index):
        return {**group, "lr": 1e-3} if index == 1 else group


class LrOfFirstStep(Sgd):
    def move(self, p, g, state, group):
        super().move(p, g, state, {**group, "lr": self.__dict__.setdefault("kept", {}).setdefault(p, group["lr"])})


class DecayIgnored(Sgd):
    def seen(self, group, index):
        return {**group, "weight_decay": 0.0}


class LrDividedByGroups(Sgd):
    def seen(self, group, index):
        return {**group, "lr": group["lr"] / len(self.param_groups)}


class LrChangesItself(Sgd):
    def seen(self, group, index):
        group["lr"] *= 0.5
        return group


class LrFalls(Sgd):
    def seen(self, group, index):
        return {**group, "lr": group["lr"] * 0.8**index}


GROUPS = ({**PLAIN, "lr": 1.0, "weight_decay": 0.5}, {**PLAIN, "lr": 0.25, "weight_decay": 0.125})
ALIKE = ({**PLAIN, "lr": 1.0}, {**PLAIN, "lr": 0.25})
BOTH = Program(groups=GROUPS, parameters=TWO, operations=(step(True, True), step(True, True, at=7)))
EDITED = Program(
    groups=ALIKE[:1], parameters=ONE, operations=(step(True), Edit(0, "lr", 0.5), step(True, at=7), step(True, at=9))
)


@pytest.mark.parametrize(
    ("subject", "program", "text"),
    [
        (LrOfGroupOne, BOTH, "lr of group 1 was used for group 0"),
        (AllOfGroupOne, BOTH, "all hyperparameters of group 1 were used for group 0"),
        (LrOfConstructor, BOTH, "the constructor's lr was used for group 1"),
        (LrOfSignature, BOTH, "the constructor's default 0.001 was used for lr of group 1"),
        (LrOfFirstStep, EDITED, "the edit of lr in group 0 had no effect: the old value 1 was used instead of 0.5"),
        (DecayIgnored, BOTH, "weight_decay was ignored"),
        (LrDividedByGroups, BOTH, "lr was divided by 2, the number of groups or the number of parameters with a gradient or the number of parameters"),
        (LrChangesItself, BOTH, "the optimizer itself changed lr of group 0 from 1 to 0.5"),
        (LrFalls, BOTH, "the step was that of lr = 0.2 instead of 0.25"),
    ],
    ids=lambda x: getattr(x, "__name__", None),
)  # fmt: skip
def test_hyperparameters(subject, program, text):
    assert cause_of(subject, "sgd", program) == text


def test_scheduler_without_effect():
    program = EDITED.with_operations((step(True), Schedule(0.5), step(True, at=7)))
    wanted = "the scheduler's lr had no effect in group 0: the old value 1 was used instead of 0.5"
    assert cause_of(LrOfFirstStep, "sgd", program) == wanted


def test_group_and_constructor_are_told_apart():
    class LrOfGroupZero(Sgd):
        def seen(self, group, index):
            return {**group, "lr": self.param_groups[0]["lr"]}

    assert cause_of(LrOfGroupZero, "sgd", BOTH) == "lr of group 0 was used for group 1"


# -- counts, gradients, state ----------------------------------------------------------------

ADAM = {"lr": 1.0, "beta1": 0.5, "beta2": 0.75, "eps": 0.125}
TOGETHER = tuple(Parameter((6,), 0, Filling(3 + 20 * i)) for i in range(2))
LATE = Program(
    groups=(ADAM,), parameters=TOGETHER, operations=(step(True, False), step(True, False, at=5), step(True, True, at=9))
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CounterOfOptimizer", "the step count was 3, the number of step() calls, where this parameter has taken 1 step"),
        ("CounterOfFirstParameter", "the step counter of parameter 0 (3) was used for parameter 1 (1)"),
        ("CounterOfGroup", "the step counter in the state was not advanced in this step"),
    ],
)  # fmt: skip
def test_counts(name, text):
    found = cause_of(f"tests/specimens/wrong/counters.py:{name}", "adam", LATE)
    if name == "CounterOfOptimizer":
        # here the others have counted to 3 too
        assert found in (text, "the step counter of parameter 0 (3) was used for parameter 1 (1)")
    else:
        assert found == text


class MomentumLost(Sgd):
    def load_state_dict(self, state_dict):
        super().load_state_dict({**state_dict, "state": {}})


class MomentumOfFirst(Sgd):
    def move(self, p, g, state, group):
        super().move(p, g, self.state[self.param_groups[0]["params"][0]], group)


class MomentumInBfloat16(Sgd):
    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for state in self.state.values():
            state["momentum_buffer"] = state["momentum_buffer"].bfloat16().float()


class GradientOfStepBefore(Sgd):
    def move(self, p, g, state, group):
        super().move(p, self.__dict__.setdefault("last", {}).get(p, g), state, group)
        self.last[p] = g.clone()


class GradientOfFirst(Sgd):
    def move(self, p, g, state, group):
        super().move(p, self.param_groups[0]["params"][0].grad, state, group)


class GradientDoubled(Sgd):
    def move(self, p, g, state, group):
        super().move(p, 2 * g, state, group)


class GradientNegatedInPlace(Sgd):
    def move(self, p, g, state, group):
        super().move(p, g, state, group)
        g.neg_()


class BufferIsGradient(Sgd):
    def move(self, p, g, state, group):
        first = "momentum_buffer" not in state
        super().move(p, g, state, group)
        if first:
            state["momentum_buffer"] = g


class Twice(Sgd):
    def move(self, p, g, state, group):
        super().move(p, g, state, group)
        super().move(p, g, state, group)


class OnlyFirst(Sgd):
    def move(self, p, g, state, group):
        if p is self.param_groups[0]["params"][0]:
            super().move(p, g, state, group)


class TailNotMoved(Sgd):
    def move(self, p, g, state, group):
        old = p.clone()
        super().move(p, g, state, group)
        p[4:] = old[4:]


class MovedWithoutGradient(Sgd):
    @torch.no_grad()
    def step(self, closure=None):
        for p in self.param_groups[0]["params"]:
            if p.grad is None and self.state[p]:
                p.grad = torch.zeros_like(p)
        super().step()


BUFFERED = ({**MOMENTUM, "lr": 0.5},)
LOADED = Program(
    groups=BUFFERED, parameters=ONE, operations=(step(True), Reload(into="fresh"), step(True, at=5), step(True, at=9))
)
PAIR = Program(groups=BUFFERED, parameters=TOGETHER, operations=(step(True, True), step(True, True, at=8)))
REPEATED = Program(groups=BUFFERED, parameters=ONE, operations=(step(True), Repeat(), step(True, at=5)))


@pytest.mark.parametrize(
    ("subject", "program", "text"),
    [
        (MomentumLost, LOADED, "the state before the load was lost: momentum_buffer started again after operation 1 (load into a fresh instance)"),
        (MomentumInBfloat16, LOADED, "momentum_buffer had been rounded to bfloat16 by operation 1 (load into a fresh instance)"),
        (MomentumOfFirst, PAIR, "the step of parameter 1 moved the state of parameter 0"),
        (GradientOfStepBefore, PAIR, "the gradient of the step before was used"),
        (GradientOfFirst, PAIR, "the gradient of parameter 0 was used for parameter 1"),
        (GradientDoubled, PAIR, "the gradient was applied twice"),
        (GradientNegatedInPlace, REPEATED, "the step before had changed p.grad, which was minus the gradient when this step used it"),
        (BufferIsGradient, replace(REPEATED, reuse_gradients=True), "momentum_buffer was the gradient itself and not a copy of it, and changed with p.grad"),
        (Twice, PAIR, "the step was taken twice"),
        (OnlyFirst, PAIR, "nothing was done: the parameter and its state stayed as they were in this step"),
        (TailNotMoved, PAIR, "2 of 6 elements stayed as they were, and the rest moved by the rule: 4, 5"),
        (MovedWithoutGradient, PAIR.with_operations((step(True, True), step(True, False))), "it was moved as if its gradient were zero"),
    ],
    ids=lambda x: getattr(x, "__name__", None),
)  # fmt: skip
def test_gradients_and_state(subject, program, text):
    assert cause_of(subject, "sgd", program) == text


def test_late_group_that_is_not_moved():
    class Known(Sgd):
        def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
            super().__init__(params, lr, momentum, dampening, weight_decay)
            self.known = len(self.param_groups)

        def seen(self, group, index):
            return {**group, "lr": group["lr"] if index < self.known else 0.0}

    program = Program(groups=ALIKE, parameters=TWO, operations=(step(True, True), AddGroup(1), step(True, True, at=8)))
    found = cause_of(Known, "sgd", program)
    assert (
        found
        == "nothing was done: the parameter and its state stayed as they were in this step; its group was added in operation 1"
    )


# -- where nothing is certain ----------------------------------------------------------------


def test_wrong_equations_have_no_cause():
    for target in ("adam.py:EpsInsideRoot", "adam.py:NoRoot", "adamw.py:DecayAfterStep"):
        program = Program(
            groups=({**ADAM, "weight_decay": 0.5},), parameters=(Parameter((200,)),), operations=(step(True), step(True, at=300))
        )  # fmt: skip
        rule = "adamw" if "adamw" in target else "adam"
        assert cause_of(f"tests/specimens/wrong/{target}", rule, program) == ""


def test_one_element_in_bfloat16_proves_nothing():
    program = Program(
        dtype="bfloat16",
        groups=GROUPS,
        parameters=tuple(Parameter((1,), g, Filling(values=(1.0,))) for g in range(2)),
        operations=(Step((Filling(values=(0.5,)), Filling(values=(0.5,)))),),
    )
    assert cause_of(LrOfGroupOne, "sgd", program) == ""


def test_a_right_optimizer_is_not_asked():
    loaded = load(Subject(Sgd, "sgd"))
    for program in (BOTH, EDITED, LOADED, PAIR, REPEATED):
        outcome = run_program(loaded, program)
        assert not outcome.failed
        assert find_cause(loaded, program, outcome) is None


# -- carried on to the smaller program -------------------------------------------------------


def test_the_smaller_program_has_its_own_numbers():
    loaded = load(Subject(LrOfGroupOne, "sgd"))
    outcome = run_program(loaded, BOTH)
    cause = find_cause(loaded, BOTH, outcome)
    assert cause == Cause(("group/lr",), "lr of group 1 was used for group 0")
    small, found = reduce_program(BOTH, outcome, lambda p: run_program(loaded, p), loaded)
    assert small.parameters[0].shape == (1,)
    told = with_cause(loaded, cause, small, found)
    assert told.mismatches[0].cause == "lr of group 1 was used for group 0"
    assert message_for(loaded, small, told).splitlines()[1] == "cause       lr of group 1 was used for group 0"


def test_a_cause_that_the_smaller_program_does_not_show_is_kept():
    loaded = load(Subject(LrOfGroupOne, "sgd"))
    outcome = run_program(loaded, BOTH)
    told = with_cause(loaded, Cause(("twice",), "the step was taken twice"), BOTH, outcome)
    assert told.mismatches[0].cause == "the step was taken twice (in the program before it was made smaller)"
    assert with_cause(loaded, None, BOTH, outcome) is outcome


def test_every_specimen_of_groups_that_moves_wrongly_has_a_cause():
    """Through the check, as a user meets it: those that raise have an exception to read instead."""
    from tests.checking import run_check

    without = []
    for specimen in WRONG:
        if specimen.check != "groups.hyperparameters":
            continue
        implementation = "foreach" if "paths" in specimen.name else "for-loop"
        subject = Subject(specimen.target, specimen.rule, arguments=specimen.arguments, names=specimen.names)
        (finding,) = run_check(subject, specimen.check, "float32", implementation).findings
        if finding.mismatches and not finding.mismatches[0].cause:
            without.append(specimen.name)
    assert without == []


class LrOfNextGroup(torch.optim.Optimizer):
    """An Adam without decay that steps by the lr of the other group, and has no argument for weight_decay."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps))

    @torch.no_grad()
    def step(self, closure=None):
        for index, group in enumerate(self.param_groups):
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state.update(step=0, exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
                state["step"] += 1
                m = state["exp_avg"].lerp_(p.grad, 1 - beta1) / (1 - beta1 ** state["step"])
                v = state["exp_avg_sq"].mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
                v = v / (1 - beta2 ** state["step"])
                p.sub_(self.param_groups[1 - index]["lr"] * m / (v.sqrt() + group["eps"]))


def test_a_hyperparameter_that_has_no_argument():
    own = {"beta1": 0.5, "beta2": 0.5, "eps": 0.25}
    groups = ({"lr": 0.5, **own}, {"lr": 0.125, **own})
    program = Program("float64", groups=groups, parameters=TWO, operations=(step(True, True), step(True, True, at=9)))
    assert "lr of group 1 was used for group 0" in cause_of(LrOfNextGroup, "adam", program)
