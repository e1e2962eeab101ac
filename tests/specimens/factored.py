"""Specimens of rules with factored second moments."""

from tests.specimens import Specimen, _right, _wrong

RIGHT_FACTORED: tuple[Specimen, ...] = (
    *_right("factored", "adafactor", "AdafactorBySums"),
    *_right("factored", "adafactor_paper", "AdafactorOfUsers"),
    *_right("factored", "came", "CAMEByRoots"),
)

WRONG_FACTORED: tuple[Specimen, ...] = (
    *_wrong(
        "factored",
        "adafactor",
        rule_step="RowsAreSums AxesSwapped NotClipped ClippedByNorm SizeAfterDecay SizeNotRelative "
        "SizeWithoutParameter DecayOneStepEarly FloorNotSquared FloorOutsideRoot NothingFactored",
        rule_layouts="RowsOverAll OnlyMatrices",
    ),
    *_wrong("factored", "adafactor_paper", rule_step="FloorForAddition MomentumOfDirections"),
    *_wrong(
        "factored",
        "came",
        rule_step="SurpriseAtOldMomentum SurpriseNotSquared ConfidenceInverted ConfidenceWithoutRoot",
    ),
)
