"""Every built-in optimizer of torch against the generated reference, and the bugs it really has.

The first part shows how to use the library in a test of your own: load a subject, let Hypothesis draw
programs for its rule, run them in lock-step, and assert that nothing is outside its allowance.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import verify
from verify import Edit, Filling, Parameter, Program, Repeat, Step
from verify.checks import all_checks
from verify.checks.context import context_for
from verify.finding import message_for

CLASSES = ["SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "RMSprop", "Rprop", "ASGD"]
CELLS = [
    *((name, implementation, dtype) for name in CLASSES for implementation in ("for-loop", "foreach")
      for dtype in ("float64", "float32", "bfloat16", "complex64")),
    *((name, "fused", dtype) for name in ("Adam", "AdamW", "Adagrad") for dtype in ("float64", "float32", "bfloat16")),
    # fused SGD in 16 bits is among the bugs below
    *(("SGD", "fused", dtype) for dtype in ("float64", "float32")),
]  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def load(name: str):
    return verify.load(verify.Subject(f"torch.optim.{name}"))


def assert_follows(loaded, program: Program) -> None:
    outcome = verify.run_program(loaded, program)
    assert not outcome.failed, message_for(loaded, program, outcome)


# -- properties ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "implementation", "dtype"), CELLS)
@settings(max_examples=6)
@given(data=st.data())
def test_groups_edits_and_late_gradients(name, implementation, dtype, data):
    """Several parameters and groups, gradients that are missing or late, edits between steps."""
    loaded = load(name)
    program = data.draw(
        verify.programs(
            loaded.rule,
            dtype=dtype,
            implementation=implementation,
            fixed=loaded.fixed,
            options=tuple(loaded.options),
            editable=tuple(loaded.hyperparameters),
        )
    )
    assume(not meets_a_known_bug(name, program))
    assert_follows(loaded, program)


@pytest.mark.parametrize(("name", "implementation", "dtype"), CELLS)
@settings(max_examples=2)
@given(data=st.data())
def test_thousands_of_elements(name, implementation, dtype, data):
    """One parameter; every element is an independent trial, over several steps."""
    loaded = load(name)
    program = data.draw(
        verify.bulk_programs(
            loaded.rule,
            dtype=dtype,
            implementation=implementation,
            fixed=loaded.fixed,
            options=tuple(loaded.options),
            lanes=1024,
            steps=8,
        )
    )
    assume(not meets_a_known_bug(name, program))
    assert_follows(loaded, program)


def meets_a_known_bug(name: str, program: Program) -> bool:
    """Whether a program does what one of the bugs below needs."""
    edited = {op.name for op in program.operations if isinstance(op, Edit)}
    if name == "SGD" and program.implementation == "fused":
        late = any(g is None for op in program.operations if isinstance(op, Step) for g in op.gradients)
        return late or "momentum" in edited
    if name == "SGD" and program.implementation == "foreach":
        return program.options["nesterov"] and any(isinstance(op, Repeat) for op in program.operations)
    if name == "RMSprop":
        return "momentum" in edited
    if name == "Rprop" and program.dtype == "bfloat16":
        values = [g["eta_minus"] for g in program.groups] + [
            op.value for op in program.operations if isinstance(op, Edit) and op.name == "eta_minus"
        ]
        return max(values) > 1 - 2**-8
    if name == "Adagrad":
        key = "initial_accumulator_value"
        return key in edited or len({group[key] for group in program.groups}) > 1
    return False


# -- bugs of torch 2.13 -------------------------------------------------------------------------
# Each is a program that replays it, and what the oracle must say. When torch mends one, its test
# fails: then delete it here and in meets_a_known_bug.


def one(value: float, *, shape=(1,), group: int = 0, layout: str = "contiguous") -> Parameter:
    return Parameter(shape, group, Filling(values=(value,)), layout)


def step(*gradients: float | tuple | None) -> Step:
    def filling(g):
        return None if g is None else Filling(values=g if isinstance(g, tuple) else (g,))

    return Step(tuple(filling(g) for g in gradients))


def transposed(**hyperparameters: float) -> Program:
    """A 2 x 3 parameter in column order, its gradient in row order."""
    return Program(
        implementation="fused",
        groups=(hyperparameters,),
        parameters=(one(0.0, shape=(2, 3), layout="transposed"),),
        operations=(step((1.0, 2.0, 4.0, 8.0, 16.0, 32.0)),),
    )


def low_precision(dtype: str, count: int, **hyperparameters: float) -> Program:
    return Program(
        dtype=dtype,
        implementation="fused",
        groups=({"lr": 1.0, **hyperparameters},),
        parameters=(one(1.0, shape=(count,)),),
        operations=(step(0.5), step(0.5)),
    )


MOMENTUM = {"lr": 1.0, "momentum": 0.5}
BUGS = {
    # aten/src/ATen/native/cpu/Fused*Kernel.cpp take data_ptr() of all tensors and walk them in step;
    # grad.contiguous() is computed and never used. (The CUDA kernels refuse unequal strides.)
    "fused Adam, transposed": ("Adam", transposed(lr=1.0, eps=1.0), "exp_avg"),
    "fused AdamW, transposed": ("AdamW", transposed(lr=1.0, eps=1.0), "exp_avg"),
    "fused SGD, transposed": ("SGD", transposed(lr=1.0), "p"),
    "fused Adagrad, transposed": ("Adagrad", transposed(lr=1.0, eps=1.0), "sum"),
    # FusedSGDKernel.cpp, 16 bit: the vector loop ends without storing the parameter, so only the last
    # numel % width elements move. pytorch/pytorch#191763; #192545 mends it after 2.13.
    "fused SGD, bfloat16": ("SGD", low_precision("bfloat16", 33), "p"),
    "fused SGD, float16": ("SGD", low_precision("float16", 33), "p"),
    "fused SGD, bfloat16, momentum": ("SGD", low_precision("bfloat16", 33, momentum=0.5), "p"),
    # _fused_sgd makes buffers only when all are None; one None among tensors reaches the kernel.
    "fused SGD, late gradient": (
        "SGD",
        Program(
            implementation="fused", groups=(MOMENTUM,), parameters=(one(1.0), one(1.0)),
            operations=(step(1.0, None), step(1.0, 1.0)),
        ),
        "TypeError: expected Tensor as element 1 in argument 2, but got NoneType",
    ),
    # _multi_tensor_sgd adds momentum * buffer into the gradients themselves unless weight decay or
    # maximize has copied them: p.grad is not what backward() left there.
    "foreach SGD, nesterov changes p.grad": (
        "SGD",
        Program(
            implementation="foreach", groups=(MOMENTUM,), options={"nesterov": True}, parameters=(one(0.0),),
            operations=(step(1.0), Repeat()),
        ),
        "momentum_buffer",
    ),
    # Adagrad.__init__ fills every sum with its own argument, not with the group's entry.
    "Adagrad, a group's initial_accumulator_value": (
        "Adagrad",
        Program(
            groups=({"lr": 1.0, "initial_accumulator_value": 0.0}, {"lr": 1.0, "initial_accumulator_value": 3.0}),
            parameters=(one(1.0), one(1.0, group=1)),
            operations=(step(1.0, 1.0),),
        ),
        "sum",
    ),
    # _multi_tensor_radam divides sqrt(v) + eps by zero where there is no rectification and takes the
    # reciprocal: 0 for every positive denominator, nan for 0 / 0, as eps = 1e-8 is zero in float16.
    "foreach RAdam, float16, zero gradient": (
        "RAdam",
        Program(
            dtype="float16", implementation="foreach", groups=({"lr": 0.1, "eps": 1e-8},),
            parameters=(one(1.0),), operations=(step(0.0),),
        ),
        "p",
    ),
    # _single_tensor_adam folds lr into the denominator when differentiable or capturable:
    # sqrt(v) / lr overflows, and m / inf is no step. pytorch/pytorch#97004 is the same with a tiny lr.
    "differentiable Adam, float16": (
        "Adam",
        Program(
            dtype="float16", implementation="differentiable", groups=({"lr": 1e-4},),
            parameters=(one(0.0),), operations=(step(100.0),),
        ),
        "p",
    ),
    # and 0 / -0 is nan: lr = 0, the first step of a warm-up, where the gradient is zero.
    "differentiable Adam, lr = 0": (
        "Adam",
        Program(
            implementation="differentiable", groups=({"lr": 0.0},), parameters=(one(1.0),),
            operations=(step(0.0),),
        ),
        "p",
    ),
    # Rprop finds the elements whose sign flipped by comparing the factor with etas[0], which in bfloat16
    # equals the factor 1 of the first step: every gradient is zeroed.
    "Rprop, bfloat16, etas[0] that rounds to 1": (
        "Rprop",
        Program(
            dtype="bfloat16", groups=({"lr": 0.5, "eta_minus": 0.999},), parameters=(one(1.0),),
            operations=(step(1.0),),
        ),
        "prev",
    ),
    # _single_tensor_adagrad squares the values of a sparse gradient as they are; of a dense one it views the parts of
    # complex numbers as real ones.
    "Adagrad, sparse gradient of a complex parameter": (
        "Adagrad",
        Program(
            dtype="complex64", groups=({"lr": 1.0, "eps": 1.0},), parameters=(one(0.0),),
            operations=(Step((Filling(values=(0.0, 1.0), sparse="rows"),)),),
        ),
        "sum",
    ),
    # RMSprop makes momentum_buffer at the first step alone, and only if momentum > 0 by then.
    "RMSprop, momentum switched on": (
        "RMSprop",
        Program(
            groups=({"lr": 1.0, "momentum": 0.0},), parameters=(one(1.0),),
            operations=(step(1.0), Edit(0, "momentum", 0.9), step(1.0)),
        ),
        "KeyError: 'momentum_buffer'",
    ),
}  # fmt: skip
EVERYWHERE = {
    "Adagrad, a group's initial_accumulator_value",
    "Adagrad, sparse gradient of a complex parameter",
    "RMSprop, momentum switched on",
    "Rprop, bfloat16, etas[0] that rounds to 1",
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_known_bug_is_reported(bug):
    name, program, expected = BUGS[bug]
    outcome = verify.run_program(load(name), program)
    assert outcome.failed, "torch has mended this: see above"
    assert expected == (outcome.error or outcome.mismatches[0].quantity)


@pytest.mark.parametrize("bug", [b for b in BUGS if b not in EVERYWHERE])
def test_the_for_loop_has_no_such_bug(bug):
    """So what is reported is the implementation's, not the rule's or the program's."""
    name, program, _ = BUGS[bug]
    assert_follows(load(name), replace(program, implementation="for-loop"))


def test_fused_16_bit_momentum_is_read_as_float32():
    """FusedSGDKernel.cpp loads pairs of 16-bit numbers as one float32: seen in the state alone, at step 2."""
    gradient = step((1.0, 2.0, 4.0, 8.0))
    program = replace(low_precision("bfloat16", 64, momentum=0.5), operations=(gradient, gradient))
    assert_follows(load("SGD"), replace(program, implementation="for-loop"))
    (worst,) = verify.run_program(load("SGD"), program, judge="state").mismatches
    assert (worst.quantity, worst.count) == ("momentum_buffer", 2)


@pytest.mark.parametrize(("name", "key"), [("NAdam", "mu_product"), ("ASGD", "eta")])
def test_loading_casts_state_that_is_no_step_counter(name, key):
    """Optimizer.load_state_dict casts floating-point state to the parameter's dtype, all but "step": what NAdam and
    ASGD keep in float32 for every dtype comes back in bfloat16, and the resumed run is another one.
    """
    program = Program(
        dtype="bfloat16", groups=({"lr": 0.5},), parameters=(one(1.0),), operations=(step(0.7), step(-0.3))
    )
    subject = load(name)
    for check in ("state.dtypes", "state.round_trip"):
        outcome = all_checks()[check].judge(context_for(subject, program), program)
        assert f"'{key}'" in (outcome.broken or ""), "torch has mended this"
