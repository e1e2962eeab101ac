"""The generated code: exact values, honest allowances, readable formulas, errors in words."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from reference import RULES, Hyperparameter, RuleError, StateVariable, UpdateRule
from reference.lowering.array import array_source, lower_to_arrays
from reference.lowering.ball import distance, exact_step, lower_to_balls
from reference.lowering.latex import step_latex, step_text, symbol_names
from reference.lowering.tensor_ball import ExactTensor
from reference.rounding import FACTOR, PRECISIONS
from reference.rule import Step, unset_symbol
from tests.choices import STEPS
from tests.reordered import Reordered
from verify.lanes import pool_of
from verify.program import POOL_SIZE
from verify.strategies import hyperparameters

CHOICES = pytest.mark.parametrize("step", STEPS)
LANES = 48
NUMPY = {"float64": np.float64, "float32": np.float32, "float16": np.float16}


# -- one step on hostile elements ---------------------------------------------------------------


@st.composite
def situations(draw, step: Step, dtype: str) -> dict:
    """Every symbol before a step: elements from the pool, in any state the rule may be in."""
    pool = pool_of(dtype).double().numpy()

    def elements() -> np.ndarray:
        start = draw(st.integers(0, POOL_SIZE - LANES))
        return pool[start : start + LANES].copy()

    values = dict(draw(hyperparameters(step.rule, {}, step.options)))
    values |= {"p": elements(), "g": elements(), "t": draw(st.sampled_from([1, 2, 3, 7, 50, 1000]))}
    values["machine_epsilon"] = 2 * PRECISIONS[dtype].unit
    for s in step.state:
        if s.scalar:
            values[s.name] = draw(st.sampled_from([1.0, 0.5, 0.3, 1e-3]))
        else:
            values[s.name] = np.abs(elements()) if s.nonnegative else elements()
        if s.unset_at_first:
            values[unset_symbol(s.name).name] = draw(st.integers(0, 1))
    return values | shaped(step)


def shaped(step: Step) -> dict:
    """What rules with reductions must know of the tensor."""
    return {} if step.is_elementwise else {"p.shape": (LANES // 8, 8)}


def allowances(step: Step, values: dict, dtype: str, scalars: str = "float64", errors: dict | None = None) -> dict:
    """Value and allowance of every output; ``errors`` are those of the state before the step."""
    unit, common = PRECISIONS[dtype], PRECISIONS[scalars]
    w, least = FACTOR * common.unit, FACTOR * common.smallest
    v, carried = dict(values), errors is not None
    for s in step.state:
        v["e_" + s.name] = (errors or {}).get(s.name, 0.0)
        if s.scalar:
            v["store_" + s.name] = (w, least)
            if scalars != "float64":  # its value before the step was rounded as well
                v["e_" + s.name], carried = w * abs(v[s.name]) + least, True
    code = lower_to_arrays(step, carried, careful=True)
    entry = 0.0 if scalars == "float64" else w
    with np.errstate(all="ignore"):
        results = code(np, FACTOR * unit.unit, FACTOR * unit.smallest, w, entry, unit.largest, v)
    return {
        name: tuple(np.broadcast_to(0.0 if x is None else x, LANES) for x in result)
        for name, result in zip(step.outputs, results, strict=True)
    }


def certain_ratio(step: Step, values: dict, name: str, element: int, got: float, allowance: float) -> float:
    """How many allowances ``got`` certainly is from the exact value."""
    if step.is_elementwise:
        one = {k: float(x[element]) if isinstance(x, np.ndarray) else x for k, x in values.items()}
        ball = exact_step(step, one, dict.fromkeys(step.outputs, max(allowance, 5e-324)))[name]
    else:
        ball = ExactTensor(step, [values], values["p.shape"]).new(name, element, max(allowance, 5e-324))
    assert ball.is_finite()
    if not math.isfinite(got):
        return math.inf
    off = distance(ball, got)
    return off / allowance if allowance else math.inf if off > 0 else 0.0


def jumps(step: Step) -> bool:
    """Whether the rule takes signs of elements, or chooses between numbers by what elements are."""

    def between_numbers(e: sympy.Piecewise) -> bool:
        return all(step.is_scalar[s] for value, _ in e.args for s in value.free_symbols)

    return any(
        a.expression.has(sympy.sign) or any(map(between_numbers, a.expression.atoms(sympy.Piecewise)))
        for a in step.assignments
    )


@CHOICES
@settings(max_examples=4)
@given(data=st.data())
def test_values_are_exact_to_a_quarter_of_a_float64_allowance(step, data):
    """What `reference.rounding` says of bulk values; at a tie the allowance is the jump itself."""
    values = data.draw(situations(step, "float64"))
    most = 1.0 if jumps(step) else 1 / FACTOR
    for name, (value, allowance) in allowances(step, values, "float64").items():
        for i in np.nonzero(np.isfinite(allowance))[0]:
            assert certain_ratio(step, values, name, i, value[i], allowance[i]) <= most, (name, i)


@CHOICES
@settings(max_examples=10)
@given(
    data=st.data(),
    seed=st.integers(0, 2**32 - 1),
    dtypes=st.sampled_from([("float32", "float64"), ("float16", "float64"), ("float32", "float32")]),
)
def test_the_allowance_is_honest(step, data, seed, dtypes):
    """However the rule is ordered, each result is within its allowance, wherever that is finite.

    numpy rounds correctly, so the half of the factor that is there for vector units is not touched.
    """
    dtype, scalars = dtypes
    values = data.draw(situations(step, dtype))
    assert worst_ratio(step, values, seed, dtype, scalars) <= (1.0 if jumps(step) else 0.5)


def worst_ratio(step: Step, values: dict, seed: int, dtype: str, scalars: str = "float64") -> float:
    got = Reordered(step, seed, NUMPY[dtype], NUMPY[scalars]).run(values)
    worst = 0.0
    for name, (value, allowance) in allowances(step, values, dtype, scalars).items():
        result = np.broadcast_to(got[name], LANES).astype(np.float64)
        with np.errstate(all="ignore"):
            ratio = np.where(result == value, 0.0, np.abs(result - value) / allowance)
        ratio = np.where(np.isfinite(allowance), np.nan_to_num(ratio, nan=math.inf, posinf=math.inf), -1.0)
        for i in np.argsort(-ratio)[:2]:
            # below that, the exact value changes nothing
            if ratio[i] > 0.3:
                worst = max(worst, certain_ratio(step, values, name, i, float(result[i]), float(allowance[i])))
            else:
                worst = max(worst, ratio[i])
    return worst


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_the_allowance_is_not_slack(rule, record_property):
    """Some order of evaluation uses a twentieth of it, on ordinary numbers: it is no blank cheque."""
    step = rule.step()
    rng = np.random.default_rng(0)

    def elements() -> np.ndarray:
        return rng.standard_normal(LANES).astype(np.float32).astype(np.float64)

    worst = 0.0
    for seed in range(8):
        values = {h.name: h.trials[0] for h in rule.hyperparameters} | {"p": elements(), "g": elements(), "t": 3}
        for s in step.state:
            values[s.name] = 0.5 if s.scalar else np.abs(elements())
            values[unset_symbol(s.name).name] = 0
        values |= shaped(step)
        worst = max(worst, worst_ratio(step, values, seed, "float32"))
    record_property("worst_ratio", float(worst))
    assert 0.05 < worst <= 1


# -- carried state ------------------------------------------------------------------------------


@CHOICES
@settings(max_examples=3)
@given(data=st.data())
def test_carrying_no_error_changes_nothing(step, data):
    values = data.draw(situations(step, "float32"))
    plain, carried = (allowances(step, values, "float32", errors=errors) for errors in (None, {}))
    for name in step.outputs:
        for one, other in zip(plain[name], carried[name], strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-13, err_msg=name)


@CHOICES
@settings(max_examples=3)
@given(data=st.data(), exponents=st.tuples(st.integers(-30, 2), st.integers(-30, 2)))
def test_larger_errors_never_give_a_smaller_allowance(step, data, exponents):
    values = data.draw(situations(step, "float32"))
    small = {s.name: 2.0 ** exponents[0] * np.abs(values[s.name]) for s in step.state}
    large = {name: error + 2.0 ** exponents[1] * np.abs(values[name]) for name, error in small.items()}
    less, more = (allowances(step, values, "float32", errors=errors) for errors in (small, large))
    for name in step.outputs:
        a, b = less[name][1], more[name][1]
        known = ~np.isnan(a) & ~np.isnan(b)
        assert (b[known] >= a[known] * (1 - 1e-13)).all(), name


# -- formulas for people ------------------------------------------------------------------------


@CHOICES
def test_latex_is_well_formed(step):
    text = step_latex(step)
    assert text.startswith("\\begin{align*}\n")
    assert text.endswith("\n\\end{align*}")
    assert text.count("&=") == len(step.assignments)
    assert text.count(r"\left") == text.count(r"\right")
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    # a bare Python name would show as a letter, an underscore and another letter
    assert not re.findall(r"[A-Za-z]_[A-Za-z]", text)
    assert not re.search(r"(_\{[^{}]*\}|_\w)\s*_", text), "a double subscript is an error in LaTeX"


@CHOICES
def test_symbols_are_told_apart(step):
    used = {a.symbol for a in step.assignments}.union(*(a.expression.free_symbols for a in step.assignments))
    names = symbol_names(step)
    assert len({names[s] for s in used}) == len(used)
    assert len(step_text(step).splitlines()) == len(step.assignments)


# -- rules that cannot be lowered ---------------------------------------------------------------


def rule_with(update, **changes) -> UpdateRule:
    def equations(v, options):
        v.let("s", v.s + v.g)
        v.let("p", update(v))

    rule = UpdateRule("odd", "odd", "none", equations, (Hyperparameter("lr", 0.1),), (StateVariable("s"),))
    return replace(rule, **changes, _steps={})


@pytest.mark.parametrize(
    ("update", "message"),
    [
        (lambda v: v.p - sympy.sin(v.g), "rule 'odd' uses sin in sin(g); a rule may use + - * /"),
        (lambda v: v.p - sympy.Heaviside(v.g), "rule 'odd' uses Heaviside in Heaviside(g); a rule may use"),
        (lambda v: v.p - v.lr**v.g, "rule 'odd': the power lr**g of an element has exponent g; elements may be"),
        (lambda v: v.p - v.g * sympy.cbrt(v.g), "rule 'odd': the power g**(4/3) of an element has exponent 4/3;"),
        (lambda v: v.p - sympy.Abs(v.g) ** v.lr, "of an element has exponent lr; elements may be raised to whole"),
    ],
)
def test_what_array_code_cannot_do_is_said(update, message):
    with pytest.raises(RuleError, match=re.escape(message)):
        array_source(rule_with(update).step())


@pytest.mark.parametrize("exponent", [sympy.Rational(1, 3), sympy.Rational(-1, 3), sympy.Rational(3, 4)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_allowance_of_a_power_below_one_is_honest(exponent, dtype):
    step = powers(exponent)
    n = np.array([5e-324, 1e-40, 1e-30, 0.001, 1.0, 8.0, 1e30, 1e38] * 6).astype(NUMPY[dtype]).astype(np.float64)
    zeros = np.zeros(LANES)
    assert worst_ratio(step, {"p": zeros, "g": zeros, "t": 2, "lr": 1.0, "n": n}, 0, dtype) <= 0.5


def powers(exponent) -> Step:
    """p - lr n^exponent, with n that is never negative."""

    def equations(v, options):
        v.let("n", v.n + v.g**2)
        v.let("p", v.p - v.lr * v.n**exponent)

    return rule_with(None, equations=equations, state=(StateVariable("n", nonnegative=True),)).step()


def test_powers_below_one_are_enclosed():
    def enclosure(exponent, n):
        resolution = {"n": 1.0, "p": 2.0**-60}
        return exact_step(powers(exponent), {"p": 0.0, "g": 0.0, "t": 1, "lr": 1.0, "n": n}, resolution)["p"]

    third = sympy.Rational(1, 3)
    assert distance(enclosure(third, 8.0), -2.0) == 0
    assert distance(enclosure(-third, 8.0), -0.5) == 0
    assert enclosure(third, 0.0).is_zero()
    assert not enclosure(-third, 0.0).is_finite()


def test_powers_of_what_is_negative_are_nan_and_of_what_may_be_unknown():
    code = lower_to_arrays(rule_with(lambda v: v.p - sympy.cbrt(v.s + v.g)).step())
    v = {"p": np.zeros(3), "s": np.array([1.0, -8.0, 1.0]), "g": np.array([7.0, 0.0, -1.0])}
    with np.errstate(all="ignore"):
        value, allowance = code(np, 1e-7, 1e-300, 1e-16, 0.0, 1e300, v)[-1]
    assert value[0] == pytest.approx(-2.0)
    assert np.isnan(value[1])
    assert np.isinf(allowance[2])


def test_a_scalar_state_that_depends_on_elements_is_refused():
    rule = rule_with(lambda v: v.p - v.s, state=(StateVariable("s", scalar=True),))
    with pytest.raises(RuleError, match="rule 'odd': 's' is a scalar but depends on elements"):
        rule.step()


def test_what_balls_cannot_do_is_said():
    with pytest.raises(RuleError, match="rule 'odd': sin has no ball arithmetic"):
        lower_to_balls(rule_with(lambda v: v.p - sympy.sin(v.g)).step())
