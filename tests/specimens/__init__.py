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

_HERE = Path(__file__).parent


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


def _wrong(file: str, rule: str, **by_check: str) -> list[Specimen]:
    """Specimens of one file that claim one rule; ``rule_step="A B"`` means that check, those."""
    return [
        _specimen("wrong", file, name, rule, check.replace("_", ".", 1))
        for check, names in by_check.items()
        for name in names.split()
    ]


def _right(file: str, rule: str, name: str, **renamed: str) -> Specimen:
    return _specimen("right", file, name, rule, None, renamed)


def _specimen(kind, file, name, rule, check, names=()) -> Specimen:
    path = _HERE / kind / f"{file}.py"
    return Specimen(
        name=f"{file}.{name}",
        target=f"{path.relative_to(_HERE.parent.parent).as_posix()}:{name}",
        rule=rule,
        check=check,
        mechanism=_first_lines(path)[name],
        names=dict(names),
        field=_FIELD.get(f"{file}.{name}"),
    )


_FIELD = {
    "adam.AmsgradAfterCorrection": "F05",
    "adam.AmsgradNotStored": "F06",
    "adam.AmsgradRootStored": "F06",
    "adam.EpsDividedByCorrection": "F01",
    "adam.EpsInsideAndOutside": "F03",
    "adam.EpsInsideRoot": "F03",
    "adam.MaximizeIgnored": "P23",
    "adam.MaximizeNegatesGradient": "G03",
    "adam.RootOfCorrectionComplement": "F09",
    "adam.RsqrtThenEps": "F37",
    "adam_moments.CorrectionComplement": "F07",
    "adam_moments.CorrectionFrozen": "F14",
    "adam_moments.CorrectionKeptInBuffer": "F10",
    "adam_moments.FirstMomentStartsAtGradient": "F47",
    "adam_moments.MomentThrownAway": "F46",
    "adam_moments.SecondMomentOneStepOld": "F17",
    "adamax.NormNotStored": "G08",
    "adamw.CoupledDecayInPlace": "G02",
    "adamw.CoupledDecayScalesGradient": "F15",
    "adamw.DecayAfterStep": "F02",
    "adamw.DecayThrownAway": "F29",
    "adamw.DecayTimesLrTwice": "F25",
    "adamw.DecayWithoutLr": "F23",
    "asgd.EtaOfThisStep": "L05",
    "counters.CounterInParameterDtype": "D01",
    "counters.CounterInParameterLoop": "S03",
    "counters.CounterOfFirstParameter": "S01",
    "counters.CounterOfGroup": "S02",
    "counters.CounterOfOptimizer": "S02",
    "descent.AppliesLastStep": "F45",
    "groups.BufferIsGradient": "G04",
    "groups.FirstGroupForAll": "P21",
    "groups.FirstGroupOnly": "P06",
    "groups.GradientConsumed": "G06",
    "groups.LastGroupForAll": "P05",
    "groups.LrAtConstruction": "P13",
    "groups.MissingGradientAsLast": "G10",
    "groups.SkipsAllWithoutFirst": "P09",
    "groups.StateByIndexInGroup": "P11",
    "groups.StateForFirstGradients": "P10",
    "groups.StopsAtMissingGradient": "P18",
    "lion.DecayAfterStep": "F02",
    "lion.DecayCoupled": "F22",
    "nadam.MuTwice": "F11",
    "nadam.ProductStartsAtZero": "F13",
    "paths.ForeachDecaysAfterMomentum": "U07",
    "paths.ForeachDecaysGradient": "G02",
    "precision.SecondMomentInFloat16": "D05",
    "radam.DecayDecoupled": "F26",
    "rmsprop.EpsInsideRoot": "F03",
    "rprop.FirstStepIsZero": "F45",
    "rprop.PreviousIsGradient": "G04",
    "sgd.BufferStartsAtZero": "F51",
    "sgd.DampenedAtFirstStep": "F51",
    "sgd.DampeningIgnored": "F51",
    "sgd.DecayIgnored": "F30",
    "sgd.MomentumOnGradient": "F33",
    "storage.MaximumCrashesOnEmpty": "N04",
    "storage.SliceCrashesOnScalar": "N06",
    "storage.WalksStorage": "R04",
}

WRONG: tuple[Specimen, ...] = (
    *_wrong(
        "adam",
        "adam",
        rule_step="EpsInsideRoot EpsInsideUncorrectedRoot EpsInsideAndOutside "
        "EpsDividedByCorrection EpsAsLowerBound RsqrtThenEps NoRoot CorrectionOutsideRoot "
        "RootOfCorrectionComplement AmsgradAfterCorrection AmsgradBeforeUpdate "
        "MaximizeNegatesGradient",
        rule_state="AmsgradNotStored AmsgradRootStored",
        rule_arguments="EpsIgnored AmsgradIgnored MaximizeIgnored",
    ),
    *_wrong("adam", "adam_eps_hat", rule_step="EpsHatNotScaled"),
    *_wrong(
        "adam_moments",
        "adam",
        rule_step="NoCorrection NoFirstCorrection NoSecondCorrection CorrectionOneStepLate "
        "CorrectionOneStepEarly CorrectionTwice CorrectionComplement CorrectionFrozen "
        "CorrectionBetasSwapped CorrectionFromProducts BetasSwapped FirstMomentUndamped "
        "BetaOnGradient SecondMomentOfSize SecondMomentOfFirst SecondMomentCentred "
        "ScaledBeforeSquare FirstMomentOneStepOld SecondMomentOneStepOld MomentThrownAway "
        "FirstMomentStartsAtGradient SecondMomentStartsAtOne",
        rule_state="CorrectionKeptInBuffer",
    ),
    *_wrong(
        "adamw",
        "adamw",
        rule_step="DecayAfterStep DecayWithoutLr DecayTimesLrTwice DecayGrows DecayCoupled "
        "DecayDivided DecayBiasCorrected DecayOnlyWithGradient DecaySparesVectors",
        rule_arguments="DecayThrownAway",
    ),
    *_wrong(
        "adamw",
        "adam",
        rule_step="CoupledDecayDecoupled CoupledDecayOnlyInFirst CoupledDecayScalesGradient "
        "CoupledDecayInPlace CoupledDecayTimesLr",
    ),
    *_wrong(
        "counters",
        "adam",
        rule_step="CounterInParameterLoop CounterOfOptimizer CounterOfGroup "
        "CounterOfFirstParameter CounterWithoutGradient CounterOnlyWithNonzeroGradient",
        rule_counter="CounterInParameterDtype CounterInFloat16 CounterInUint8 CounterEndsAtTable",
    ),
    *_wrong(
        "groups",
        "sgd",
        rule_step="FirstGroupForAll LastGroupForAll FirstGroupOnly LrAtConstruction "
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
        "MaximizeFlipsDecay",
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
        rule_step="EpsInsideRoot MuTwice ProductStartsAtZero NextProductIsThis MuNextIsThis "
        "MuOneStepLate",
        rule_state="ProductNotKept",
        rule_arguments="MomentumDecayIgnored",
    ),
    *_wrong(
        "radam",
        "radam",
        rule_step="EpsAfterCorrection NeverRectified RectifiedFromFour RectifierWithoutRoot "
        "RectifierMissing UnrectifiedUncorrected DecayDecoupled",
    ),
    *_wrong(
        "rprop",
        "rprop",
        rule_step="EtasSwapped SizeUnbounded MovesAfterSignChange SteppedByGradient "
        "FirstStepIsZero PreviousIsGradient",
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
        rule_step="ForeachDecaysGradient ForeachForOneShape",
        rule_state="ForeachDecaysAfterMomentum",
    ),
    *_wrong(
        "storage",
        "gradient_descent",
        rule_tails="TailOfEight TailOfSixtyFour LastElementMissing FirstOfBlockTwice LaunchLimit",
        rule_layouts="WalksStorage UpdatesReshapedCopy ViewCrashes SliceCrashesOnScalar "
        "MaximumCrashesOnEmpty ScalesGradientInPlace",
        rule_nonfinite="TensorSkippedWithNaN NaNSpreads NaNBecomesZero StepSkippedWithNaN",
    ),
    *_wrong(
        "precision",
        "adam",
        rule_step="StepInFloat32",
        rule_state="SecondMomentInBlocks",
        precision_step="StepInBfloat16 StepThroughFloat8 CorrectionInParameterDtype",
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

RIGHT: tuple[Specimen, ...] = (
    _right("orders", "adam", "AdamTextbook"),
    _right("orders", "adam", "AdamLerpByHand"),
    _right("orders", "adam", "AdamRescaledEps"),
    _right("orders", "adam", "AdamTensorCorrections"),
    _right("orders", "adam_eps_hat", "AdamEpsHat"),
    _right("orders", "adamw", "AdamWDecaySubtracted"),
    _right("orders", "adamw", "AdamWDecayOfOld"),
    _right("digits", "adamw", "AdamWUpcast"),
    _right("digits", "adamw", "AdamWWideMoments"),
    _right("digits", "adamw", "AdamWDouble"),
    _right("digits", "rmsprop", "RMSpropNumpy"),
    _right("batched", "adamw", "AdamWFlat"),
    _right("batched", "sgd", "SGDForeach"),
    _right("hidden", "adam", "AdamOtherNames"),
    _right("hidden", "adam", "AdamStateTuple"),
    _right("hidden", "adam", "AdamCountsInGroup"),
    _right("hidden", "heavy_ball", "HeavyBallAttributes"),
    _right("hidden", "sgd", "make_sgd"),
    _right("hidden", "gradient_descent", "GradientDescentRenamed", lr="learning_rate"),
    _right(
        "hidden", "adam", "AdamRenamed", lr="alpha", beta1="b1", beta2="b2", eps="epsilon",
        weight_decay="l2",
    ),
    _right("forms", "adagrad", "AdagradByNorm"),
    _right("forms", "adadelta", "AdadeltaByQuotient"),
    _right("forms", "rmsprop", "RMSpropByVariance"),
    _right("forms", "adamax", "AdamaxStacked"),
    _right("forms", "nadam", "NAdamOneQuotient"),
    _right("forms", "radam", "RAdamOneStep"),
    _right("forms", "rprop", "RpropWhere"),
    _right("forms", "asgd", "ASGDFloats"),
    _right("forms", "lion", "LionWhere"),
)  # fmt: skip
