"""Specimens of rules that torch does not have and whose elements act on each other."""

from tests.specimens import Specimen, _right, _wrong

RIGHT_REDUCTIONS: tuple[Specimen, ...] = (
    *_right("clipped", "stable_adamw", "StableAdamWByWeights StableAdamWThreshold"),
    *_right("clipped", "adamw_clipped", "AdamWClipped"),
    *_right("cautious", "cautious_adamw", "CautiousAdamWBySigns"),
    *_right("cautious", "cautious_adamw_mean", "CautiousAdamWMean"),
    *_right("cautious", "cautious_lion", "CautiousLion"),
    *_right("cautious", "cautious_lion_mean", "CautiousLionMean"),
    *_right("projected", "adamp", "AdamPByRows"),
    *_right("projected", "sgdp", "SGDPByRows"),
)

WRONG_REDUCTIONS: tuple[Specimen, ...] = (
    *_wrong(
        "stable_adamw",
        "stable_adamw",
        rule_step="DecayNotClipped ClippedByElement NormNotMean RateRaised ClippedByOldMoment EpsNotSquared "
        "BetasNotCorrected ClippedByAll",
    ),
    *_wrong("stable_adamw", "adamw_clipped", rule_step="DecayClippedToo RootMissing ClippedByStep"),
    *_wrong(
        "cautious",
        "cautious_adamw",
        rule_step="MaskNotScaled MaskOneMissing MaskOfOldAverage MaskOfItself MaskTurned DecayMasked",
    ),
    *_wrong("cautious", "cautious_adamw_mean", rule_step="FloorMissing DividedBySum DecayScaled"),
    *_wrong("cautious", "cautious_lion", rule_step="LionMaskOfMomentum LionMaskNotScaled LionZeroIsAligned"),
    *_wrong(
        "projected",
        "adamp",
        rule_step="OnlyChannels OnlyLayer CosineSigned BoundWithoutRoot MeanDecides ReflectedNotProjected "
        "RatioForgotten",
    ),
    *_wrong("projected", "sgdp", rule_step="DecayNotDivided EpsAlone ProjectedIntoBuffer"),
)
