"""Specimens of rules that torch does not have and whose elements act on each other."""

from tests.specimens import Specimen, _right, _wrong

RIGHT_REDUCTIONS: tuple[Specimen, ...] = (
    *_right("clipped", "stable_adamw", "StableAdamWByWeights StableAdamWThreshold"),
    *_right("clipped", "adamw_clipped", "AdamWClipped"),
)

WRONG_REDUCTIONS: tuple[Specimen, ...] = (
    *_wrong(
        "stable_adamw",
        "stable_adamw",
        rule_step="DecayNotClipped ClippedByElement NormNotMean RateRaised ClippedByOldMoment EpsNotSquared "
        "BetasNotCorrected ClippedByAll",
    ),
    *_wrong("stable_adamw", "adamw_clipped", rule_step="DecayClippedToo RootMissing ClippedByStep"),
)
