"""Lock-step, on optimizers small enough to see what is wrong with them."""

from __future__ import annotations

import math

import pytest
import torch

from tests.checking import run_check
from verify import Edit, Filling, Parameter, Program, SetCount, Step, Subject, load, run_program
from verify.reduce import reduce_program, same_failure


class HeavyBall(torch.optim.Optimizer):
    """Right. What the wrong ones below change is a method each."""

    key = "velocity"

    def __init__(self, params, lr=0.1, momentum=0.9):
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    self.without_gradient(p)
                    continue
                state = self.state[p]
                v = state.get(self.key, torch.zeros_like(p))
                v = self.velocity(v, p.grad, group)
                p.add_(v)
                state["step"] = self.count(state.get("step", 0))
                state[self.key] = self.stored(v, state)

    def velocity(self, v, g, group):
        return group["momentum"] * v - group["lr"] * g

    def stored(self, v, state):
        return v

    def count(self, steps):
        return steps + 1

    def without_gradient(self, p):
        pass


class Hidden(HeavyBall):
    key = "whatever"


class BadStore(HeavyBall):
    """The first step moves the parameter rightly and remembers twice the velocity."""

    def stored(self, v, state):
        return 2 * v if state["step"] == 1 else v


class HiddenBadStore(BadStore):
    key = "whatever"


class LateMistake(HeavyBall):
    """Forgets the momentum at every fourth call."""

    calls = 0

    def velocity(self, v, g, group):
        self.calls += 1
        return super().velocity(0 * v if self.calls % 4 == 0 else v, g, group)


class HiddenLateMistake(LateMistake):
    key = "whatever"


class CountsTwice(HeavyBall):
    def count(self, steps):
        return steps + 2


class MovesAnyway(HeavyBall):
    def without_gradient(self, p):
        p.mul_(0.5)


def subject(cls):
    return load(Subject(cls, rule="heavy_ball"))


def program(steps: int = 4, dtype: str = "float32", late: bool = False) -> Program:
    """Two parameters; the second has no gradient at the first step when ``late``."""
    operations = [Step((Filling(977 * k), Filling(40_009 + k))) for k in range(steps)]
    if late:
        operations[0] = Step((Filling(0), None))
    return Program(
        dtype=dtype,
        groups=({"lr": 0.5, "momentum": 0.5},),
        parameters=(Parameter((40,), 0, Filling(7)), Parameter((2, 3), 0, Filling(9001))),
        operations=tuple(operations),
    )


def first_mismatch(cls, judge: str = "all", **options):
    outcome = run_program(subject(cls), program(**options), judge=judge)
    assert outcome.error is None
    assert outcome.failed
    return outcome.mismatches[0]


# -- which steps are judged, and from what ------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "complex64"])
@pytest.mark.parametrize("cls", [HeavyBall, Hidden])
def test_a_right_one_is_inside(cls, dtype):
    outcome = run_program(subject(cls), program(12, dtype))
    assert not outcome.failed
    assert 0 <= outcome.worst["p"] <= 1
    assert ("momentum_buffer" in outcome.worst) == (cls is HeavyBall)
    width = 2 if dtype == "complex64" else 1
    assert outcome.element_steps == 12 * (40 + 6) * width


def test_each_step_is_judged_alone():
    """A wrong state is reported where it was made, and the next step starts from it as it is."""
    wrong = first_mismatch(BadStore)
    assert (wrong.quantity, wrong.count, wrong.agrees) == ("momentum_buffer", 1, ("p",))
    assert wrong.got == pytest.approx(2 * wrong.exact)
    assert not run_program(subject(BadStore), program(), judge="p").failed


def test_what_cannot_be_seen_is_carried():
    """The same mistake in a black box shows in the parameter, one step later."""
    wrong = first_mismatch(HiddenBadStore)
    assert (wrong.quantity, wrong.count) == ("p", 2)


def test_carried_state_is_judged_at_every_step():
    # calls alternate between two parameters, so the fourth is the second parameter's second step
    for cls, quantity in ((LateMistake, "momentum_buffer"), (HiddenLateMistake, "p")):
        wrong = first_mismatch(cls)
        assert (wrong.quantity, wrong.parameter, wrong.count) == (quantity, 1, 2)


def test_a_wrong_counter_is_found():
    wrong = first_mismatch(CountsTwice)
    assert (wrong.quantity, wrong.got, wrong.exact, wrong.ratio) == ("step", 2, 1, math.inf)
    assert not run_program(subject(CountsTwice), program(), judge="p").failed


def test_a_parameter_without_gradient_must_not_move():
    assert not run_program(subject(MovesAnyway), program()).failed
    wrong = first_mismatch(MovesAnyway, late=True)
    assert (wrong.parameter, wrong.quantity) == (1, "p")
    assert wrong.note == "it has no gradient and must not move"
    assert wrong.got == wrong.exact / 2


def test_late_gradients_are_counted_by_parameter():
    """The state of a parameter begins with its own first gradient."""
    assert not run_program(subject(HeavyBall), program(late=True)).failed
    assert not run_program(subject(Hidden), program(late=True)).failed


def test_an_exception_is_an_error_and_not_a_mismatch():
    class Raises(HeavyBall):
        def count(self, steps):
            raise ZeroDivisionError("no step today")

    outcome = run_program(subject(Raises), program())
    assert outcome.failed
    assert outcome.error == "ZeroDivisionError: no step today"
    assert not outcome.mismatches


# -- scalars ------------------------------------------------------------------------------------


class Adam(torch.optim.Optimizer):
    """Right, with everything common to all elements in one dtype, the step counter included."""

    scalars = torch.float32

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            b1, b2 = (torch.tensor(b, dtype=self.scalars) for b in group["betas"])
            for p in (p for p in group["params"] if p.grad is not None):
                state = self.state[p]
                if not state:
                    state["step"] = torch.tensor(0.0, dtype=self.scalars)
                    state |= {"exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
                t, m, v = (state[key] for key in ("step", "exp_avg", "exp_avg_sq"))
                t.add_(1)
                m.mul_(b1).add_(p.grad * (1 - b1))
                v.mul_(b2).add_(p.grad**2 * (1 - b2))
                p.sub_(group["lr"] / (1 - b1**t) * m / self.denominator(v / (1 - b2**t), group["eps"]))

    def denominator(self, v_hat, eps):
        return v_hat.sqrt() + eps


class DoubleScalars(Adam):
    scalars = torch.float64


class EpsInside(DoubleScalars):
    def denominator(self, v_hat, eps):
        return (v_hat + eps).sqrt()


ADAM_PROGRAM = Program(
    dtype="float64",
    groups=({"lr": 0.5, "beta1": 0.9, "beta2": 0.99, "eps": 0.1},),
    parameters=(Parameter((64,), 0, Filling(11)), Parameter((3, 3), 0, Filling(5000)), Parameter((), 0, Filling(77))),
    operations=(
        Step((Filling(2000), Filling(3000), None)),
        Step((Filling(4000), None, Filling(1))),
        Edit(0, "lr", 0.25),
        Step((Filling(6000), Filling(7000), Filling(8000))),
    ),
)


@pytest.mark.parametrize(("cls", "scalars"), [(Adam, "float32"), (DoubleScalars, "float64")])
def test_scalars_in_tensors_are_judged_in_their_precision_and_noted(cls, scalars):
    outcome = run_program(load(Subject(cls, rule="adam")), ADAM_PROGRAM)
    assert not outcome.failed
    assert outcome.scalars == scalars


def test_low_precision_scalars_excuse_no_wrong_formula():
    class Wrong(EpsInside):
        scalars = torch.float32

    assert run_program(load(Subject(Wrong, rule="adam")), ADAM_PROGRAM).failed


def test_a_counter_can_be_set():
    """At step 1001 bias is corrected as at 1001, not as at 2."""
    first, second, *_ = program(2, "float64").operations
    long = Program(
        dtype="float64",
        groups=({"lr": 0.5, "beta1": 0.9, "beta2": 0.99, "eps": 0.1},),
        parameters=program().parameters,
        operations=(first, SetCount(1000), second),
    )
    assert not run_program(load(Subject(DoubleScalars, rule="adam")), long).failed
    hidden = run_program(load(Subject(DoubleScalars, rule="adam", state_keys={"step": "nothing"})), long)
    assert hidden.unsupported == "its state holds no step counter"


# -- what is left of a finding ------------------------------------------------------------------


def test_a_failing_program_is_reduced_to_one_element():
    loaded = load(Subject(EpsInside, rule="adam"))
    outcome = run_program(loaded, ADAM_PROGRAM)
    small, found = reduce_program(ADAM_PROGRAM, outcome, lambda p: run_program(loaded, p), loaded)
    (parameter,) = small.parameters
    assert math.prod(parameter.shape) == 1
    assert len(small.operations) <= 2
    assert same_failure(outcome, found)
    # it fails by itself, in the same way
    assert run_program(loaded, small).mismatches == found.mismatches


def test_the_same_seed_gives_the_same_finding():
    wrong = Subject(EpsInside, rule="adam")
    reports = [run_check(wrong, "rule.step", "float32", seed=seed) for seed in (5, 5)]
    one, other = (finding for report in reports for finding in report.findings)
    assert one.program == other.program
    assert one.message == other.message


def test_nothing_is_said_of_an_element_whose_state_had_to_overflow():
    """RAdam's second moment, which its step does not use yet: foreach makes nan of it, the for-loop does not look."""
    steps = tuple(Step((Filling(values=(g,)),)) for g in (-3e22, 0.0))
    values = {"lr": 1.0, "beta1": 0.0, "beta2": 0.0, "eps": 1.0, "weight_decay": 0.0}
    for implementation in ("for-loop", "foreach"):
        program = Program(
            "float32",
            implementation=implementation,
            groups=(values,),
            parameters=(Parameter((1,), 0, Filling(values=(0.0,))),),
            operations=steps,
        )
        for judge in ("p", "all"):
            assert not run_program(load(Subject("torch.optim.RAdam")), program, judge=judge).failed
