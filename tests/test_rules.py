"""The rules: every choice of options builds, and each computes what its torch class computes."""

from __future__ import annotations

import importlib
import inspect
import itertools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import sympy
import torch

from reference import (
    RULES,
    Hyperparameter,
    RuleError,
    get_rule,
    load_rule,
    rule_for_torch_class,
)
from reference.quasi_newton import QUASI_NEWTON
from reference.rule import unset_symbol
from reference.walk import Walk

CHOICES = [
    pytest.param(rule, dict(options), id="-".join([rule.name, *(k for k, v in options.items() if v)]))
    for rule in RULES.values()
    for options in rule.choices()
]
# torch.optim.AdamW has no switch for its decoupling: it is always on; Muon's elements are no lanes, and it rounds them
# to bfloat16: see test_matrices.py
CLAIMED = [
    c
    for c in CHOICES
    if c.values[0].torch
    and c.values[0].is_elementwise
    and (c.values[0].name != "adamw" or c.values[1]["decoupled_weight_decay"])
]


# -- the registry -----------------------------------------------------------------------------


def test_names_and_order():
    assert ", ".join(RULES) == (
        "gradient_descent, sgd, heavy_ball, adam, adam_eps_hat, adamw, sparse_adam, adamax, nadam, radam, "
        "adagrad, adadelta, rmsprop, rprop, asgd, lion, "
        "sgdw, sgdw_scheduled, aggmo, qhm, qhadam, qhadam_weighted, adabelief, adabelief_eps_not_kept, "
        "adabelief_rectified, adabound, adabound_paper, yogi, yogi_corrected, diffgrad, diffgrad_eps_hat, adan, "
        "adan_paper, ademamix, ademamix_scheduled, adopt, adopt_clipped, tiger, madgrad, madgrad_shifted, "
        "schedule_free_sgd, schedule_free_adamw, schedule_free_adamw_scaled, "
        "lars, lars_lr_outside, lamb, lamb_clamped, novograd, adafactor, adafactor_paper, came, muon, "
        "stable_adamw, adamw_clipped, "
        "cautious_adamw, cautious_adamw_mean, cautious_lion, cautious_lion_mean, "
        "sgdp, adamp"
    )
    assert all(name == rule.name for name, rule in RULES.items())


@pytest.mark.parametrize(("rule", "options"), CHOICES)
def test_every_choice_of_options_builds(rule, options):
    step = rule.step(options)
    assert step.outputs[-1] == "p"
    for name in step.outputs:
        assert not step.solved(name).free_symbols & {a.symbol for a in step.assignments}
    for variable in step.state:
        if variable.scalar:
            assert step.is_scalar[step.new_symbol(variable.name)]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_hyperparameters_are_in_their_domains(rule):
    for h in rule.hyperparameters:
        assert h.contains(h.default), h
        assert h.trials, h
        assert all(h.contains(x) for x in h.trials), h
        assert h.absent is None or h.contains(h.absent), h
    for options in rule.choices():
        rows = itertools.product(*(h.trials[:2] for h in rule.hyperparameters))
        values = [dict(zip(rule.defaults, row, strict=True)) for row in rows]
        assert any(rule.constraint(v, options) for v in values)
    assert rule.constraint(rule.defaults, rule.step().options)


def test_every_elementwise_torch_class_has_one_rule():
    others = {"Optimizer", "LBFGS"}  # LBFGS has one of whole calls
    for name in set(torch.optim.__all__) - others:
        found = getattr(torch.optim, name)
        if isinstance(found, type):
            rule = rule_for_torch_class(f"torch.optim.{name}")
            assert rule is not None, name
            assert [r for r in RULES.values() if f"torch.optim.{name}" in r.torch] == [rule]
    assert rule_for_torch_class("torch.optim.LBFGS") is QUASI_NEWTON["lbfgs"]


@pytest.mark.parametrize("rule", [r for r in RULES.values() if r.torch], ids=lambda r: r.name)
def test_defaults_and_arguments_are_torchs(rule):
    group = _build(rule, {}, {})[0].param_groups[0]
    for h in rule.hyperparameters:
        key, index = _argument(h)
        default = group[key] if index is None else group[key][index]
        assert default in (h.default, None if any(o.as_none for o in rule.options) else h.default)
    for option in rule.options:
        if option.name in group:
            assert group[option.name] == option.default


# -- against torch ----------------------------------------------------------------------------

GRADIENTS = (
    (0.75, -1.5, 0.0, 2.0**-9),
    (-0.25, -0.625, 1.0, -3.0),
    (0.0, 1.25, 1.0, -2.5),
    (1.5, 0.375, -2.0, 0.125),
    (1.0, 0.5, -0.0625, 0.0),
    (-2.0, 0.25, -0.5, 1.0),
    (-0.125, -1.0, 3.0, 0.25),
)
START = (1.0, -0.375, 2.5, -0.03125)
# Wilder hyperparameters than the trials give, where a rule has something to show for them.
EXTRA = {
    "sgd": [{"momentum": 0.0, "dampening": 0.5}, {"dampening": 0.0, "momentum": 1.0}],
    "radam": [{"beta2": 0.99}, {"beta2": 0.9, "beta1": 0.0}],
    "asgd": [{"t0": 0.0, "alpha": 1.0}, {"t0": 2.5}, {"t0": 1e6}],
    "rprop": [{"step_size_max": 0.4, "eta_plus": 2.0}, {"lr": 0.001}],
    "nadam": [{"momentum_decay": 0.0}, {"beta1": 0.0}],
    "rmsprop": [{"momentum": 0.0}, {"momentum": 1.0, "alpha": 0.0, "eps": 1e-4}],
    "adadelta": [{"eps": 1e-6}],
    "adagrad": [{"initial_accumulator_value": 1.0, "lr_decay": 0.0}],
}


@pytest.fixture
def double_scalars():
    """Scalar state tensors (step, mu_product, eta, mu) take the default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def _argument(h: Hyperparameter) -> tuple[str, int | None]:
    key, bracket, index = (h.arguments[0] if h.arguments else h.name).partition("[")
    return key, int(index[:-1]) if bracket else None


def _build(rule, values, options):
    module, _, name = rule.torch[0].rpartition(".")
    shape = (2, 2) if rule.dimensions == 2 else (4,)
    p = torch.tensor(START, dtype=torch.float64).reshape(shape).requires_grad_()
    made = {o.name: ((o.arguments or (o.name,))[0], o.values) for o in rule.options}
    arguments: dict = {made[name][0]: made[name][1][on] for name, on in options.items()}
    if rule.name == "adamw":
        arguments.pop("decoupled_weight_decay", None)
    for h in rule.hyperparameters:
        if h.name in values:
            key, index = _argument(h)
            if index is None:
                arguments[key] = values[h.name]
            else:
                arguments[key] = (*arguments.get(key, ()), values[h.name])
    made = getattr(importlib.import_module(module), name)
    if "foreach" in inspect.signature(made).parameters:
        arguments["foreach"] = False
    return made([p], **arguments), p


def _settings(rule, options):
    """A few choices of hyperparameters: the first, second and mixed trials, zeros, and extras."""
    columns = [[h.trials[i % len(h.trials)] for i in range(3)] for h in rule.hyperparameters]
    names = [h.name for h in rule.hyperparameters]
    settings = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    settings += [settings[i % 2] | extra for i, extra in enumerate(EXTRA.get(rule.name, []))]
    if options.get("nesterov"):
        settings = [s | {"dampening": 0.0} for s in settings]
    if options.get("centered"):
        # at alpha = 0 the variance is g^2 - g^2, which float64 need not make zero
        settings = [s for s in settings if s["alpha"] > 0]
    step = rule.step(options)
    return [s for s in settings if rule.constraint(s, step.options)]


def _edit(group, rule, values) -> None:
    for h in rule.hyperparameters:
        key, index = _argument(h)
        if index is None:
            group[key] = values[h.name]
        else:
            group[key] = tuple(values[h.name] if i == index else x for i, x in enumerate(group[key]))


class Exact:
    """A rule evaluated with 40 digits on one element, from sympy's own arithmetic."""

    def __init__(self, rule, values, options, start):
        self.step = rule.step(options)
        self.set(values)
        self.p = sympy.Rational(start)
        self.state = {
            s: sympy.Rational(values[s.initial] if isinstance(s.initial, str) else s.initial) for s in self.step.state
        }
        self.unset = {s.name for s in self.step.state}
        self.count = 0

    def set(self, values) -> None:
        hyperparameters = self.step.rule.hyperparameters
        self.values = {h.symbol: sympy.Rational(values[h.name]) for h in hyperparameters}
        self.kept = {s.name for s in self.step.state if s.needs is None or values[s.needs] != 0}

    def feed(self, gradient: float) -> None:
        self.count += 1
        if self.step.rule.lazy and not gradient:
            return  # a zero has no entry in a sparse gradient
        known = dict(self.values)
        known |= {s.symbol: value for s, value in self.state.items()}
        known |= {unset_symbol(s.name): sympy.Integer(s.name in self.unset) for s in self.state}
        known[sympy.Symbol("p", real=True)] = self.p
        known[sympy.Symbol("g", real=True)] = sympy.Rational(gradient)
        known[sympy.Symbol("t", integer=True, positive=True)] = sympy.Integer(self.count)
        for a in self.step.assignments:
            # a literal such as 0.96 means the double that a program would hold
            literals = {f: sympy.Rational(f) for f in a.expression.atoms(sympy.Float)}
            value = a.expression.xreplace(literals).xreplace(known).evalf(40)
            assert value.is_finite, (a.name, value)
            known[a.symbol] = sympy.Rational(value)
        self.p = known[self.step.new_symbol("p")]
        self.state = {s: known[self.step.new_symbol(s.name)] for s in self.state}
        self.unset -= self.kept


def _difference(exact, got: float) -> float:
    return float(abs(exact - sympy.Rational(got)) / max(1, abs(exact)))


@pytest.mark.parametrize(("rule", "options"), CLAIMED)
def test_rule_is_what_torch_computes(rule, options, double_scalars):
    compare_with_torch(rule, options)


def compare_with_torch(rule, options, edits=None):
    settings = _settings(rule, options)[: 2 if edits else None]
    assert settings
    for values in settings:
        optimizer, p = _build(rule, values, options)
        lanes = [Exact(rule, values, options, x) for x in START]
        for number, gradient in enumerate(GRADIENTS, start=1):
            if edits and number in edits:
                values = values | edits[number]
                _edit(optimizer.param_groups[0], rule, values)
                for lane in lanes:
                    lane.set(values)
            p.grad = torch.tensor(gradient, dtype=torch.float64)
            p.grad = p.grad.to_sparse() if rule.lazy else p.grad
            optimizer.step()
            state = optimizer.state[p]
            for i, lane in enumerate(lanes):
                lane.feed(gradient[i])
                where = values, lane.count, i
                assert _difference(lane.p, p[i].item()) < 1e-12, where
                assert lane.kept <= set(state)
                for s, exact in lane.state.items():
                    if s.name in lane.kept:
                        got = state[s.name] if s.scalar else state[s.name][i]
                        assert _difference(exact, got.item()) < 1e-12, (s.name, where)


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("eps1", [None, 0.05])
@pytest.mark.parametrize("shape", [(7,), (), (3, 5), (2, 3, 4)], ids=str)
def test_adafactor_is_what_torch_computes(shape, eps1, maximize):
    generator = torch.Generator().manual_seed(5)

    def numbers() -> torch.Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    p = numbers().requires_grad_()
    settings = dict(lr=0.4, beta2_decay=-0.7, d=1.25, weight_decay=0.1)
    optimizer = torch.optim.Adafactor([p], eps=(eps1, 0.3), maximize=maximize, foreach=False, **settings)
    walk = Walk(RULES["adafactor"], {"eps1_of_dtype": eps1 is None, "maximize": maximize})
    for _ in range(5):
        before = p.detach().numpy().copy()
        p.grad = numbers()
        optimizer.step()
        exact = walk.step(before, p.grad.numpy(), settings | {"eps1": eps1 or 0.0, "eps2": 0.3})
        assert np.all(np.abs(p.detach().numpy() - exact) <= walk.allowance)
        assert np.all(walk.allowance < 1e-13)


EDITS = [
    ("sgd", {3: {"momentum": 0.0}, 5: {"momentum": 0.5}}),
    ("sgd", {1: {"momentum": 0.0}, 3: {"momentum": 0.9}}),
    ("sgd", {3: {"lr": 0.25}, 4: {"dampening": 0.25}}),
    ("rmsprop", {3: {"momentum": 0.0}, 5: {"momentum": 0.5}}),
    ("adam", {3: {"beta1": 0.25, "lr": 0.125}, 5: {"beta2": 0.25}}),
    ("nadam", {3: {"beta1": 0.25, "momentum_decay": 0.125}}),
    ("radam", {3: {"beta2": 0.99}}),
    ("asgd", {3: {"lr": 0.25}, 5: {"t0": 0.0, "lambd": 0.25}}),
    ("rprop", {3: {"lr": 0.25}, 4: {"eta_plus": 2.0}}),
    ("adagrad", {3: {"lr": 0.25, "initial_accumulator_value": 1.0}}),
]


@pytest.mark.parametrize(("name", "edits"), EDITS, ids=lambda x: x if isinstance(x, str) else "")
def test_edits_take_effect_as_in_torch(name, edits, double_scalars):
    compare_with_torch(RULES[name], dict(RULES[name].step().options), edits)


def test_the_comparison_sees_a_wrong_rule(double_scalars):
    """Epsilon inside the root, as a check of the comparison itself."""
    adagrad = get_rule("adagrad")

    def equations(v, options):
        g = (-v.g if options.maximize else v.g) + v.weight_decay * v.p
        s = v.let("sum", v.sum + g**2)
        v.let("p", v.p - v.lr / (1 + (v.t - 1) * v.lr_decay) * g / sympy.sqrt(s + v.eps))

    wrong = replace(adagrad, equations=equations, _steps={})
    with pytest.raises(AssertionError):
        compare_with_torch(wrong, {"maximize": False})


# -- rules of users ---------------------------------------------------------------------------

GOOD = """
from reference import Hyperparameter, Option, StateVariable, UpdateRule, sqrt

def equations(v, options):
    g = v.g if options.plain else v.g / (sqrt(v.g**2) + 1)
    m = v.let("m", v.m / 2 + g)
    v.let("p", v.p - v.lr * m)

MINE = UpdateRule(
    name="mine", title="mine", source="none", equations=equations,
    hyperparameters=(Hyperparameter("lr", 0.1),), state=(StateVariable("m"),),
    options=(Option("plain"),),
)
OTHER = 3
"""


def test_load_a_known_rule():
    assert load_rule("adam") is get_rule("adam") is RULES["adam"]


def test_load_a_users_rule(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(GOOD)
    rule = load_rule(f"{file}:MINE")
    assert rule.name == "mine"
    assert rule.step({"plain": True}).outputs == ("m", "p")


def test_load_leaves_no_module_behind(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(GOOD)
    before = set(sys.modules)
    load_rule(f"{file}:MINE")
    assert set(sys.modules) - before <= {"reference.rules"}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("adm", "no rule is called 'adm'; did you mean 'adam'? (known: gradient_descent, sgd, "),
        ("AdamW", "no rule is called 'AdamW'; did you mean 'adamw'? (known: "),
        ("zzzz", "no rule is called 'zzzz' (known: gradient_descent, "),
        ("no/such.py:MINE", "there is no rule file 'no/such.py'"),
        ("no/such.py", "say which rule of 'no/such.py' is meant: no/such.py:NAME"),
    ],
)
def test_load_rule_messages_about_names(spec, message):
    with pytest.raises(RuleError) as error:
        load_rule(spec)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        ("x = 1\ny = = 2\n", "MINE", "rule file 'F' has a syntax error in line 2: invalid syntax"),
        ("x = 1\n  y = 2\n", "MINE", "rule file 'F' has a syntax error in line 2: unexpected in"),
        (GOOD, "MIME", "rule file 'F' has no 'MIME'; did you mean 'MINE'? (its rules: MINE)"),
        ("x = 1", "MINE", "rule file 'F' has no 'MINE' (it defines no UpdateRule)"),
        (GOOD, "OTHER", "'OTHER' in rule file 'F' is of type int, not UpdateRule"),
        (
            "def f():\n    return 1 / 0\nf()\n",
            "MINE",
            "rule file 'F' failed in line 2: ZeroDivisionError: division by zero",
        ),
        ("raise SystemExit(3)", "MINE", "rule file 'F' failed in line 1: SystemExit: 3"),
        ("import nonsense_", "MINE", "rule file 'F' failed in line 1: ModuleNotFoundError: No "),
        (
            GOOD.replace("v.lr * m", "v.lrr * m"),
            "MINE",
            "rule file 'F': rule 'mine' has no symbol 'lrr'; did you mean 'lr'?",
        ),
        (
            GOOD.replace("v.g / (sqrt", "v.gg / (sqrt"),
            "MINE",
            "rule file 'F': rule 'mine' has no symbol 'gg'; did you mean 'g'?",
        ),
        (
            GOOD.replace("v.g if options.plain", "v.g / [] if options.plain"),
            "MINE",
            "rule file 'F': the equations of rule 'mine' failed with plain=True in line 5: "
            "TypeError: unsupported operand",
        ),
        (
            GOOD.replace('v.let("m", v.m / 2 + g)', "v.m / 2 + g"),
            "MINE",
            "rule file 'F': rule 'mine' never assigns 'm'",
        ),
        (
            GOOD.replace('Option("plain")', 'Option("lr")'),
            "MINE",
            "rule file 'F' failed in line 9: RuleError: rule 'mine' uses the name 'lr' twice",
        ),
    ],
    ids=lambda x: None,
)
def test_load_rule_messages_about_files(tmp_path, source, name, message):
    file = tmp_path / "mine.py"
    file.write_text(source)
    with pytest.raises(RuleError) as error:
        load_rule(f"{file}:{name}")
    assert str(error.value).replace(str(file), "F").startswith(message)
    assert "\n" not in str(error.value)


# -- independence -----------------------------------------------------------------------------


def _modules_after(code: str) -> set[str]:
    code += "\nimport sys; print(*{m.partition('.')[0] for m in sys.modules})"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_reference_is_cheap():
    assert not {"sympy", "numpy", "torch", "verify"} & _modules_after("import reference")


def test_reference_uses_neither_torch_nor_verify():
    code = "from reference import *; from reference.derivations import DERIVED, derivation\n"
    code += "[derivation(name) for name in DERIVED]"
    assert not {"torch", "verify"} & _modules_after(code)


def test_unknown_attribute():
    import reference

    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        reference.nonsense  # noqa: B018
    assert set(reference.__all__) <= set(dir(reference))
