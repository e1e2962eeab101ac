"""Deliberately wrong optimizers, and right but unusual ones, that the checks are tried on.

Plain data: nothing here imports torch. Every specimen of :data:`WRONG` makes one mistake and names
the check that must find it; every one of :data:`RIGHT` computes its rule exactly.
"""

import ast
import dataclasses
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parent.parent


@dataclasses.dataclass(frozen=True)
class Specimen:
    """An optimizer to try the checks on.

    Args:
        name: unique, ``file.Class``.
        target: ``path/to/file.py:Class``, from the repository's root.
        rule: the rule that it claims.
        check: id of the check that must fail; None for a right one.
        mechanism: the mistake, or what is unusual, in one sentence.
        arguments: constructor arguments to give beside those of the rule.
        names: constructor argument for a hyperparameter that it calls otherwise.
        field: row of the list of real bugs with the same mistake.
    """

    name: str
    target: str
    rule: str
    check: str | None
    mechanism: str
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    field: str | None = None


@cache
def _first_lines(path: Path) -> dict[str, str]:
    """The first line of every docstring of a module, without importing it."""
    nodes = [n for n in ast.parse(path.read_text()).body if hasattr(n, "name")]
    return {node.name: (ast.get_docstring(node) or "").split("\n")[0] for node in nodes}


def _specimens(folder, file, rule, check, classes, names) -> list[Specimen]:
    found = []
    path = _HERE / folder / f"{file}.py"
    for class_name in classes.split():
        mechanism, _, field = _first_lines(path)[class_name].rstrip("]").partition(" [")
        target = f"{path.relative_to(_ROOT).as_posix()}:{class_name}"
        name = f"{file}.{class_name}"
        found.append(Specimen(name, target, rule, check, mechanism, {}, names, field or None))
    return found


def _wrong(file: str, rule: str, **by_check: str) -> list[Specimen]:
    """Classes of one file that claim one rule; ``rule_step="A B"`` says which check must fail.

    The docstring of a class is the mechanism, and may end with the row of the list of real bugs.
    """
    found = []
    for check, classes in by_check.items():
        found += _specimens("wrong", file, rule, check.replace("_", ".", 1), classes, {})
    return found


def _right(file: str, rule: str, classes: str, **names: str) -> list[Specimen]:
    return _specimens("right", file, rule, None, classes, names)


WRONG: tuple[Specimen, ...] = (
    *_wrong(
        "adam",
        "adam",
        rule_step="EpsInsideRoot EpsInsideUncorrectedRoot EpsInsideAndOutside "
        "EpsDividedByCorrection EpsAsLowerBound RsqrtThenEps NoRoot CorrectionOutsideRoot "
        "RootOfCorrectionComplement AmsgradAfterCorrection AmsgradBeforeUpdate",
        groups_hyperparameters="MaximizeNegatesGradient",
        rule_state="AmsgradNotStored AmsgradRootStored",
        rule_arguments="EpsIgnored AmsgradIgnored MaximizeIgnored",
    ),
    *_wrong("adam", "adam_eps_hat", rule_step="EpsHatNotScaled"),
    *_wrong(
        "adam_moments",
        "adam",
        rule_step="NoCorrection NoFirstCorrection NoSecondCorrection CorrectionOneStepLate "
        "CorrectionOneStepEarly CorrectionTwice CorrectionComplement CorrectionFrozen "
        "CorrectionBetasSwapped BetasSwapped FirstMomentUndamped "
        "BetaOnGradient SecondMomentOfSize SecondMomentOfFirst SecondMomentCentred "
        "ScaledBeforeSquare FirstMomentOneStepOld SecondMomentOneStepOld MomentThrownAway "
        "FirstMomentStartsAtGradient SecondMomentStartsAtOne",
        rule_state="CorrectionKeptInBuffer",
        groups_hyperparameters="CorrectionFromProducts",
    ),
    *_wrong(
        "adamw",
        "adamw",
        rule_step="DecayAfterStep DecayExponential DecayWithoutLr DecayTimesLrTwice DecayGrows DecayCoupled "
        "DecayDivided DecayBiasCorrected DecayOnlyWithGradient DecaySparesVectors",
        rule_arguments="DecayThrownAway",
    ),
    *_wrong(
        "adamw",
        "adam",
        rule_step="CoupledDecayDecoupled CoupledDecayOnlyInFirst CoupledDecayScalesGradient CoupledDecayTimesLr",
        groups_hyperparameters="CoupledDecayInPlace",
    ),
    *_wrong(
        "counters",
        "adam",
        groups_hyperparameters="CounterInParameterLoop CounterOfOptimizer CounterOfGroup "
        "CounterOfFirstParameter CounterWithoutGradient CounterOnlyWithNonzeroGradient",
        rule_counter="CounterInParameterDtype CounterInFloat16 CounterInUint8 CounterEndsAtTable",
    ),
    *_wrong(
        "groups",
        "sgd",
        groups_hyperparameters="FirstGroupForAll LastGroupForAll FirstGroupOnly LrAtConstruction "
        "StateByIndexInGroup StateByShape StateForFirstGradients SkipsAllWithoutFirst "
        "StopsAtMissingGradient MissingGradientAsZero MissingGradientAsLast "
        "MissingGradientCrashes ZeroGradientSkipped GradientConsumed GradientZeroed "
        "BufferIsGradient",
    ),
    *_wrong(
        "sgd",
        "sgd",
        rule_step="DampenedAtFirstStep BufferStartsAtZero DampensMomentum "
        "DampenedWithoutMomentum MomentumOnGradient MomentumAsAverage NesterovWithoutGradient "
        "NesterovMomentumTwice NesterovOldBuffer LrInsideVelocity DecayTwice "
        "MaximizeFlipsDecay MomentumForDampening",
        rule_state="DecayAfterMomentum MaximizeFlipsStep",
        rule_arguments="DampeningIgnored NesterovIgnored DecayIgnored",
    ),
    *_wrong(
        "descent",
        "gradient_descent",
        rule_step="Ascends DividesBySize LrSquared AppliesLastStep Signed",
    ),
    *_wrong(
        "descent",
        "heavy_ball",
        rule_step="LrOutsideVelocity VelocityOneStepOld LrTimesVelocityAgain",
        rule_state="VelocityUpsideDown VelocityNotKept",
    ),
    *_wrong(
        "lion",
        "lion",
        rule_step="DecayCoupled DecayAfterStep BetasSwapped MomentFirst ZeroIsPositive NoSign",
        rule_state="MomentKeepsStep MomentOfSign",
    ),
    *_wrong(
        "lars",
        "lars",
        rule_step="RatioInverted DecayNotInDivisor DecayInsideNorm NotGuarded RootMeanSquare",
        rule_reductions="NormOfFirstBlock",
        rule_layouts="NormOfRows",
        groups_bystander="NormOfAll",
    ),
    *_wrong(
        "muon",
        "muon",
        rule_step="CoefficientsSwapped CubicIteration OneIterationLess OneIterationMore NotNormalised "
        "NormalisedBySpectrum NormalisedByLargest EpsAdded ElementwisePolynomial NesterovWithOldBuffer "
        "MomentumUndamped RowsAndColumnsSwapped NotAdjusted ShorterSide DecayCoupled DecayAfterStep DecayWithoutLr "
        "DecayTimesAdjustedLr",
        rule_state="BufferNormalised",
    ),
    *_wrong("novograd", "novograd", rule_step="StartsAtZero MeanOfSquares DecayBeforeDivision MomentumAveraged"),
    *_wrong(
        "lamb",
        "lamb",
        rule_step="DecayNotInNorm DecayNotScaled RatioClipped CorrectionAfterRatio NormIsSquared ZeroMovesNothing",
        rule_reductions="SumStandsStill",
    ),
    *_wrong(
        "rmsprop",
        "rmsprop",
        rule_step="EpsInsideRoot AlphaSwapped SquareUndamped CenteredWithoutSquare "
        "CenteredAroundGradient MomentumBeforeDivision LrInsideMomentum",
        rule_arguments="CenteredIgnored MomentumIgnored",
    ),
    *_wrong(
        "adagrad",
        "adagrad",
        rule_step="EpsInsideRoot EpsAccumulates NoRoot SumOneStepOld LrDecaysFromFirstStep",
        rule_state="RootStored",
        rule_arguments="LrDecayIgnored InitialValueIgnored",
    ),
    *_wrong(
        "adadelta",
        "adadelta",
        rule_step="EpsOutsideRoot EpsOnlyBelow RhoSwapped SquareOneStepOld",
        rule_state="LrInsideAverage AverageOfGradients",
    ),
    *_wrong(
        "adamax",
        "adamax",
        rule_step="EpsAfterMaximum NoSize NormNotDecayed NormCorrected NoCorrection",
        rule_state="NormNotStored",
    ),
    *_wrong(
        "nadam",
        "nadam",
        rule_step="EpsInsideRoot MuTwice ProductStartsAtZero NextProductIsThis ThisProductIsNext MuNextIsThis "
        "MuOneStepLate",
        rule_state="ProductNotKept",
        rule_arguments="MomentumDecayIgnored",
    ),
    *_wrong(
        "radam",
        "radam",
        rule_step="EpsAfterCorrection NeverRectified RectifiedFromFour RectifierWithoutRoot "
        "RectifierMissing UnrectifiedUncorrected DecayDecoupled StandsStillAtFirst",
    ),
    *_wrong(
        "rprop",
        "rprop",
        rule_step="EtasSwapped SizeUnbounded MovesAfterSignChange SteppedByGradient FirstStepIsZero PreviousIsGradient",
        rule_state="PreviousNotZeroed",
        rule_arguments="SizesIgnored",
    ),
    *_wrong(
        "asgd",
        "asgd",
        rule_step="EtaOfThisStep EtaIsLr DecayMissing DecayAfterStep",
        rule_state="AverageOfOld AverageOneStepLate AverageGrows",
        rule_arguments="AverageFromStart",
    ),
    *_wrong(
        "paths",
        "sgd",
        groups_hyperparameters="ForeachDecaysGradient ForeachForOneShape",
        rule_state="ForeachDecaysAfterMomentum",
    ),
    *_wrong(
        "storage",
        "gradient_descent",
        rule_tails="TailOfEight TailOfSixtyFour LastElementMissing FirstOfBlockTwice LaunchLimit",
        rule_layouts="WalksStorage UpdatesReshapedCopy ViewCrashes SliceCrashesOnScalar "
        "MaximumCrashesOnEmpty ScalesGradientInPlace",
        rule_nonfinite="TensorSkippedWithNaN NaNSpreads StepSkippedWithNaN",
    ),
    *_wrong(
        "precision",
        "adam",
        rule_step="StepInFloat32",
        rule_state="SecondMomentInBlocks",
        precision_step="StepThroughFloat8 CorrectionInParameterDtype",
        precision_state="MomentThroughFloat8 BetasInParameterDtype",
        precision_state_dtype="SecondMomentInFloat16 MomentsInBfloat16 MomentsInFloat32",
    ),
    *_wrong(
        "isolation",
        "gradient_descent",
        rule_step="Hangs Exits RaisesSystemExit Crashes EatsMemory",
        contract_side_effects="SetsDefaultDtype TurnsGradientsOff SetsThreads DrawsRandomNumbers "
        "SeedsRandomNumbers Prints PatchesTorch",
    ),
)

_RENAMED = {"lr": "alpha", "beta1": "b1", "beta2": "b2", "eps": "epsilon", "weight_decay": "l2"}

RIGHT: tuple[Specimen, ...] = (
    *_right("orders", "adam", "AdamTextbook AdamLerpByHand AdamRescaledEps AdamTensorCorrections"),
    *_right("orders", "adam_eps_hat", "AdamEpsHat"),
    *_right("orders", "adamw", "AdamWDecaySubtracted AdamWDecayOfOld"),
    *_right("digits", "adamw", "AdamWUpcast AdamWWideMoments AdamWDouble"),
    *_right("digits", "rmsprop", "RMSpropNumpy"),
    *_right("batched", "adamw", "AdamWFlat"),
    *_right("batched", "sgd", "SGDForeach"),
    *_right("hidden", "adam", "AdamOtherNames AdamStateTuple AdamCountsInGroup"),
    *_right("hidden", "heavy_ball", "HeavyBallAttributes"),
    *_right("hidden", "sgd", "make_sgd"),
    *_right("hidden", "gradient_descent", "GradientDescentRenamed", lr="learning_rate"),
    *_right("hidden", "adam", "AdamRenamed", **_RENAMED),
    *_right("forms", "adagrad", "AdagradByNorm"),
    *_right("forms", "adadelta", "AdadeltaByQuotient"),
    *_right("forms", "rmsprop", "RMSpropByVariance"),
    *_right("forms", "adamax", "AdamaxStacked"),
    *_right("forms", "nadam", "NAdamOneQuotient"),
    *_right("forms", "radam", "RAdamOneStep"),
    *_right("forms", "rprop", "RpropWhere"),
    *_right("forms", "asgd", "ASGDFloats"),
    *_right("forms", "lion", "LionWhere"),
    *_right("reductions", "lars", "LARSByDots"),
    *_right("reductions", "lars_lr_outside", "LARSOutside"),
    *_right("reductions", "novograd", "NovoGradWeighted"),
    *_right("reductions", "lamb", "LAMBByHalves"),
    *_right("reductions", "lamb_clamped", "LAMBClamped"),
    *_right("muon", "muon", "Float32Iteration Bfloat16Iteration ThroughSingularValues Batched"),
)

# those of one step are above; what an optimizer must survive beyond it is in a file of its own
from tests.specimens.beyond_one_step import RIGHT_BEYOND, WRONG_BEYOND  # noqa: E402
from tests.specimens.factored import RIGHT_FACTORED, WRONG_FACTORED  # noqa: E402
from tests.specimens.minimised import RIGHT_MINIMISED, WRONG_MINIMISED  # noqa: E402
from tests.specimens.promises_kept import RIGHT_PROMISES, WRONG_PROMISES  # noqa: E402
from tests.specimens.published import RIGHT_PUBLISHED, WRONG_PUBLISHED  # noqa: E402
from tests.specimens.published_reductions import RIGHT_REDUCTIONS, WRONG_REDUCTIONS  # noqa: E402
from tests.specimens.sparse_gradients import RIGHT_SPARSE, WRONG_SPARSE  # noqa: E402
from tests.specimens.unknown_and_live import RIGHT_LIVE, WRONG_LIVE  # noqa: E402

WRONG += WRONG_BEYOND + WRONG_PROMISES + WRONG_LIVE + WRONG_PUBLISHED + WRONG_FACTORED + WRONG_SPARSE + WRONG_MINIMISED
WRONG += WRONG_REDUCTIONS
RIGHT += RIGHT_BEYOND + RIGHT_PROMISES + RIGHT_LIVE + RIGHT_PUBLISHED + RIGHT_FACTORED + RIGHT_SPARSE + RIGHT_MINIMISED
RIGHT += RIGHT_REDUCTIONS
