"""Family ``rule``: steps on sparse gradients, as ``nn.Embedding(sparse=True)`` and ``gather(sparse_grad=True)`` make
them."""

from __future__ import annotations

from collections.abc import Iterator

from reference.rule import Options
from verify.checks import check
from verify.checks.context import Context, Report, search
from verify.checks.programs import plainly, settings
from verify.outcome import Outcome
from verify.program import SPARSE, Filling, Parameter, Program, Repeat, Step
from verify.strategies import sparse_programs


def refuses(outcome: Outcome) -> bool:
    """Whether the subject says in words that it takes no such sparse gradient (contract.sparse looks at the words)."""
    text = outcome.error or ""
    return "sparse" in text.lower() and "Could not run" not in text


def _rows(*present: int, at: int = 0, of: int = 7, width: int = 3, form: str = "rows") -> Filling:
    """Ordinary numbers in some rows of a matrix, and zeros in the others."""
    numbers = plainly(at).values or ()
    values = [numbers[(width * r + c) % len(numbers)] if r in present else 0.0 for r in range(of) for c in range(width)]
    return Filling(values=tuple(values), sparse=form)


def _embedding(context: Context, options: Options, values: dict[str, float], number: int) -> Iterator[Program]:
    """A matrix whose rows come and go: first none at all, then some, some twice, all, other ones, and none again."""
    steps = (
        _rows(0, 2, 5, at=1),
        _rows(1, 2, at=7, form="twice"),
        _rows(at=2),
        _rows(*range(7), at=13),
        _rows(6, 3, at=19),
        _rows(2, at=23, form="stored"),
        _rows(0, 5, at=29, form="parts"),
    )
    late = (steps[2], *steps[:2], *steps[3:])
    for order in (steps, late):
        for k, repeated in enumerate((False, True)):
            operations = [Step((g,)) for g in order[: len(order) - k]]
            yield context.program(
                groups=(values,),
                options=dict(options),
                parameters=(Parameter((7, 3), 0, plainly(number)),),
                operations=(operations[0], Repeat(), *operations[1:], Repeat()) if repeated else tuple(operations),
            )


def _shapes(context: Context, options: Options, values: dict[str, float], number: int) -> Iterator[Program]:
    """Every form on a vector, a matrix and a box, each step with entries elsewhere, beside a dense gradient."""
    parameters = tuple(Parameter(shape, 0, Filling(40 * number + len(shape))) for shape in ((65,), (9, 4), (4, 2, 3)))
    beside = Parameter((5,), 0, Filling(9))
    for k, form in enumerate(SPARSE):
        steps = [
            Step((*(Filling(500 * k + 77 * j + 3 * i, sparse=form) for i in range(3)), Filling(31 * j + k)))
            for j in range(3)
        ]
        yield context.program(
            groups=(values,), options=dict(options), parameters=(*parameters, beside), operations=tuple(steps)
        )


def _mixed(context: Context, options: Options, values: dict[str, float]) -> Iterator[Program]:
    """Dense gradients first and sparse ones after them, or none in between."""
    for steps in ((plainly(1), _rows(1, 4, at=5), plainly(9), _rows(0, at=3)), (_rows(1, at=5), None, _rows(2, at=8))):
        yield context.program(
            groups=(values,),
            options=dict(options),
            parameters=(Parameter((7, 3), 0, plainly(4)), Parameter((2,), 0, plainly(6))),
            operations=tuple(Step((g, plainly(3 * k))) for k, g in enumerate(steps)),
        )


def programs(context: Context) -> Iterator[Program]:
    """What every run tries, for each setting that the subject takes with sparse gradients."""
    for number, (options, values) in enumerate(settings(context)):
        for candidate in _milder(context, options, values):
            first = next(_embedding(context, options, candidate, number))
            if not refuses(context.run(first)):
                yield from _embedding(context, options, candidate, number)
                yield from _shapes(context, options, candidate, number)
                yield from _mixed(context, options, candidate)
                break


def _milder(context: Context, options: Options, values: dict[str, float]) -> Iterator[dict[str, float]]:
    """The values, then without what may be switched off: weight decay is seldom taken with sparse gradients."""
    rule, fixed = context.loaded.rule, context.loaded.fixed
    off = [h.name for h in rule.hyperparameters if h.name in values and h.absent == 0]
    for names in ([], *([name] for name in off), off):
        milder = {**values, **dict.fromkeys(names, 0.0)}
        if rule.constraint({**rule.defaults, **fixed, **milder}, options):
            yield milder


def _judged(context: Context, program: Program) -> Outcome:
    """Judged by the reference; what is refused in words shows nothing."""
    outcome = context.run(program)
    return Outcome(unsupported=outcome.error) if outcome.error and refuses(outcome) else outcome


@check(
    "rule.sparse",
    "A sparse gradient counts as the sum of its entries; what has none follows the rule: a gradient of zero, or nothing.",
    needs=("rule", "sparse"),
    judge=_judged,
)
def sparse(context: Context) -> Report:
    """Matrices whose rows come and go from step to step, as those of an embedding do; with no row at all, also in the
    first step; all rows; rows that are given two and three times, out of order; entries that are zero; entries that
    are single elements (sparse_dim = ndim); the same gradient again, and dense gradients before and after. Each with
    a dense gradient beside it, where the subject takes one, and bulk programs of all that.

    An element without an entry has a gradient of zero, unless the rule is lazy: then parameter and state of it must
    stay, bit for bit. Entries that are given n times may be added up in any order and one by one: the allowance is n
    times as large, and n - 1 roundings of the sum of their sizes. What is refused in words is not tried, such as
    torch's weight decay.

    Bugs of this kind: duplicates of which the last one wins, or that are squared before they are added; a crash
    where nothing was looked up; moments of rows that decay though nobody asked for them; a step counted per row;
    indices that are taken for those of another axis.
    """
    report, reasons = Report(), []

    def judge(program: Program) -> Outcome:
        outcome = _judged(context, program)
        reasons.append(outcome.unsupported)
        return outcome

    if context.begin(report, judge):
        return report
    given = list(programs(context))
    if not given:
        return report.not_applicable("it refuses sparse gradients, in words")
    for program in given:
        outcome = judge(program)
        report.record(outcome)
        if outcome.failed and context.refute(report, program, outcome, judge):
            return report
    drawn = sparse_programs(context.loaded.rule, lanes=context.budget.lanes // 4, **context.strategy_arguments)
    search(context, report, drawn, context.budget.programs, judge=judge, salt=41)
    if all(reasons):
        report.not_applicable(f"it refuses: {reasons[0]}")
    return report
