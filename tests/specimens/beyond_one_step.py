"""Specimens for the checks that look beyond one step: groups, checkpoints, promises, parities, determinism."""

from tests.specimens import Specimen, _right, _wrong

WRONG_BEYOND: tuple[Specimen, ...] = (
    *_wrong(
        "param_groups",
        "sgd",
        groups_hyperparameters="DecayOfFirstGroup",
        groups_edits="LrOfFirstStep EditOfFirstGroupForAll TensorLrIgnored EditOneStepLate LrNeverRises",
        groups_late="LateGroupNotWalked LateGroupGetsDefaults",
        groups_order="LrFallsAlongGroup DecayOfGroupBefore",
        groups_split="LrDividedByGroups LrDividedByGroupSize",
        groups_bystander="ClippedByGlobalNorm NeedsAllGradients LrDividedByGradients GradientsPairedWithAll "
        "DtypeOfFirst",
        groups_empty="EmptyGroupCrashes NothingToUnzip ShareOfNothing",
        groups_arguments="PopsFromCallersGroup EmptiesCallersList ReversesCallersList ConsumesCallersGroups",
    ),
    *_wrong(
        "param_groups",
        "adam",
        groups_hyperparameters="StepSizeRememberedByCount",
        groups_edits="BetasCached TensorLrCorrectedInPlace",
        groups_late="LateGroupWithoutState LateGroupJoinsCount",
        groups_order="CorrectionCompoundsAlongGroup",
        groups_empty="IdleStepsCounted",
        groups_arguments="BetasBecomeList",
    ),
    *_wrong(
        "param_groups",
        "adamw",
        groups_hyperparameters="DecayFromDefaults",
        groups_edits="DecayFactorPrecomputed",
        groups_order="FirstOfGroupUndecayed",
    ),
    *_wrong(
        "checkpoints",
        "sgd",
        state_round_trip="SavesInBfloat16 KeyedByTensor",
        state_complete="LoadKeepsGroups BuffersInAttribute BuffersInClosure FirstStepFlagInAttribute ResidualOutsideState",
        state_copies="CopyLosesAttribute HoldsLambda CopySharesState CopyMovesOriginal",
        state_independence="LoadPopsVersion LoadEditsGroups LoadEmptiesCheckpoint StateDictRoundsLive "
        "StateDictEmptiesState",
        state_dtypes="MomentumLoadedInHalf MomentumLoadedInFloat64 MomentumLoadedFlat",
        state_late_gradients="LoadMakesZeroBuffers",
        state_untouched="LoadMakesPlainDict StateDictEmptyBeforeStep",
        state_keys="FewerGroupsAccepted OtherParametersAccepted MissingKeyBecomesZero MissingKeyUnnamed "
        "WrongKeysUnnamed",
    ),
    *_wrong(
        "checkpoints",
        "adam",
        state_round_trip="LoadKeepsOwnState LoadFillsInPlace ClassInState",
        state_complete="CountsInAttribute",
        state_dtypes="CountLoadedInBfloat16 CountLoadedWithOneElement CountLoadedAsNumber",
        state_late_gradients="LateStartsAtLoadedCount LoadedParametersOnly",
        state_untouched="StateDictMakesState StateDictNeedsStep LoadNeedsState",
    ),
    *_wrong(
        "constructors",
        "sgd",
        contract_construction="BareTensorAccepted EmptyListAccepted SetAccepted NumbersAccepted NonLeafAccepted "
        "SharedParameterAccepted GeneratorUsedUp NamedParametersRefused",
        contract_validation="NegativeLrAccepted TextAccepted RefusedWithoutWords",
        contract_repr="ReprCrashes ReprWithoutHyperparameters",
        contract_zero_grad="ZeroGradIgnoresArgument ZeroGradForFirstGroup ZeroGradTakesNoArgument "
        "ZeroGradMakesGradients",
        contract_schedulers="LrUnderOtherName StepIsPartial AttributesFrozen",
        contract_grad_scaler="ScalingClaimed FoundInfIgnored ScaleMultiplied",
    ),
    *_wrong("constructors", "adam", contract_validation="BetaOneAccepted NaNAccepted"),
    *_wrong("constructors", "lion", contract_schedulers="UnknownGroupKeyRefused"),
    *_wrong(
        "promises",
        "sgd",
        contract_closure="ClosureNeverRun ClosureRunTwice ClosureWithoutGrad ClosureAfterUpdate LossDropped "
        "ClosureDemanded ReturnsZeroWithoutClosure",
        contract_grad_mode="UpdatesWithGrad LeavesGradOn GraphGrows DecayByAutograd",
        contract_hooks="StepBoundInConstructor StateDictWithoutHooks LoadWithoutHooks",
        contract_gradients="UpdateInGradient GradientReplacedByCopy GradientMadeForMissing GradientWantsGrad",
        contract_parameters="NewDataEachStep MadeContiguous RequiresGradLeftOff GroupEntryReplaced",
        contract_state="StateAliasesParameter StateKeepsGradient StateWantsGrad OneZeroForAll",
        contract_sparse="SparseCrashesInside SparseRowsFromTop SparseTakenAsZero SparseDuplicatesLost "
        "SparseEmptyCrashes",
        contract_compile="BufferDroppedWhenCompiled",
        contract_neighbours="BuffersOfClass HyperparametersOfNewest",
    ),
    *_wrong(
        "promises",
        "adam",
        contract_state="TwoNamesForOneBuffer",
        contract_compile="CountConstantWhenCompiled UncorrectedWhenCompiled",
        contract_neighbours="CountsOfClass",
    ),
    *_wrong(
        "parities",
        "adam",
        parity_implementations="ForeachCountOfFirst ForeachLosesSmallDecay ForeachEpsRelative",
        parity_complex="ComplexSquareOfModulus",
    ),
    *_wrong("parities", "adamw", parity_layouts="DecaySkipsNonContiguous"),
    *_wrong(
        "parities",
        "sgd",
        parity_layouts="TransposedGradient",
        parity_maximize="MaximizeUndoneByDecay MaximizeMissesFirstBuffer",
        parity_complex="ComplexConjugated",
        parity_slices="LargeTensorsRounded ClippedByOwnNorm GradientCentred TrustRatio",
    ),
    *_wrong("parities", "rmsprop", parity_complex="ComplexImaginaryLeft"),
    *_wrong("parities", "lion", parity_complex="ComplexSign"),
    *_wrong(
        "symmetries",
        "adam",
        symmetry_scaling="SmallGradientsDropped EpsAndConstant",
        symmetry_sign="GradientFloored",
        symmetry_permutation="FirstElementSpared",
        symmetry_translation="ParameterClamped",
    ),
    *_wrong(
        "symmetries",
        "sgd",
        symmetry_sign="ClippedAboveOnly",
        symmetry_permutation="NeighbourMixedIn",
        symmetry_translation="StepRelativeToParameter StopsAtZero",
    ),
    *_wrong("symmetries", "rmsprop", symmetry_scaling="LargeGradientsClipped", symmetry_sign="NegativeHalved"),
    *_wrong("symmetries", "adagrad", symmetry_scaling="DivisorHasFloor", symmetry_permutation="SumAlongTensor"),
    *_wrong("symmetries", "lion", symmetry_permutation="LrFallsAlongTensor"),
    *_wrong(
        "determinism",
        "sgd",
        determinism_repeat="RoundsStochastically RoundsByClock RoundsByEarlierCalls ResidualsOutliveRuns",
        determinism_processes="RoundsByAddress RoundsByHash RoundsByProcess",
    ),
    *_wrong("determinism", "adam", determinism_threads="ChunkPerThread"),
    *_wrong(
        "meetings",
        "sgd",
        groups_meetings="EditsAfterLoadIgnored LateGroupAfterLoadClearsState SavingRoundsTensorLr MaximizeOfFirstGroup",
    ),
    *_wrong("meetings", "adam", parity_default="DecayForgottenByDefault"),
)

RIGHT_BEYOND: tuple[Specimen, ...] = (
    *_right("carried", "adam", "AdamWeakMoments AdamGroupLists AdamCopiesItself"),
    *_right("carried", "sgd", "SGDOtherFile SGDNewBuffers"),
    *_right("carried", "lion", "LionGetstate"),
    *_right("carried", "adagrad", "AdagradEager"),
    *_right("manners", "adam", "AdamCached AdamBranches"),
    *_right("manners", "sgd", "SGDManualGrad SGDSortedForeach SGDSparse SGDUnscales SGDScratch SGDBackwards"),
    *_right("manners", "rmsprop", "RMSpropKeywords"),
    *_right("manners", "lion", "make_lion"),
)
