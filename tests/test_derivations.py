"""Every step of every derivation, and that a wrong one would be seen."""

from __future__ import annotations

import pytest
import sympy

from reference import RULES, RuleError, derivation
from reference.derivations import DERIVED, DerivationStep
from reference.derivations.tools import branch, run, simple_case, symbols_of
from reference.quasi_newton import QUASI_NEWTON
from reference.rule import Step

STEPS = [
    pytest.param(step, id=f"{name}-{number}")
    for name in DERIVED
    for number, step in enumerate(derivation(name), start=1)
]
beta1, beta2, lr = sympy.symbols("beta1 beta2 lr", nonnegative=True)
t = sympy.Symbol("t", integer=True, positive=True)


@pytest.mark.parametrize("step", STEPS)
def test_step_holds(step: DerivationStep):
    assert step.holds(), f"{step.text}:\n{step.left}\n!=\n{step.right}"


def test_every_rule_has_a_derivation():
    assert set(DERIVED) == set(RULES) | set(QUASI_NEWTON)


@pytest.mark.parametrize("name", DERIVED)
def test_texts_cite_and_are_different(name):
    texts = [step.text for step in derivation(name)]
    assert len(set(texts)) == len(texts)
    assert any(any(c.isdigit() for c in text) for text in texts)


@pytest.mark.parametrize("name", RULES)
def test_derivation_is_tied_to_the_rule(name, monkeypatch):
    """A rule whose parameter comes out otherwise no longer has this derivation."""
    solved = Step.solved

    def wrong(self, variable="p"):
        value = solved(self, variable)
        return value + sympy.Symbol("wrong", positive=True) if variable == "p" else value

    monkeypatch.setattr(Step, "solved", wrong)
    touched = [s for s in derivation(name) if "wrong" in f"{s.left} {s.right}"]
    assert touched
    assert not all(step.holds() for step in touched)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1 - beta1**t, 1 - beta1 ** (t + 1)),
        (sympy.sqrt(1 - beta2**t), 1 - beta2**t),
        (sympy.sqrt(lr + beta1), sympy.sqrt(lr) + beta1),
        # true at t = 1 alone, and for equal betas alone
        (beta1**t, beta1),
        (beta1**t, beta2**t),
    ],
)
def test_wrong_equations_do_not_hold(left, right):
    assert not DerivationStep("wrong", left, right).holds()


def test_bias_corrections_are_positive():
    m, s = sympy.symbols("m s", positive=True)
    corrected = m / sympy.sqrt(s / (1 - beta2**t))
    assert DerivationStep("", corrected, m * sympy.sqrt(1 - beta2**t) / sympy.sqrt(s)).holds()


def test_unknown_derivation():
    with pytest.raises(RuleError) as error:
        derivation("addam")
    message = "no derivation is called 'addam'; did you mean 'adam'? (known: gradient_descent, sgd"
    assert str(error.value).startswith(message)


def test_tools():
    rule = RULES["sgd"]
    v = symbols_of(rule)
    assert (v.lr, v.t) == (lr, t)
    assert simple_case(v.lr + v.p, lr=2, other=3) == v.p + 2
    assert branch(sympy.Piecewise((v.p, v.g > 0), (v.g, True)), -1) == v.g
    after = run(rule.step(), [1, 1], {"lr": 1, "momentum": 1, "dampening": 0, "weight_decay": 0})
    assert after == {"momentum_buffer": 2, "p": v.p - 3}
