"""The generated code: exact values, honest allowances, readable formulas, errors in words."""

from __future__ import annotations

import math
import random
import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from reference import RULES, RuleError
from reference.lowering.array import lower_to_arrays
from reference.lowering.ball import distance, exact_step, lower_to_balls
from reference.lowering.latex import step_latex, step_text, symbol_names
from reference.rounding import FACTOR, PRECISIONS
from reference.rule import Hyperparameter, Option, StateVariable, UpdateRule, unset_symbol
from verify.lanes import pool_of
from verify.program import POOL_SIZE
from verify.strategies import hyperparameters

CHOICES = [
    pytest.param(rule, options, id="-".join([rule.name, *(k for k, v in options.items() if v)]))
    for rule in RULES.values()
    for options in rule.choices()
]
LANES = 48


@st.composite
def inputs(draw, rule, options, dtype):
    """Every symbol of a step before it happens: hostile elements, any state the rule may be in."""
    values = dict(draw(hyperparameters(rule, {}, options)))
    pool = pool_of(dtype).double().numpy()

    def elements() -> np.ndarray:
        start = draw(st.integers(0, POOL_SIZE - LANES))
        return pool[start : start + LANES].copy()

    step = rule.step(options)
    values |= {"p": elements(), "g": elements(), "t": draw(st.sampled_from([1, 2, 3, 7, 50, 1000]))}
    for s in step.state:
        state = elements()
        if s.scalar:
            state = draw(st.sampled_from([1.0, 0.5, 0.3, 1e-3]))
        elif s.nonnegative:
            state = np.abs(state)
        values |= {s.name: state, "e_" + s.name: 0.0, "store_" + s.name: (FACTOR * 2.0**-53, 0.0)}
        if s.unset_at_first:
            values[unset_symbol(s.name).name] = draw(st.integers(0, 1))
    return values


def evaluate(step, values, dtype, carried=False):
    """Value and allowance of every output, as arrays."""
    unit = PRECISIONS[dtype]
    code = lower_to_arrays(step, carried, careful=True)
    with np.errstate(all="ignore"):
        results = code(np, FACTOR * unit.unit, FACTOR * unit.smallest, FACTOR * 2.0**-53, 0.0, unit.largest, values)
    return {
        name: (np.broadcast_to(value, LANES), np.broadcast_to(0.0 if error is None else error, LANES))
        for name, (value, error) in zip(step.outputs, results, strict=True)
    }


def exact(step, values, element, resolution):
    plain = {k: float(x[element]) if isinstance(x, np.ndarray) else x for k, x in values.items()}
    plain = {k: x for k, x in plain.items() if not k.startswith(("e_", "store_"))}
    return exact_step(step, plain, resolution)
