"""Specimens for groups and parameters that change, runs that are taken up again, and optimizers of unknown rule."""

from tests.specimens import Specimen, _right, _wrong

WRONG_LIVE: tuple[Specimen, ...] = (
    *_wrong(
        "live_groups",
        "sgd",
        groups_late="LateGroupAsFirst LoadReplacesDefaults",
        groups_live="ParametersListedOnce GroupsListedBeside",
    ),
    *_wrong(
        "live_groups",
        "adam",
        groups_hyperparameters="ZeroLrSkipsState",
        groups_live="BetasNeedTuple BetasByIdentity",
    ),
    *_wrong("live_groups", "adamw", groups_late="DefaultsFollowFirst"),
    *_wrong(
        "binding",
        "sgd",
        binding_replaced="ParametersCached",
        binding_regrouped="GroupsOnlyGrow",
        binding_storage="ViewsOfData WritesToAddress",
        binding_groups="GroupsCopied FirstGroupHeld",
    ),
    *_wrong("binding", "adam", binding_replaced="StateByAddress", binding_anew="StateByPlace LateStateForbidden"),
    *_wrong(
        "resumed",
        "adam",
        state_round_trip="LargerCountKept KeepsStateWithoutFile ForeignKeysNotSaved",
    ),
    *_wrong(
        "resumed",
        "sgd",
        state_round_trip="ForeignKeysNotLoaded",
        state_dtypes="LoadedBuffersWantGrad",
        determinism_repeat="NewMemoryTakenForZeros",
    ),
    *_wrong(
        "unknown",
        "none",
        groups_edits="BetasOfFirstStep DecayInState LrReadAhead SmallestLr TensorLrNotTaken ZeroLrStops",
        groups_late="LateTakesFirst",
        groups_absent="MissingIsZero MissingCounts LastGradientAgain",
        rule_counter="CountInBfloat16",
        rule_layouts="EmptyFails",
        rule_nonfinite="NaNReachesOthers",
        rule_tails="RestOfThousandLeft",
        parity_complex="ComplexBySize",
    ),
)

RIGHT_LIVE: tuple[Specimen, ...] = (
    *_right("unlike", "sgd", "SGDNormInState"),
    *_right("unlike", "adam", "AdamEager"),
    *_right("unlike", "none", "LargestLr Centred Averaging"),
)
