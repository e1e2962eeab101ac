"""Every step of every derivation, and that a wrong one would be seen."""

from __future__ import annotations

import time

import pytest
import sympy

from reference import RULES, RuleError, derivation
from reference.derivations import DERIVED, DerivationStep

STEPS = [
    pytest.param(step, id=f"{name}-{number}")
    for name in DERIVED
    for number, step in enumerate(derivation(name), start=1)
]


@pytest.mark.parametrize("step", STEPS)
def test_step_holds(step: DerivationStep):
    assert step.holds(), f"{step.text}:\n{step.left}\n!=\n{step.right}"
