"""Functions of matrices: their values against two decompositions, the bound of their rounding, and Muon in torch."""

from __future__ import annotations

import flint
import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import verify
from reference import RULES, StateVariable, UpdateRule
from reference.lowering.iteration import Iteration, decomposed
from reference.lowering.spectral import odd_polynomial
from reference.lowering.tensor_ball import ExactTensor
from reference.lowering.tensor_ball import odd_polynomial as in_balls
from reference.matrices import OddPolynomial, singular_values_after
from reference.rounding import FACTOR, PRECISIONS
from verify.matrix_precision import matrix_precision
from verify.program import Filling, Parameter, Program, Step
from verify.shaped import fitting, shaped
from verify.spectra import matrix_of

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 6))
COEFFICIENTS = st.sampled_from([(3.4445, -4.775, 2.0315), (1.5, -0.5, 0.0), (2.0, -1.5, 0.5), (-1.0, 0.25, 0.125)])


@st.composite
def matrices(draw):
    x = matrix_of(draw(st.integers(0, 10_000)), draw(SHAPES))
    return x / max(np.linalg.norm(x), 1e-7)


def through_mpmath(x: np.ndarray, coefficients, steps: int) -> mpmath.matrix:
    """The polynomial of the singular values that mpmath finds, in 60 digits."""
    left, s, right = mpmath.svd_r(mpmath.matrix(x.tolist()), full_matrices=False)
    a, b, c = map(mpmath.mpf, coefficients)
    return left * mpmath.diag([singular_values_after(value, a, b, c, steps) for value in s]) * right


@settings(max_examples=40, deadline=None)
@given(x=matrices(), coefficients=COEFFICIENTS, steps=st.integers(0, 6))
def test_a_matrix_polynomial_acts_on_the_singular_values(x, coefficients, steps):
    """Balls evaluate a polynomial of the matrix, and mpmath one of its singular values: they know nothing of each other."""
    with mpmath.workdps(60), flint.ctx.workprec(256):
        balls = in_balls(flint.arb_mat(x.tolist()), *map(flint.arb, coefficients), steps)
        due = through_mpmath(x, coefficients, steps)
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                ball = balls[i, j]
                assert float(ball.rad()) < 1e-40
                assert abs(mpmath.mpf(str(ball.mid().str(60, radius=False))) - due[i, j]) < mpmath.mpf(10) ** -40


@settings(max_examples=60, deadline=None)
@given(x=matrices(), coefficients=COEFFICIENTS, steps=st.integers(0, 6))
def test_bulk_values_are_those_of_balls(x, coefficients, steps):
    """numpy's decomposition, and a polynomial of the matrix in ball arithmetic."""
    double = PRECISIONS["float64"]
    value, allowance = odd_polynomial(
        x.reshape(-1),
        0.0,
        x.shape,
        *coefficients,
        steps,
        FACTOR * double.unit,
        FACTOR * double.smallest,
        double.largest,
    )
    with flint.ctx.workprec(256):
        balls = in_balls(flint.arb_mat(x.tolist()), *map(flint.arb, coefficients), steps).entries()
    for got, most, ball in zip(value, allowance, balls, strict=True):
        assert abs(got - float(ball.mid())) <= most / FACTOR


@settings(max_examples=60, deadline=None)
@given(
    x=matrices(),
    coefficients=COEFFICIENTS,
    steps=st.integers(0, 4),
    size=st.sampled_from([1e-6, 1e-3, 0.05]),
    seed=st.integers(0, 1000),
)
def test_what_is_off_at_first_is_off_by_no_more_than_the_bound(x, coefficients, steps, size, seed):
    """Without rounding on the way: the derivative and what is beyond it."""
    error = size * np.random.default_rng(seed).choice([-1.0, 1.0], x.shape)
    bound = Iteration(x, decomposed(x), coefficients, 0.0, 0.0, 1e300).bound(np.abs(error), steps)
    exact, moved = (
        odd_polynomial(y.reshape(-1), 0.0, y.shape, *coefficients, steps, 0.0, 0.0, 1e300)[0].reshape(x.shape)
        for y in (x, x + error)
    )
    assert (np.abs(moved - exact) <= bound * (1 + 1e-6) + 1e-12).all()


@pytest.mark.parametrize("steps", [-1.0, 0.5, float("inf"), float("nan"), 1e9])
def test_no_number_of_steps_verifies_nothing(steps):
    value, error = odd_polynomial(np.ones(4), 0.0, (2, 2), 1.0, 1.0, 1.0, steps, 1e-16, 0.0, 1e300)
    assert np.isnan(value).all()
    assert np.isinf(error).all()


def test_a_polynomial_of_a_matrix_is_nothing_to_elements():
    x = sympy.Symbol("x", real=True)
    assert OddPolynomial(x, 1, 2, 3, 0) == x
    assert OddPolynomial(sympy.S.Zero, 1, 2, 3, 4) == 0
    step = RULES["muon"].step()
    assert not step.is_elementwise
    assert step.has_matrices
    assert not RULES["lamb"].has_matrices


def test_a_rule_of_ones_own_may_use_it():
    def equations(v, options):
        v.let("p", v.p - v.lr * v.rows / v.columns * OddPolynomial(v.g, 2, -1, 0, 1))

    rule = UpdateRule("own", "", "", equations, (RULES["muon"].hyperparameters[0],), dimensions=2)
    values = {"lr": 1.0, "p": np.zeros(6), "g": np.arange(6.0), "t": 1}
    g = np.arange(6.0).reshape(3, 2)
    due = -(3 / 2) * (2 * g - g @ g.T @ g).reshape(-1)
    for i in range(6):
        ball = ExactTensor(rule.step(), [values], (3, 2)).new("p", i, 1e-9)
        assert abs(float(ball.mid()) - due[i]) < 1e-12
    assert StateVariable  # the state is none of its business


# -- shapes -------------------------------------------------------------------------------------


@given(shape=st.lists(st.integers(0, 30), max_size=5).map(tuple), dimensions=st.integers(1, 4), tall=st.booleans())
def test_shapes_keep_their_elements(shape, dimensions, tall):
    fit = fitting(shape, dimensions, tall)
    assert len(fit) == dimensions
    assert np.prod(fit) == np.prod(shape)


def test_rules_without_dimensions_keep_their_programs():
    program = Program(parameters=(Parameter((5,)),), operations=(Step((Filling(3),)),))
    assert shaped(program, RULES["adam"]) is program
    matrix = shaped(program, RULES["muon"])
    assert matrix.parameters[0].shape == (1, 5)
    assert matrix.operations[0].gradients[0].spectrum
    assert shaped(matrix, RULES["muon"]) == matrix


def test_without_a_rule_the_dimensions_are_found_by_trying():
    assert verify.load(verify.Subject("torch.optim.Muon", "none")).rule.dimensions == 2
    assert verify.load(verify.Subject("torch.optim.Adam", "none")).rule.dimensions is None


# -- precision ----------------------------------------------------------------------------------


def loaded(name: str):
    return verify.load(verify.Subject(name, "muon"))


@pytest.mark.parametrize(
    ("target", "dtype", "found"),
    [
        ("torch.optim.Muon", "float64", "bfloat16"),
        ("torch.optim.Muon", "float32", "bfloat16"),
        ("torch.optim.Muon", "bfloat16", None),
        ("tests/specimens/right/muon.py:Bfloat16Iteration", "float32", "bfloat16"),
        ("tests/specimens/right/muon.py:Float32Iteration", "float64", "float32"),
        ("tests/specimens/right/muon.py:Float32Iteration", "float32", None),
        ("tests/specimens/right/muon.py:ThroughSingularValues", "float64", None),
        # what is wrong in the formula excuses nothing
        ("tests/specimens/wrong/muon.py:CubicIteration", "float32", None),
        ("tests/specimens/wrong/muon.py:NotNormalised", "float64", None),
    ],
)
def test_the_precision_of_matrices_is_found_by_looking(target, dtype, found):
    precision = matrix_precision(loaded(target), Program(dtype=dtype))
    assert (precision.name if precision else None) == found


# -- torch --------------------------------------------------------------------------------------

G = Filling(values=(4.0, -2.0, 1.0, 0.5, 3.0, -1.0))


def muon(dtype: str, shape=(2, 3), **options: bool) -> Program:
    values = {"lr": 0.5, "momentum": 0.5, "a": 1.5, "b": -0.5, "c": 0.125, "steps": 1}
    return Program(dtype, groups=(values,), options=options, parameters=(Parameter(shape),), operations=(Step((G,)),))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("match_rms_adamw", [False, True])
@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (1, 4), (4, 1)])
def test_torch_computes_the_rule(dtype, nesterov, match_rms_adamw, shape):
    program = muon(dtype, shape, nesterov=nesterov, match_rms_adamw=match_rms_adamw)
    outcome = verify.run_program(loaded("torch.optim.Muon"), program)
    assert not outcome.failed, outcome.mismatches
    assert outcome.matrices == "bfloat16"
    assert outcome.not_verified < outcome.element_steps


def test_torch_divides_the_momentum_buffer_in_place():
    """_zeropower_via_newtonschulz: a bfloat16 update is not copied by bfloat16(), and without nesterov it is the buffer
    (mended after 2.13 by pytorch#194664)."""
    outcome = verify.run_program(loaded("torch.optim.Muon"), muon("bfloat16", nesterov=False))
    assert outcome.mismatches[0].quantity == "momentum_buffer", "torch has mended this"
    assert not verify.run_program(loaded("torch.optim.Muon"), muon("bfloat16", nesterov=True)).failed


def test_torch_divides_by_the_number_of_columns():
    """_adjust_lr: a parameter without columns."""
    outcome = verify.run_program(loaded("torch.optim.Muon"), muon("float32", (2, 0)))
    assert (outcome.error or "").startswith("ZeroDivisionError"), "torch has mended this"
    assert not verify.run_program(loaded("torch.optim.Muon"), muon("float32", (0, 2))).failed
