"""Symmetries: what is derived for known rules and for broken ones, and that the reference obeys it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from reference import RULES, Hyperparameter, Max, Option, StateVariable, UpdateRule, exp, sign, sqrt
from reference import symmetries as module
from reference.hyperparameters import LR, WEIGHT_DECAY
from reference.reductions import Mean, RowMean
from reference.symmetries import Symmetry, symmetries
from reference.walk import Walk
from tests.choices import STEPS


def of(kind: str, step) -> list[dict[str, int]]:
    """Symmetries of one kind that hold without a condition."""
    return [dict(s.exponents) for s in symmetries(step) if s.kind == kind and not s.zero]


# -- known rules ------------------------------------------------------------------------------

PARAMETER = {"p": 1, "lr": 1, "weight_decay": -1}
SCALINGS = {
    "gradient_descent": [{"g": 1, "lr": -1}, {"p": 1, "lr": 1}],
    "sgd": [{"g": 1, "momentum_buffer": 1, "lr": -1, "weight_decay": 1}, PARAMETER],
    "heavy_ball": [{"g": 1, "lr": -1}, {"p": 1, "momentum_buffer": 1, "lr": 1}],
    "adam": [{"g": 1, "exp_avg": 1, "exp_avg_sq": 2, "eps": 1, "weight_decay": 1}, PARAMETER],
    "adam_eps_hat": [{"g": 1, "exp_avg": 1, "exp_avg_sq": 2, "eps": 1, "weight_decay": 1}, PARAMETER],
    "adamw": [{"g": 1, "exp_avg": 1, "exp_avg_sq": 2, "eps": 1}, PARAMETER],
    "sparse_adam": [{"g": 1, "exp_avg": 1, "exp_avg_sq": 2, "eps": 1}, {"p": 1, "lr": 1}],
    "adamax": [{"g": 1, "exp_avg": 1, "exp_inf": 1, "eps": 1, "weight_decay": 1}, PARAMETER],
    "nadam": [{"g": 1, "exp_avg": 1, "exp_avg_sq": 2, "eps": 1, "weight_decay": 1}, PARAMETER],
    # before the variance is tractable a step grows with the gradient, afterwards it does not
    "radam": [PARAMETER],
    "adagrad": [{"g": 1, "sum": 2, "initial_accumulator_value": 2, "eps": 1, "weight_decay": 1}, PARAMETER],
    "adadelta": [{"g": 1, "square_avg": 2, "acc_delta": 2, "eps": 2, "lr": -1, "weight_decay": 1}, PARAMETER],
    # the momentum buffer sums normalised gradients
    "rmsprop": [{"g": 1, "square_avg": 2, "eps": 1, "weight_decay": 1}, PARAMETER],
    "rprop": [
        {"g": 1, "prev": 1},
        {"p": 1, "step_size": 1, "lr": 1, "step_size_min": 1, "step_size_max": 1},
    ],
    "asgd": [
        {"g": 1, "eta": -1, "lr": -1, "lambd": 1, "weight_decay": 1},
        {"p": 1, "eta": 1, "ax": 1, "lr": 1, "lambd": -1, "weight_decay": -1},
    ],
    "lion": [{"g": 1, "exp_avg": 1}, PARAMETER],
    # the local rate has the units of the parameter over those of the gradient, and is 1 where a norm is zero
    "lars": [
        {"g": 1, "lr": -1, "weight_decay": 1, "trust_coefficient": 1},
        {"p": 1, "momentum_buffer": 1, "lr": 1, "weight_decay": -1, "trust_coefficient": -1},
    ],
    "lars_lr_outside": [
        {"g": 1, "momentum_buffer": 1, "lr": -1, "weight_decay": 1, "trust_coefficient": 1, "eps": 1},
        {"p": 1, "lr": 1, "weight_decay": -1, "trust_coefficient": -1},
    ],
    "novograd": [{"g": 1, "exp_avg_sq": 2, "eps": 1}, PARAMETER],
    "muon": [{"g": 1, "momentum_buffer": 1, "eps": 1}, PARAMETER],
    "lamb": [{"g": 1, "exp_avg": 1, "exp_avg_sq": 2, "eps": 1}],
    "lamb_clamped": [{"g": 1, "exp_avg": 1, "exp_avg_sq": 2, "eps": 1}],
    # the relative step size has no units: eps2 is in those of the parameter
    "adafactor": [{"p": 1, "eps2": 1}],
    "adafactor_paper": [
        {"g": 1, "exp_avg_sq_row": 2, "exp_avg_sq_col": 2, "eps1": 2},
        {"p": 1, "exp_avg": 1, "eps2": 1, "weight_decay": -1},
        {"lr": 1},
    ],
    "came": [{"g": 1, "exp_avg_sq_row": 2, "exp_avg_sq_col": 2, "eps1": 2}, PARAMETER],
    "stable_adamw": [{"g": 1, "exp_avg": 1, "exp_avg_sq": 2, "eps": 1}, PARAMETER],
    "adamw_clipped": [{"g": 1, "exp_avg": 1, "exp_avg_sq": 2, "eps": 1}, PARAMETER],
    "cautious_adamw": [{"g": 1, "exp_avg": 1, "exp_avg_sq": 2, "eps": 1}, PARAMETER],
    "cautious_adamw_mean": [{"g": 1, "exp_avg": 1, "exp_avg_sq": 2, "eps": 1}, PARAMETER],
    "cautious_lion": [{"g": 1, "exp_avg": 1}, PARAMETER],
    "cautious_lion_mean": [{"g": 1, "exp_avg": 1}, PARAMETER],
    # one epsilon bounds the norms of parameter and gradient
    "sgdp": [{"g": 1, "p": 1, "momentum_buffer": 1, "eps": 1}],
    "adamp": [{"g": 1, "p": 1, "exp_avg": 1, "exp_avg_sq": 2, "lr": 1, "eps": 1, "weight_decay": -1}],
    "sgdw": [{"g": 1, "momentum_buffer": 1, "lr": -1, "weight_decay": 1}, PARAMETER],
    "sgdw_scheduled": [
        {"g": 1, "schedule": -1, "weight_decay": 1},
        {"p": 1, "momentum_buffer": 1, "schedule": 1, "weight_decay": -1},
        {"lr": 1, "schedule": -1, "weight_decay": 1},
    ],
    "aggmo": [
        {"g": 1, **dict.fromkeys(("momentum_buffer1", "momentum_buffer2", "momentum_buffer3"), 1)}
        | {"lr": -1, "weight_decay": 1},
        PARAMETER,
    ],
    "qhm": [{"g": 1, "momentum_buffer": 1, "lr": -1, "weight_decay": 1}, PARAMETER],
    "qhadam": [{"g": 1, "exp_avg": 1, "exp_avg_sq": 2, "eps": 1, "weight_decay": 1}, PARAMETER],
    "qhadam_weighted": [{"g": 1, "exp_avg": 1, "exp_avg_sq": 2, "eps": 1, "weight_decay": 1}, PARAMETER],
    # epsilon stands beside a square and beside its root
    "adabelief": [PARAMETER],
    "adabelief_eps_not_kept": [PARAMETER],
    "adabelief_rectified": [PARAMETER],
    # the final rate is that of SGD: it has the units of the parameter over those of the gradient
    "adabound": [
        {"g": 1, "exp_avg": 1, "exp_avg_sq": 2, "final_lr": -1, "eps": 1, "weight_decay": 1},
        {"p": 1, "base_lr": 1, "lr": 1, "final_lr": 1, "weight_decay": -1},
    ],
    "adabound_paper": [
        {"g": 1, "exp_avg": 1, "exp_avg_sq": 2, "final_lr": -1, "weight_decay": 1},
        {"p": 1, "lr": 1, "final_lr": 1, "weight_decay": -1},
    ],
    "yogi": [
        {"g": 1, "exp_avg": 1, "exp_avg_sq": 2, "eps": 1, "weight_decay": 1, "initial_accumulator": 2},
        PARAMETER,
    ],
    "yogi_corrected": [
        {"g": 1, "exp_avg": 1, "exp_avg_sq": 2, "eps": 1, "weight_decay": 1, "initial_accumulator": 2},
        PARAMETER,
    ],
    # the friction is a sigmoid of the gradient's change, which has a scale of its own
    "diffgrad": [PARAMETER],
    "diffgrad_eps_hat": [PARAMETER],
    "adan": [
        {"g": 1, "exp_avg": 1, "exp_avg_diff": 1, "exp_avg_sq": 2, "pre_grad": 1, "eps": 1},
        PARAMETER,
    ],
    "adan_paper": [
        {"g": 1, "exp_avg": 1, "exp_avg_diff": 1, "exp_avg_sq": 2, "pre_grad": 1, "eps": 1},
        PARAMETER,
    ],
    "ademamix": [{"g": 1, "exp_avg": 1, "exp_avg_slow": 1, "exp_avg_sq": 2, "eps": 1}, PARAMETER],
    "ademamix_scheduled": [{"g": 1, "exp_avg": 1, "exp_avg_slow": 1, "exp_avg_sq": 2, "eps": 1}, PARAMETER],
    # the momentum sums normalised gradients
    "adopt": [{"g": 1, "exp_avg_sq": 2, "eps": 1, "weight_decay": 1}, PARAMETER],
    "adopt_clipped": [{"g": 1, "exp_avg_sq": 2, "eps": 1, "weight_decay": 1}, PARAMETER],
    "tiger": [{"g": 1, "exp_avg": 1}, PARAMETER],
    # a cube root does not cancel the units of the gradient
    "madgrad": [
        {"g": 2, "s": 1, "grad_sum_sq": 3, "lr": -1, "eps": 1, "weight_decay": 2},
        {"p": 2, "s": 3, "grad_sum_sq": 3, "x0": 2, "lr": 3, "eps": 1, "weight_decay": -2},
    ],
    # epsilon is added to lr and to the cube root
    "madgrad_shifted": [{"g": 1, "p": 1, "s": 2, "grad_sum_sq": 3, "x0": 1, "lr": 1, "eps": 1}],
    # lr is in the weight of an iterate too
    "schedule_free_sgd": [{"g": 1, "p": 1, "z": 1}],
    "schedule_free_adamw": [{"g": 1, "exp_avg_sq": 2, "eps": 1}],
    "schedule_free_adamw_scaled": [{"g": 1, "exp_avg_sq": 2, "eps": 1}],
}
FLIPS = {
    "adafactor": {"g", "p"},
    "gradient_descent": {"g", "p"},
    "sgd": {"g", "p", "momentum_buffer"},
    "heavy_ball": {"g", "p", "momentum_buffer"},
    "adagrad": {"g", "p"},
    "adadelta": {"g", "p"},
    "rmsprop": {"g", "p", "momentum_buffer"},
    "rprop": {"g", "p", "prev"},
    "asgd": {"g", "p", "ax"},
    "novograd": {"g", "p", "exp_avg"},
    "muon": {"g", "p", "momentum_buffer"},
    "sgdp": {"g", "p", "momentum_buffer"},
    "lars": {"g", "p", "momentum_buffer"},
    "lars_lr_outside": {"g", "p", "momentum_buffer"},
    "sgdw": {"g", "p", "momentum_buffer"},
    "sgdw_scheduled": {"g", "p", "momentum_buffer"},
    "aggmo": {"g", "p", "momentum_buffer1", "momentum_buffer2", "momentum_buffer3"},
    "qhm": {"g", "p", "momentum_buffer"},
    "diffgrad": {"g", "p", "exp_avg", "previous_grad"},
    "diffgrad_eps_hat": {"g", "p", "exp_avg", "previous_grad"},
    "adan": {"g", "p", "exp_avg", "exp_avg_diff", "pre_grad"},
    "adan_paper": {"g", "p", "exp_avg", "exp_avg_diff", "pre_grad"},
    "ademamix": {"g", "p", "exp_avg", "exp_avg_slow"},
    "ademamix_scheduled": {"g", "p", "exp_avg", "exp_avg_slow"},
    "madgrad": {"g", "p", "s", "x0"},
    "madgrad_shifted": {"g", "p", "s", "x0"},
    "schedule_free_sgd": {"g", "p", "z"},
    "schedule_free_adamw": {"g", "p", "z"},
    "schedule_free_adamw_scaled": {"g", "p", "z"},
}
# the form min(max(x, -limit), limit) hides that it is odd
EVEN = {"adopt_clipped"}
# an element of another channel is not in its place
WITH_CHANNELS = {"sgdp", "adamp"}
CONDITIONS = {
    # its square is under one root, and itself under another
    "adafactor": [({"eps1"}, {"g": 1, "row_var": 2, "col_var": 2})],
    # without iterations there is no polynomial
    "muon": [({"steps"}, {"a": 1}), ({"steps"}, {"b": 1}), ({"steps"}, {"c": 1})],
    # without momentum there is no dampening, and without the schedule nothing to shape it
    "sgd": [({"momentum"}, {"dampening": 1})],
    "nadam": [({"beta1"}, {"momentum_decay": 1})],
    "asgd": [({"lr"}, {"alpha": 1}), ({"lambd"}, {"alpha": 1})],
    # with beta2 = 0 the variance is never tractable
    "radam": [
        ({"beta2"}, {"g": 1, "exp_avg": 1, "exp_avg_sq": 2, "lr": -1, "weight_decay": 1}),
        ({"beta2"}, {"eps": 1}),
    ],
    # Zeiler's invariance: steps have the units of the parameter, whatever those of the gradient
    "adadelta": [({"eps"}, {"g": 1, "square_avg": 2, "weight_decay": 1})],
    "sgdw": [({"momentum"}, {"dampening": 1})],
    "adabelief": [({"eps"}, {"g": 1, "exp_avg": 1, "exp_avg_var": 2, "weight_decay": 1})],
    "adabelief_eps_not_kept": [({"eps"}, {"g": 1, "exp_avg": 1, "exp_avg_var": 2, "weight_decay": 1})],
    "adabelief_rectified": [
        ({"beta2"}, {"g": 1, "exp_avg": 1, "exp_avg_var": 2, "lr": -1, "eps": 2, "weight_decay": 1})
    ],
    "sgdp": [({"eps"}, {"g": 1, "momentum_buffer": 1, "lr": -1, "weight_decay": 1})],
    "adamp": [({"eps"}, {"g": 1, "exp_avg": 1, "exp_avg_sq": 2})],
    "madgrad_shifted": [({"eps"}, {"g": 2, "s": 1, "grad_sum_sq": 3, "lr": -1, "weight_decay": 2})],
    # with equal weights the units of lr do not matter
    "schedule_free_sgd": [({"weight_lr_power"}, {"g": 1, "lr_max": -1, "lr": -1, "weight_decay": 1})],
    "schedule_free_adamw": [({"weight_lr_power"}, {"p": 1, "lr_max": 1, "z": 1, "lr": 1, "weight_decay": -1})],
    "schedule_free_adamw_scaled": [({"weight_lr_power"}, {"p": 1, "lr_max": 1, "z": 1, "lr": 1, "weight_decay": -1})],
}
# a point of their own moves with the parameter: an average of iterates, the start, the iterate z
# and its norm does not move with it
ANCHORED = {
    "adafactor",
    "adafactor_paper",
    "sgdp",
    "adamp",
    "lars",
    "lars_lr_outside",
    "lamb",
    "lamb_clamped",
    "asgd",
    "madgrad",
    "madgrad_shifted",
    "schedule_free_sgd",
    "schedule_free_adamw",
    "schedule_free_adamw_scaled",
}


@pytest.mark.parametrize("name", RULES)
def test_scalings_of_known_rules(name):
    assert of("scaling", RULES[name].step()) == SCALINGS[name]


@pytest.mark.parametrize("name", RULES)
def test_signs_of_known_rules(name):
    flips = [] if name in EVEN else [FLIPS.get(name, {"g", "p", "exp_avg"})]
    assert [set(s) for s in of("sign", RULES[name].step())] == flips


@pytest.mark.parametrize("name", RULES)
def test_conditions_of_known_rules(name):
    found = [s for s in symmetries(RULES[name].step()) if s.zero and s.kind != "translation"]
    assert all(s.kind == "scaling" for s in found)
    assert [(set(s.zero), s.exponents) for s in found] == CONDITIONS.get(name, [])


@pytest.mark.parametrize("name", RULES)
def test_translations_of_known_rules(name):
    found = [s for s in symmetries(RULES[name].step()) if s.kind == "translation"]
    has_decay = any(h.name == "weight_decay" for h in RULES[name].hyperparameters)
    zero = [] if name in ANCHORED else [{"weight_decay"}] if has_decay else [set()]
    assert [set(s.zero) for s in found] == zero
    assert all(s.exponents == {"p": 1} for s in found)


@pytest.mark.parametrize("step", STEPS)
def test_every_choice_of_options_has_all_kinds(step):
    found = symmetries(step)
    # a permutation of its elements is another matrix, or takes elements to other channels
    of_axes = any(a.expression.has(RowMean) for a in step.assignments) or step.rule.name in WITH_CHANNELS
    assert of("permutation", step) == ([] if of_axes or step.has_matrices else [{}])
    assert bool(of("sign", step)) == (step.rule.name not in EVEN)
    assert of("scaling", step)
    assert symmetries(step) is found


def test_options_matter():
    adam = RULES["adam"]
    coupled, decoupled = (of("scaling", adam.step({"decoupled_weight_decay": on}))[0] for on in (False, True))
    assert coupled == {**decoupled, "weight_decay": 1}
    assert of("scaling", adam.step({"amsgrad": True}))[0] == {**coupled, "max_exp_avg_sq": 2}
    centered = RULES["rmsprop"].step({"centered": True})
    assert of("scaling", centered)[0]["grad_avg"] == 1
    assert "grad_avg" in of("sign", centered)[0]


def test_sentences():
    sentences = [s.sentence() for s in symmetries(RULES["adamw"].step())]
    assert sentences == [
        "multiplying g, exp_avg and eps by c and exp_avg_sq by c^2 changes nothing else",
        "multiplying p and lr by c and weight_decay by c^-1 changes nothing else",
        "flipping the sign of g, p and exp_avg changes nothing else",
        "with weight_decay = 0, adding a constant to p adds it to the result and changes nothing else",
        "permuting the elements permutes the results and changes nothing else",
    ]


# -- other rules ------------------------------------------------------------------------------


def rule(equations, **more) -> UpdateRule:
    """A rule with ``lr`` and ``weight_decay``, or what else is said."""
    kept = {"hyperparameters": (LR, WEIGHT_DECAY)} | more
    return UpdateRule("mine", "mine", "none", lambda v, options: equations(v), **kept)


def test_epsilon_inside_the_root_scales_like_a_square():
    def equations(v, options):
        m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * v.g)
        s = v.let("exp_avg_sq", v.beta2 * v.exp_avg_sq + (1 - v.beta2) * v.g**2)
        v.let("p", v.p - v.lr * m / (1 - v.beta1**v.t) / sqrt(s / (1 - v.beta2**v.t) + v.eps))

    wrong = replace(RULES["adam"], equations=equations, options=(Option("amsgrad"),), _steps={})
    assert of("scaling", wrong.step())[0] == {"g": 1, "exp_avg": 1, "exp_avg_sq": 2, "eps": 2}


def test_a_constant_added_to_the_gradient_breaks_its_symmetries():
    step = rule(lambda v: v.let("p", v.p - v.lr * (v.g + v.weight_decay * v.p + 1))).step()
    assert of("scaling", step) == [PARAMETER]
    assert of("sign", step) == []
    assert [s.zero for s in symmetries(step) if s.kind == "translation"] == [{"weight_decay"}]


def test_a_constant_epsilon_breaks_the_scaling_of_the_gradient():
    step = rule(lambda v: v.let("p", v.p - v.lr * v.g / (abs(v.g) + 1e-8))).step()
    assert of("scaling", step) == [{"p": 1, "lr": 1}, {"weight_decay": 1}]
    assert of("sign", step) == [{"g": 1, "p": 1}]


@pytest.mark.parametrize(
    ("change", "scalings", "signs"),
    [
        (lambda v: sympy.tanh(v.g), [{"p": 1, "lr": 1}], [{"g": 1, "p": 1}]),
        (lambda v: exp(v.g), [{"p": 1, "lr": 1}], []),
        (lambda v: sign(v.g), [{"g": 1}, {"p": 1, "lr": 1}], [{"g": 1, "p": 1}]),
        (lambda v: v.g**2, [{"g": 1, "lr": -2}, {"p": 1, "lr": 1}], [{"g": 1}]),
        (lambda v: v.g**3, [{"g": 1, "lr": -3}, {"p": 1, "lr": 1}], [{"g": 1, "p": 1}]),
        # only whole exponents, in the root as well
        (lambda v: sqrt(abs(v.g)), [{"g": 2, "lr": -1}, {"p": 1, "lr": 1}], [{"g": 1}]),
        (
            lambda v: sqrt(v.weight_decay) * v.g,
            [{"g": 1, "weight_decay": -2}, {"p": 1, "weight_decay": 2}, {"lr": 1, "weight_decay": -2}],
            [{"g": 1, "p": 1}],
        ),
        (lambda v: Max(v.g, 0), [{"g": 1, "lr": -1}, {"p": 1, "lr": 1}], []),
        (lambda v: abs(v.g) ** v.t, [{"p": 1, "lr": 1}], [{"g": 1}]),
        (lambda v: sympy.Piecewise((v.g, v.g > 1), (0, True)), [{"p": 1, "lr": 1}], []),
        (lambda v: sympy.Piecewise((v.g, v.g**2 > v.p**2), (0, True)), [{"g": 1, "p": 1}], [{"g": 1, "p": 1}]),
    ],
)
def test_degrees_of_functions(change, scalings, signs):
    step = rule(lambda v: v.let("p", v.p - v.lr * change(v))).step()
    assert [s for s in of("scaling", step) if s != {"weight_decay": 1}] == scalings
    assert of("sign", step) == signs


def test_initial_values_take_part():
    def equations(v):
        v.let("p", v.p - v.let("s", v.s / 2 + v.g))

    def scalings(initial):
        return of("scaling", rule(equations, state=(StateVariable("s", initial=initial),)).step())

    assert scalings(0.0) == [{"g": 1, "p": 1, "s": 1}, {"lr": 1}, {"weight_decay": 1}]
    assert scalings(1.0) == [{"lr": 1}, {"weight_decay": 1}]
    assert scalings("lr") == [{"g": 1, "p": 1, "s": 1, "lr": 1}, {"weight_decay": 1}]


def test_whole_numbers_are_not_scaled():
    hyperparameters = (LR, Hyperparameter("count", 1, low=1, integer=True))
    step = rule(lambda v: v.let("p", v.p - v.lr / v.count * v.g), hyperparameters=hyperparameters).step()
    assert of("scaling", step) == [{"g": 1, "lr": -1}, {"p": 1, "lr": 1}]


def test_a_variable_may_be_assigned_twice():
    def equations(v):
        v.let("s", v.weight_decay * v.g)
        v.let("p", v.p - v.lr * v.let("s", v.g + v.s))

    step = rule(equations, state=(StateVariable("s"),)).step()
    assert of("scaling", step) == [{"g": 1, "s": 1, "lr": -1}, {"p": 1, "lr": 1}, {"weight_decay": 1}]
    assert of("sign", step) == [{"g": 1, "p": 1, "s": 1}]


def test_a_translation_may_need_two_zeros():
    hyperparameters = (LR, WEIGHT_DECAY, Hyperparameter("pull", 0.0))
    step = rule(
        lambda v: v.let("p", v.p - v.lr * (v.g + v.weight_decay * v.p + v.pull * sign(v.p))),
        hyperparameters=hyperparameters,
    ).step()
    assert [s.zero for s in symmetries(step) if s.kind == "translation"] == [{"weight_decay", "pull"}]


def test_a_translation_is_seen_through_fractions():
    step = rule(lambda v: v.let("p", (v.p + v.let("ahead", v.p - v.lr * v.g)) / 2)).step()
    assert of("translation", step) == [{"p": 1}]


def test_unknown_functions_have_no_symmetry():
    middle = sympy.Function("middle", real=True)
    assert symmetries(rule(lambda v: v.let("p", v.p - v.lr * middle(v.g))).step()) == ()


def test_a_mean_commutes_with_permutations_and_a_mean_of_rows_does_not():
    for mean, kinds in ((Mean, [{}]), (RowMean, [])):
        step = rule(lambda v, mean=mean: v.let("p", v.p - v.lr * mean(v.g))).step()
        assert of("permutation", step) == kinds
        assert of("scaling", step)[:2] == [{"g": 1, "lr": -1}, {"p": 1, "lr": 1}]


# -- verification -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        Symmetry("scaling", {"g": 1}),
        Symmetry("scaling", {"g": 1, "exp_avg": 1, "exp_avg_sq": 1, "eps": 1, "weight_decay": 1}),
        Symmetry("scaling", {"g": 1, "exp_avg": 1, "exp_avg_sq": 2, "eps": 2}, frozenset({"weight_decay"})),
        Symmetry("scaling", {"beta1": 1}),
        Symmetry("sign", {"g": 1, "exp_avg": 1}),
        Symmetry("translation", {"p": 1}),
    ],
)
def test_verification_refuses(wrong):
    assert not module._holds(RULES["adam"].step(), wrong)


def test_verification_knows_initial_values():
    assert not module._holds(RULES["nadam"].step(), Symmetry("scaling", {"mu_product": 1}))
    assert not module._holds(RULES["rprop"].step(), Symmetry("scaling", {"lr": 1}))


@pytest.mark.parametrize("step", STEPS)
def test_nothing_that_was_derived_needs_to_be_refused(step, monkeypatch):
    verified = symmetries(step)
    monkeypatch.setattr(module, "_holds", lambda step, symmetry: True)
    assert symmetries.__wrapped__(step) == verified


# -- the reference obeys them -----------------------------------------------------------------

LANES = 4
# multiples of 2^-10 to which a whole number can be added without rounding
NUMBERS = st.lists(st.integers(-4096, 4096).map(lambda k: k / 1024), min_size=LANES, max_size=LANES).map(np.array)


def transformed(symmetry: Symmetry, values: dict, power: int) -> dict:
    """Values under the symmetry with c = 2^power."""
    exponents = symmetry.exponents
    if symmetry.kind == "permutation":
        return {k: np.roll(v, power) for k, v in values.items()}
    if symmetry.kind == "translation":
        return {k: v + power * exponents.get(k, 0) for k, v in values.items()}
    c = 2.0**power if symmetry.kind == "scaling" else -1.0
    return {k: v * c ** exponents.get(k, 0) for k, v in values.items()}


def has_odd_root(step) -> bool:
    """Whether there is a root in it other than a square root."""
    powers = {power for a in step.assignments for power in a.expression.atoms(sympy.Pow)}
    return any(p.exp.is_Rational and p.exp.q > 2 for p in powers)


@pytest.mark.parametrize("step", STEPS)
@settings(max_examples=25)
@given(data=st.data())
def test_the_reference_obeys(step, data):
    symmetry = data.draw(st.sampled_from(symmetries(step)), "symmetry")
    power = data.draw(st.integers(1, 6) | st.integers(-6, -1), "power")
    trials = {h.name: data.draw(st.sampled_from(h.trials), h.name) for h in step.rule.hyperparameters}
    hyperparameters = trials | dict.fromkeys(symmetry.zero, 0.0)
    image = hyperparameters if symmetry.kind == "permutation" else transformed(symmetry, hyperparameters, power)
    walk, other = Walk(step.rule, step.options), Walk(step.rule, step.options)
    shape = (2, 2) if step.options.get("factored") or step.has_matrices else (LANES,)
    for _ in range(4):
        inputs = {name: data.draw(NUMBERS, name).reshape(shape) for name in ("p", "g")}
        results = {"p": walk.step(**inputs, hyperparameters=hyperparameters), **walk.state}
        got = {"p": other.step(**transformed(symmetry, inputs, power), hyperparameters=image), **other.state}
        want = transformed(symmetry, results, power)
        if symmetry.kind == "translation":  # sums round; an allowance that is no number bounds nothing
            assert not np.any(np.abs(got.pop("p") - want.pop("p")) > walk.allowance + other.allowance)
        if symmetry.kind == "permutation" and not step.is_elementwise:  # sums in another order round otherwise
            assert not np.any(np.abs(got["p"] - want.pop("p")) > walk.allowance + other.allowance)
            other.state, want = dict(want), {}
        # a cube root of a scaled number is not the scaled root to the last bit, nor singular vectors those of -X
        if "p" in want and (has_odd_root(step) or step.has_matrices):
            assert not np.any(np.abs(got["p"] - want.pop("p")) > 2 * other.allowance)  # both have been rounded
        for name in want:
            np.testing.assert_array_equal(got[name], want[name], err_msg=name)
