"""Specimens of quasi-Newton rules."""

from tests.specimens import Specimen, _right, _wrong

WRONG_MINIMISED: tuple[Specimen, ...] = (
    *_wrong(
        "lbfgs",
        "lbfgs",
        rule_direction="GammaMissing GammaInverted BetaAdded BetaMissing AlphasReversed NewestUnused OrderReversed "
        "FirstUnscaled FirstByEuclidean FirstLengthened LrTwice LrIgnored ChangeOneStepLate StepWithoutLr "
        "MissingGradientStays ImaginaryPartsStay StartsAnew",
        rule_curvature="OldestKept NeverForgets OneTooMany NoSkip SkipOnSteps SkipRelative GammaOfSkipped",
        rule_resized="SizeAtConstruction CrashesWhenResized",
        rule_line_search="DecreaseAlone SlopeAlone AnyDecrease SearchesFromOne SearchesBesides",
        rule_undefined="EndsAnywhere",
        rule_evaluations="LastLossReturned CountsCalls HistoryInAttribute WithoutGrad",
        rule_stopping="OneMore SumTolerance NeverStuck StuckByLossAlone",
        rule_max_eval="EvaluatesOnceMore",
    ),
)

RIGHT_MINIMISED: tuple[Specimen, ...] = (*_right("lbfgs", "lbfgs", "LBFGS Compact ByDifferences WideSums Stored"),)
