"""Variants: they are there, they differ from their rule, and wrong optimizers are among them.

Run as a script to see which variant each wrong specimen follows:
python -m tests.test_variants [part of a name ...]
"""

from __future__ import annotations

import doctest
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import islice

import numpy as np
import pytest
import sympy
import torch

import reference.variants
from reference import RULES, Hyperparameter, StateVariable, UpdateRule, get_rule, load_rule
from reference.lowering.array import lower_to_arrays
from reference.lowering.ball import exact_step
from reference.rounding import FACTOR, PRECISIONS
from reference.rule import unset_symbol
from reference.variants import Variant, differs, pairs, resembles, variant, variants
from reference.walk import Walk
from tests.specimens import WRONG, Specimen
from tests.test_diagnosis import OTHER_RULES
from verify import Edit, Filling, Parameter, Program, Step, Subject, load, run_program
from verify.checks.programs import plainly
from verify.lanes import as_float64
from verify.oracle import LockStep

torch.set_num_threads(1)
EVERY = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
NAMES = {
    "adam": "epsilon.inside_root epsilon.inside_uncorrected_root epsilon.squared_inside epsilon.floor epsilon.hatted "
    "epsilon.before_correction epsilon.accumulates.exp_avg_sq correction.missing correction.late correction.early "
    "correction.frozen correction.compounding correction.missing.exp_avg correction.betas_swapped decay.decoupled "
    "decay.coupled decay.after_step decay.without_lr decay.wrong_sign decay.constant decay.ignored decay.not_in.exp_avg "
    "decay.scales_gradient option.ignored.amsgrad option.always.amsgrad option.ignored.maximize "
    "maximum.after_correction.max_exp_avg_sq history.not_kept.max_exp_avg_sq history.stored_root.max_exp_avg_sq "
    "moment.of_size.exp_avg_sq moment.of_plain.exp_avg_sq moment.undamped.exp_avg moment.betas_swapped "
    "initial.fresh.exp_avg step.wrong_sign step.twice.lr history.old.exp_avg_sq history.last_step",
    "adamw": "decay.after_step decay.coupled decay.without_lr decay.times_lr_twice decay.divided.exp_avg "
    "decay.only_with_gradient epsilon.inside_root",
    "adam_eps_hat": "epsilon.after_correction",
    "sgd": "momentum.first_dampened.momentum_buffer momentum.first_zero.momentum_buffer "
    "dampening.never.momentum_buffer nesterov.old.momentum_buffer nesterov.doubled.momentum_buffer "
    "step.inside.momentum_buffer momentum.average.momentum_buffer maximize.flips_decay maximize.flips_step",
    "heavy_ball": "step.outside.momentum_buffer history.upside_down.momentum_buffer",
    "lion": "moment.betas_swapped history.new.exp_avg sign.missing.p sign.zero_positive.p moment.becomes.exp_avg.interpolation",
    "rmsprop": "epsilon.inside_root correction.added.square_avg.alpha momentum.before_division.momentum_buffer "
    "option.ignored.centered variance.missing.denominator",
    "adagrad": "epsilon.inside_root epsilon.accumulates.sum count.offset.p.t-1.t initial.zero.sum",
    "adadelta": "epsilon.outside_root epsilon.missing.acc_delta step.inside.delta",
    "adamax": "epsilon.after.exp_inf correction.added.exp_inf.beta2 maximum.undecayed.exp_inf size.missing.exp_inf",
    "nadam": "product.newest.mu_product initial.zero.mu_product product.without.mu_ahead.p count.offset.mu_ahead.t+1.t",
    "radam": "condition.near.rho>5.-1 decay.decoupled root.missing.rectification."
    "rho_inf*(rho-4)*(rho-2)/(rho*(rho_inf-4)*(rho_inf-2))",
    "rprop": "hyperparameter.swapped.eta_minus.eta_plus maximum.unbounded.step_size",
    "asgd": "history.new.eta initial.for_ever.eta decay.after_step.lambd history.old.p",
}


# -- what there is ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_known_mistakes_are_among_the_variants(name):
    found = {v.name for v in variants(get_rule(name)) if v.named}
    assert set(NAMES[name].split()) <= found


@EVERY
def test_names_and_sentences_are_unique(rule):
    found = variants(rule)
    assert 20 <= len(found) <= reference.variants.registry.MOST
    assert len({v.name for v in found}) == len(found)
    assert len({v.sentence for v in found}) == len(found)
    named = [v.named for v in found]
    assert named == sorted(named, reverse=True), "known mistakes come first"
    for v in found:
        assert v.sentence.strip() == v.sentence
        assert not v.sentence.endswith(".")
        assert "' " not in v.sentence, "a new value is named in words"


@EVERY
def test_a_variant_has_the_interface_of_its_rule(rule):
    for v in variants(rule):
        assert v.rule.hyperparameters == rule.hyperparameters
        assert v.rule.options == rule.options
        assert [s.name for s in v.rule.state[: len(rule.state)]] == [s.name for s in rule.state]


def test_they_are_cached_and_found_by_name():
    adam = get_rule("adam")
    assert variants(adam) is variants(adam)
    found = variant(adam, "epsilon.inside_root")
    assert found.sentence == "epsilon is inside the square root"
    assert found.field == "F03"
    with pytest.raises(ValueError, match=r"no variant 'epsilon\.nowhere'"):
        variant(adam, "epsilon.nowhere")


def test_examples_in_docstrings():
    assert doctest.testmod(reference.variants).failed == 0


def test_a_rule_with_many_options_takes_seconds():
    fresh = replace(get_rule("adam"), _steps={})
    started = time.process_time()
    assert variants(fresh)
    assert time.process_time() - started < 5


# -- rules that nobody has seen ---------------------------------------------------------------------


def test_a_users_rule_gets_variants():
    found = {v.name: v.sentence for v in variants(load_rule("examples/signum.py:SIGNUM"))}
    for name in (
        "decay.coupled",
        "decay.after_step",
        "sign.missing.p",
        "moment.undamped.momentum_buffer",
        "option.ignored.maximize",
        "history.old.momentum_buffer",
    ):
        assert name in found
    assert found["sign.missing.p"] == "momentum_buffer itself is taken and not its sign, in the equation for p"


def _odd_equations(v, options):
    size = v.let("size", v.keep * v.size + (1 - v.keep) * v.g**2)
    v.let("p", v.p - v.pace * v.g / (sympy.sqrt(size) + v.fuzz) - v.pace * v.shrink * v.p)


ODD = UpdateRule(
    "odd",
    "an RMSprop whose names say nothing",
    "nowhere",
    _odd_equations,
    (
        Hyperparameter("pace", 0.1, trials=(0.5, 1.0)),
        Hyperparameter("keep", 0.9, high=1.0, trials=(0.5, 0.9)),
        Hyperparameter("fuzz", 0.1, trials=(0.1, 1.0)),
        Hyperparameter("shrink", 0.0, trials=(0.5, 0.1)),
    ),
    (StateVariable("size", nonnegative=True),),
)


def test_roles_are_read_off_the_form_and_not_off_names():
    found = {v.name for v in variants(ODD)}
    assert {
        "epsilon.inside_root",
        "epsilon.missing",
        "epsilon.accumulates.size",
        "correction.added.size.keep",
        "decay.coupled",
        "decay.after_step",
        "decay.without_lr",
        "moment.undamped.size",
        "moment.of_size.size",
        "step.twice.pace",
        "history.old.size",
        "initial.one.size",
    } <= found


def test_a_quantity_that_is_assigned_twice_has_no_variants():
    def equations(v, options):
        v.let("x", v.g)
        v.let("x", 2 * v.g)
        v.let("p", v.p - v.g)

    assert variants(UpdateRule("twice", "", "", equations)) == ()


# -- they differ ------------------------------------------------------------------------------


@EVERY
def test_variants_differ_from_their_rule_in_ball_arithmetic(rule):
    if not rule.is_elementwise:
        pytest.skip("one element of it is no whole; rule.power tells its variants apart")
    found = variants(rule)
    for v in found[:: 1 + len(found) // 25]:
        assert _apart(rule, v), v.name


def _settings(rule, options, number: int, seed: int = 0) -> Iterator[dict[str, float]]:
    rng = np.random.default_rng(seed)
    made = 0
    while made < number:
        values = {
            h.name: float(rng.choice([x for x in h.trials if h.contains(x)] or [h.default]))
            for h in rule.hyperparameters
        }
        if rule.constraint(values, options):
            made += 1
            yield values


def _apart(rule, v: Variant) -> bool:
    """Whether exact enclosures of one element differ, somewhere on a walk of the rule."""
    if v.rule.lazy != rule.lazy:
        return _apart_where_absent(rule, v)
    for options in rule.choices():
        step, other = rule.step(options), v.rule.step(options)
        if other.assignments == step.assignments:
            continue
        for seed, values in enumerate(_settings(rule, options, 32)):
            for known in _walk(rule, options, values, seed, other):
                if _differs_exactly(step, other, known):
                    return True
    return False


def _apart_where_absent(rule, v: Variant) -> bool:
    """Whether an element that sparse gradients do not always have is treated in another way."""
    fine = dict.fromkeys((*rule.step().outputs, *v.rule.step().outputs), 1e-30)
    known = {s.name: float(s.initial) for s in v.rule.state}
    known |= {**rule.defaults, "p": 1.0, "t": 3, "exp_avg": 0.5, "exp_avg_sq": 0.25}
    for g in (0.0, 1.0):
        here = {**known, "g": g, "g.entry": g}
        mine, its = exact_step(rule.step(), here, fine), exact_step(v.rule.step(), here, fine)
        if any(not mine[name].overlaps(its[name]) for name in mine):
            return True
    return False


def _walk(rule, options, values, seed: int, other) -> Iterator[dict]:
    """Symbols before every step of the rule, with what the variant remembers beside."""
    rng = np.random.default_rng(seed)
    walk = Walk(rule, options)
    p = rng.standard_normal(12)
    memory: dict = {}
    for t in range(1, 10):
        g = rng.standard_normal(12) * rng.choice([0.0, 1.0, 2.0**-9], 12)
        known = {**values, "p": p, "g": g, "t": t}
        for s in walk.rule_step.state:
            start = values[s.initial] if isinstance(s.initial, str) else s.initial
            known[s.name] = walk.state.get(s.name, start if s.scalar else np.full(12, float(start)))
            known[unset_symbol(s.name).name] = int(s.name not in walk.state)
        for s in other.state:
            known.setdefault(
                s.name, memory.get(s.name, np.full(12, float(0 if isinstance(s.initial, str) else s.initial)))
            )
        yield known
        results = _lowered(other, known)
        memory = {s.name: results[s.name] for s in other.state if s.name not in walk.state}
        p = walk.step(p, g, values)


def _lowered(step, known) -> dict:
    unit = PRECISIONS["float64"]
    stored = {f"store_{s.name}": (0.0, 0.0) for s in step.state}
    with np.errstate(all="ignore"):
        results = lower_to_arrays(step)(
            np, FACTOR * unit.unit, FACTOR * unit.smallest, FACTOR * 2.0**-53, 0.0, unit.largest, known | stored
        )
    return {n: value for n, (value, _) in zip(step.outputs, results, strict=True)}


def _differs_exactly(step, other, known) -> bool:
    mine, its = _lowered(step, known), _lowered(other, known)
    for name in step.outputs:
        needs = next((s.needs for s in step.state if s.name == name), None)
        with np.errstate(all="ignore"):
            gap = np.abs(np.broadcast_to(mine[name], 12) - its[name]) / (np.abs(mine[name]) + 1e-300)
        if (needs and known[needs] == 0) or not np.nanmax(gap, initial=0.0) > 1e-9:
            continue
        if (np.isfinite(mine[name]) & ~np.isfinite(its[name])).any():
            return True
        at = int(np.nanargmax(gap))
        one = {k: float(x[at]) if isinstance(x, np.ndarray) else x for k, x in known.items()}
        fine = dict.fromkeys({*step.outputs, *other.outputs}, 1e-30)
        if not exact_step(step, one, fine)[name].overlaps(exact_step(other, one, fine)[name]):
            return True
    return False


@EVERY
def test_variants_build_and_lower(rule):
    found = variants(rule)
    for v in found[:: 1 + len(found) // 40]:
        for options in islice(rule.choices(), 4):
            lower_to_arrays(v.rule.step(options))
            lower_to_arrays(v.rule.step(options), carried=True, careful=True)


def test_what_concerns_a_subject():
    adam = get_rule("adam")
    decay, floor = variant(adam, "decay.wrong_sign"), variant(adam, "epsilon.floor")
    assert differs(adam, decay.rule)
    assert not differs(adam, decay.rule, {"weight_decay": 0.0})
    assert differs(adam, floor.rule, {"weight_decay": 0.0}, ())
    amsgrad = variant(adam, "option.ignored.amsgrad")
    assert differs(adam, amsgrad.rule, switchable=("amsgrad",))
    assert not differs(adam, amsgrad.rule, switchable=("maximize",))
    assert not any(differs(v.rule, v.rule) for v in variants(get_rule("sgd"))[::10])


# -- what they compute, by hand ------------------------------------------------------------------

P, G = np.array([1.0, -0.5, 2.0]), np.array([0.25, -3.0, 0.0])
HYPER = dict(lr=0.5, beta1=0.5, beta2=0.75, eps=0.125, weight_decay=0.25)


def _walked(rule, gradients, hyper, options=None):
    walk, p = Walk(rule, options), P
    for g in gradients:
        p = walk.step(p, g, hyper)
    return p, walk.state


def _adam(
    gradients, eps=lambda s: np.sqrt(s) + 0.125, decay=lambda p, g: (p, g + 0.25 * p), largest=lambda top, s, c: s
):
    p, m, s, top = P, 0 * P, 0 * P, 0 * P
    for t, g in enumerate(gradients, 1):
        p, g = decay(p, g)
        m, s = 0.5 * m + 0.5 * g, 0.75 * s + 0.25 * g**2
        top = largest(top, s / (1 - 0.75**t), t)
        p = p - 0.5 * m / (1 - 0.5**t) / eps(top)
    return p


GRADIENTS = [G, -G, 0.5 * G + 1]


@pytest.mark.parametrize(
    ("name", "options", "by_hand"),
    [
        ("epsilon.inside_root", {}, dict(eps=lambda s: np.sqrt(s + 0.125))),
        ("epsilon.floor", {}, dict(eps=lambda s: np.maximum(np.sqrt(s), 0.125))),
        ("epsilon.squared_inside", {}, dict(eps=lambda s: np.sqrt(s + 0.125**2))),
        ("decay.decoupled", {}, dict(decay=lambda p, g: (p - 0.5 * 0.25 * p, g))),
        ("decay.scales_gradient", {}, dict(decay=lambda p, g: (p, g * (1 + 0.25 * p)))),
        ("decay.ignored", {}, dict(decay=lambda p, g: (p, g))),
        ("option.ignored.amsgrad", {"amsgrad": True}, {}),
        (
            "maximum.after_correction.max_exp_avg_sq",
            {"amsgrad": True},
            dict(largest=lambda top, s, t: np.maximum(top, s)),
        ),
    ],
)
def test_adam_by_hand(name, options, by_hand):
    p, _ = _walked(variant(get_rule("adam"), name).rule, GRADIENTS, HYPER, options)
    np.testing.assert_allclose(p, _adam(GRADIENTS, **by_hand), rtol=1e-13)


def test_the_last_step_is_remembered():
    rule = variant(get_rule("gradient_descent"), "history.last_step").rule
    p, state = _walked(rule, GRADIENTS, {"lr": 0.5})
    np.testing.assert_allclose(p, P - 0.5 * (GRADIENTS[0] + GRADIENTS[1]))
    np.testing.assert_allclose(state["last_step"], -0.5 * GRADIENTS[2])


def test_climbing_is_descending_mirrored():
    adam = get_rule("adam")
    for v in variants(adam)[:60]:
        if "maximize" in v.name:
            continue
        up, _ = _walked(v.rule, GRADIENTS, HYPER, {"maximize": True})
        down, _ = _walked(v.rule, [-g for g in GRADIENTS], HYPER)
        np.testing.assert_array_equal(up, down, err_msg=v.name)


# -- pairs --------------------------------------------------------------------------------------


def test_pairs_are_made_one_by_one():
    adam = get_rule("adam")
    first = list(islice(pairs(adam), 50))
    assert len({v.name for v in first}) == 50
    assert all("; and " in v.sentence for v in first)
    wanted = "epsilon.inside_root+decay.decoupled"
    found = next(v for v in islice(pairs(adam), 500) if v.name == wanted)
    p, _ = _walked(found.rule, GRADIENTS, HYPER)
    by_hand = _adam(GRADIENTS, eps=lambda s: np.sqrt(s + 0.125), decay=lambda p, g: (p - 0.5 * 0.25 * p, g))
    np.testing.assert_allclose(p, by_hand, rtol=1e-13)
    assert len(list(pairs(get_rule("gradient_descent"), most=7))) == 7


# -- wrong optimizers ---------------------------------------------------------------------------

# they hang or crash, round wrongly, or are wrong in what is no matter of one element's equations
NO_FORMULA = ("isolation", "storage", "precision")
NOT_ELEMENTWISE = {
    "adamw.DecaySparesVectors",
    "descent.DividesBySize",
    "rprop.PreviousIsGradient",
    "paths.ForeachDecaysAfterMomentum",
}
NUMERIC = [
    s
    for s in WRONG
    if s.check in ("rule.step", "rule.state", "rule.arguments")
    and s.name.split(".")[0] not in NO_FORMULA
    and s.name not in NOT_ELEMENTWISE
    # their steps are rounded to the precision of matrices, which no quick look sees through
    and s.rule != "muon"
]
SHARE = 0.94


class Recorder(LockStep):
    """Keeps every step that the subject makes, and judges none."""

    def __init__(self, loaded, program):
        super().__init__(loaded, program)
        self.records: list[tuple[dict, dict]] = []

    def _compare(self, operation: int) -> None:
        (track,) = self.tracks
        track.count += 1
        before, _ = self._inputs(track)
        after, state = as_float64(track.tensor), self._read_state(track)
        kept = {n: state[n] for n in self.variables if n in state}
        self.records.append((before, {**kept, "p": after}))
        track.set_variables |= set(kept)
        track.before, track.seen = after, state


def _programs(loaded, dtype: str, number: int = 6) -> list[Program]:
    rng = np.random.default_rng(3)
    found: list[Program] = []
    # one number at the end of the range would be all that a sum sees of the others
    filling = Filling if loaded.rule.is_elementwise else plainly
    while len(found) < number:
        options = {o.name: bool(rng.integers(2)) for o in loaded.rule.options if o.name in loaded.options}
        full = loaded.rule.step(options).options
        values = [
            {k: x for k, x in v.items() if k not in loaded.fixed}
            for v in _settings(loaded.rule, full, 2, seed=int(rng.integers(1000)))
        ]
        if not all(loaded.rule.constraint({**loaded.rule.defaults, **loaded.fixed, **v}, full) for v in values):
            continue
        operations = [Step((filling(int(rng.integers(50_000))),)) for _ in range(9)]
        # RMSprop's buffer is made in the first step or never
        edits = [Edit(0, n, x) for n, x in values[1].items() if n in loaded.editable() and n != "momentum"]
        if all(
            loaded.rule.constraint({**loaded.rule.defaults, **loaded.fixed, **values[0], **{e.name: e.value}}, full)
            for e in edits
        ):
            operations[5:5] = edits[:2]
        found.append(
            Program(
                dtype,
                groups=(values[0],),
                options=options,
                parameters=(Parameter((4, 6), 0, filling(int(rng.integers(9999)))),),
                operations=tuple(operations),
            )
        )
    return found


@cache
def _recorded(name: str):
    specimen = next(s for s in WRONG if s.name == name)
    loaded = load(Subject(specimen.target, specimen.rule, arguments=specimen.arguments, names=specimen.names))
    records = []
    for program in _programs(loaded, "float64"):
        recorder = Recorder(loaded, program)
        recorder.run()
        records += [(recorder.rule_step.options, before, after) for before, after in recorder.records]
    return loaded, records


def _fitting(specimen: Specimen) -> Iterator[Variant]:
    """Variants that look like a specimen in every recorded step."""
    loaded, records = _recorded(specimen.name)
    with np.errstate(all="ignore"):
        for v in variants(loaded.rule):
            if all(resembles(v.rule.step(options), before, after) for options, before, after in records):
                yield v


def _follows(specimen: Specimen, v: Variant) -> bool:
    """Whether a specimen follows a variant inside the variant's own allowances, in one dtype (some are of low precision)."""
    loaded = load(Subject(specimen.target, specimen.rule, arguments=specimen.arguments, names=specimen.names))
    programs = {dtype: _programs(loaded, dtype) for dtype in ("float64", "float32")}
    loaded.rule = v.rule
    return any(not any(run_program(loaded, p).failed for p in made) for made in programs.values())


def _diagnosis(specimen: Specimen) -> Variant | None:
    return next((v for v in _fitting(specimen) if _follows(specimen, v)), None)


@pytest.mark.parametrize("part", range(4))
def test_wrong_specimens_follow_a_variant(part):
    tried = [s for s in NUMERIC[part::4] if s.name not in OTHER_RULES]
    missing = [s.name for s in tried if _diagnosis(s) is None]
    assert len(missing) <= (1 - SHARE) * len(tried), missing


@pytest.mark.parametrize(
    ("specimen", "name"),
    [
        ("adam.EpsInsideRoot", "epsilon.inside_root"),
        ("adam.EpsDividedByCorrection", "epsilon.before_correction"),
        ("adam.AmsgradAfterCorrection", "maximum.after_correction.max_exp_avg_sq"),
        ("adam.MaximizeIgnored", "option.ignored.maximize"),
        ("adam_moments.CorrectionKeptInBuffer", "correction.compounding"),
        ("adam_moments.SecondMomentOneStepOld", "history.old.exp_avg_sq"),
        ("adamw.DecayAfterStep", "decay.after_step"),
        ("adamw.CoupledDecayOnlyInFirst", "decay.only_in.exp_avg"),
        ("sgd.DampenedAtFirstStep", "momentum.first_dampened.momentum_buffer"),
        ("sgd.NesterovOldBuffer", "nesterov.old.momentum_buffer"),
        ("descent.AppliesLastStep", "history.last_step"),
        ("lion.MomentFirst", "history.new.exp_avg"),
        ("rmsprop.MomentumBeforeDivision", "momentum.before_division.momentum_buffer"),
        ("adagrad.LrDecaysFromFirstStep", "count.offset.p.t-1.t"),
        ("adadelta.LrInsideAverage", "step.inside.delta"),
        ("nadam.ProductStartsAtZero", "initial.zero.mu_product"),
        ("radam.RectifiedFromFour", "condition.near.rho>5.-1"),
        ("rprop.EtasSwapped", "hyperparameter.swapped.eta_minus.eta_plus"),
        ("asgd.EtaOfThisStep", "history.new.eta"),
    ],
)
def test_the_first_variant_that_fits_names_the_mechanism(specimen, name):
    found = _diagnosis(next(s for s in WRONG if s.name == specimen))
    assert found is not None
    assert found.name == name


def survey(parts: list[str]) -> None:
    """Print the variant that each wrong specimen follows."""
    chosen = [s for s in NUMERIC if not parts or any(part in s.name for part in parts)]
    fit = 0
    for s in chosen:
        found = _diagnosis(s)
        fit += found is not None
        print(f"{s.name:40} {s.mechanism}")
        print(f"{'':40} {'NONE' if found is None else f'{found.name}: {found.sentence}'}")
    print(f"{fit} of {len(chosen)}")


if __name__ == "__main__":
    survey(sys.argv[1:])
