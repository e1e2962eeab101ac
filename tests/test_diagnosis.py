"""A refuted formula is named: the variant of the rule that the subject follows in every step."""

import pytest

from tests.specimens import RIGHT, WRONG
from tests.test_specimens import subject_of
from verify import diagnosis, load
from verify.budgets import BUDGETS
from verify.checks.context import Context
from verify.checks.programs import sweep
from verify.diagnosis import diagnose

NAMED = {
    "adam.EpsInsideRoot": "epsilon.inside_root",
    "adam_moments.NoSecondCorrection": "correction.missing.exp_avg_sq",
    "adam_moments.CorrectionFrozen": "correction.frozen",
    "adam_moments.BetaOnGradient": "moment.swapped.exp_avg",
    "adam_moments.SecondMomentCentred": "moment.centred_on_exp_avg.exp_avg_sq",
    "adam.AmsgradAfterCorrection": "maximum.after_correction.max_exp_avg_sq",
    "adamw.DecayAfterStep": "decay.after_step",
    "adamw.DecayWithoutLr": "decay.without_lr",
    "adamw.DecayExponential": "decay.exponential",
    "sgd.MomentumForDampening": "dampening.of_keep.momentum_buffer",
    "nadam.ThisProductIsNext": "product.with.mu_ahead.p",
    "radam.StandsStillAtFirst": "branch.still.otherwise",
    "stable_adamw.DecayNotClipped": "decay.without.1/clip",
    "stable_adamw.ClippedByElement": "reduction.missing.rms.gradient**2/Max(eps**2,exp_avg_sq')",
    "stable_adamw.ClippedByOldMoment": "history.old.exp_avg_sq.in.rms",
    "stable_adamw.EpsNotSquared": "maximum.unsquared.rms.eps**2",
    "stable_adamw.ClippedByStep": "reduction.of_exp_avg_corrected.rms",
    "cautious.MaskNotScaled": "scale.missing",
    "cautious.MaskOfItself": "exchange.alignment.gradient.exp_avg'",
    "cautious.DecayMasked": "decay.with.count*mask/aligned",
    "cautious.DividedBySum": "reduction.total.scale.mask",
}


def context_of(specimen) -> Context:
    loaded = load(subject_of(specimen))
    return Context(loaded, "float32", "cpu", "for-loop", BUDGETS["quick"], 0, loaded.editable())


@pytest.fixture(autouse=True)
def time_enough(monkeypatch):
    """What is found must not depend on how busy the machine is."""
    monkeypatch.setattr(diagnosis, "SECONDS", 200.0)


@pytest.mark.parametrize("name", NAMED)
def test_the_planted_mistake_is_named(name):
    context = context_of(next(s for s in WRONG if s.name == name))
    failed = next((p, o) for p in sweep(context) if (o := context.run(p)).failed)
    found = diagnose(context, *failed)
    assert found is not None
    assert found.variants[0] == NAMED[name]
    assert found.text.startswith("matches ")


OTHER_RULES = {
    "published_momentum.AdanFromZero": "adan",
    "published_moments.NeverRectified": "adabelief",
    "published_moments.BeliefEpsKept": "adabelief",
}


@pytest.mark.parametrize("name", OTHER_RULES)
def test_another_rule_is_named(name):
    context = context_of(next(s for s in WRONG if s.name == name))
    found = diagnose(context, *next((p, o) for p in sweep(context) if (o := context.run(p)).failed))
    assert found is not None
    assert found.variants == (OTHER_RULES[name],)
    assert f"matches {OTHER_RULES[name]}, which is another rule than {context.loaded.rule.name}: " in found.text


def test_what_passes_is_not_diagnosed():
    context = context_of(RIGHT[0])
    program = next(iter(sweep(context)))
    assert diagnose(context, program, context.run(program)) is None
