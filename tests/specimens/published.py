"""Specimens of rules that torch does not have."""

from tests.specimens import Specimen, _right

RIGHT_PUBLISHED: tuple[Specimen, ...] = (
    *_right("published_momentum", "sgdw", "SGDWByFactor"),
    *_right("published_momentum", "sgdw_scheduled", "SGDWScheduled"),
    *_right("published_momentum", "aggmo", "AggMoStacked AggMoThree"),
    *_right("published_momentum", "qhm", "QHMLerp QHMRenamed"),
    *_right("published_momentum", "tiger", "TigerWhere"),
    *_right("published_momentum", "adan", "AdanAhead AdanNegated"),
    *_right("published_momentum", "adan_paper", "AdanPaper"),
    *_right("published_momentum", "ademamix", "AdEMAMixTwoSteps AdEMAMixRenamed"),
    *_right("published_momentum", "ademamix_scheduled", "AdEMAMixScheduled"),
    *_right("published_moments", "qhadam", "QHAdamByMeans"),
    *_right("published_moments", "qhadam_weighted", "QHAdamWeighted"),
    *_right("published_moments", "adabelief", "AdaBeliefBySurprise AdaBeliefRenamed"),
    *_right("published_moments", "adabelief_eps_not_kept", "AdaBeliefEpsNotKept"),
    *_right("published_moments", "adabelief_rectified", "AdaBeliefRectified"),
    *_right("published_moments", "adabound", "AdaBoundClamped"),
    *_right("published_moments", "adabound_paper", "AdaBoundPaper"),
    *_right("published_moments", "yogi", "YogiWhere"),
    *_right("published_moments", "yogi_corrected", "YogiCorrected"),
    *_right("published_moments", "diffgrad", "DiffGradSigmoid"),
    *_right("published_moments", "diffgrad_eps_hat", "DiffGradEpsHat"),
    *_right("published_iterates", "adopt", "AdoptDivisor AdoptRenamed"),
    *_right("published_iterates", "adopt_clipped", "AdoptClipped"),
    *_right("published_iterates", "madgrad", "MadgradCubeRoot"),
    *_right("published_iterates", "madgrad_shifted", "MadgradShifted"),
    *_right("published_iterates", "schedule_free_sgd", "ScheduleFreeSGDDrawn"),
    *_right("published_iterates", "schedule_free_adamw", "ScheduleFreeAdamWDrawn"),
    *_right("published_iterates", "schedule_free_adamw_scaled", "ScheduleFreeAdamWScaled"),
)

WRONG_PUBLISHED: tuple[Specimen, ...] = ()
