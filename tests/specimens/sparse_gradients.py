"""Specimens for sparse gradients: lazy Adam, and plain rules that take both kinds."""

from tests.specimens import Specimen, _right, _wrong

WRONG_SPARSE: tuple[Specimen, ...] = (
    *_wrong(
        "sparse",
        "sparse_adam",
        rule_sparse="AbsentMove AbsentMomentsDecay AbsentSecondMomentDecays AbsentCaughtUp LastEntryWins EntriesAveraged "
        "EntriesSquaredOneByOne EntryOfZeroSkipped NoEntriesCrash WritesIntoEntries ColumnsForRows RowsOfElements "
        "CountsRows NoEntriesNoStep CorrectedByOwnCount",
        contract_gradients="CoalescesForCaller",
    ),
    *_wrong("sparse", "sgd", rule_sparse="MomentumOfEntries MomentumOfAbsentLost"),
    *_wrong("sparse", "adagrad", rule_sparse="SumOfSquaredEntries"),
)

RIGHT_SPARSE: tuple[Specimen, ...] = (
    *_right("sparse", "sparse_adam", "LazyAdamMasked LazyAdamSorted LazyAdamByUnique"),
    *_right("sparse", "sgd", "SGDEntryByEntry"),
    *_right("sparse", "adagrad", "AdagradOfEntries"),
)
