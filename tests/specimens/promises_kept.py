"""Specimens for promises that are easily forgotten: late groups, kinds of lr, closures that raise, memory, manners."""

from tests.specimens import Specimen, _right, _wrong

WRONG_PROMISES: tuple[Specimen, ...] = (
    *_wrong(
        "manners_arguments",
        "sgd",
        contract_construction="LateSharedTaken LateTensorIterated LateSetTaken LateNonLeafTaken RefusedGroupStays "
        "FrozenLeftOut FrozenRefused",
        contract_zero_grad="ZeroGradOfFirstList ZeroGradSparesFrozen ZeroGradOnGraph ZeroGradResetsVelocity "
        "ZeroGradForgets",
        contract_lr_types="OnlyFloatsCount",
        contract_tensor_lr="TensorLrRemembered TensorLrCrashes",
    ),
    *_wrong("manners_arguments", "adam", contract_lr_types="IntLrRefused IntLrTruncates"),
    *_wrong(
        "manners_steps",
        "sgd",
        contract_closure="CollectsBeforeClosure BusyAfterError ErrorSwallowed LrBeforeClosure",
        contract_grad_mode="GradientTakenOut GradOffAfterRefusal",
        contract_parameters="WritesToData ClipsByHook HooksAfterAccumulation ClipsInAccumulator",
    ),
    *_wrong("manners_steps", "heavy_ball", contract_grad_mode="VelocityOnGraph"),
    *_wrong(
        "manners_steps",
        "adam",
        contract_closure="CountsBeforeClosure",
        contract_state="StepsInInference",
    ),
    *_wrong("manners_steps", "adamw", contract_compile="MaximizeLostWhenCompiled"),
    *_wrong(
        "manners_company",
        "sgd",
        contract_schedulers="LoadsKnownKeys",
        contract_neighbours="DefaultsOfClass VelocityOnTensor",
        contract_memory="LossKept LogGrows LogOfClass",
    ),
    *_wrong(
        "manners_company",
        "adam",
        contract_schedulers="SavesKnownKeys",
        contract_memory="GradientsKept MomentsFromEmpty",
    ),
    *_wrong("manners_company", "lion", contract_neighbours="SharedByUsers"),
    *_wrong(
        "manners_isolation",
        "sgd",
        contract_side_effects="WarningsSilenced PythonSeeded NumpyDrawn CollectorSwitchedOff VariableSet "
        "NumpyErrorsRaise PrecisionLowered MemoryUnfilled DirectoryLeft",
    ),
)

RIGHT_PROMISES: tuple[Specimen, ...] = (
    *_right(
        "courtesies",
        "sgd",
        "SGDLrAsNumber SGDRefusesTensorLr SGDWindow SGDAfterClosure SGDOwnGroups SGDNewMemory",
    ),
)
