"""Check ``rule.power``: whether the programs of a run would have caught the known ways to get the rule wrong."""

from __future__ import annotations

from reference.variants import variants
from verify.checks import check
from verify.checks.context import Context, Report, search
from verify.checks.programs import scenarios, sweep
from verify.outcome import Outcome
from verify.power import MOST_LANES, Power, measure, tells_apart
from verify.program import Program
from verify.strategies import bulk_programs, programs

# seconds for proving that a variant which nothing tells apart is equal to the rule
PROOF_SECONDS = 2.0
MOST_PROOFS = 5
# longest drawn program
STEPS = 6


@check(
    "rule.power",
    "The programs of the run tell the rule apart from every known way to get it wrong.",
    dtypes=("float32",),
    implementations=("for-loop",),
    needs=("rule",),
)
def power(context: Context) -> Report:
    """Every variant of the rule (`optim-verify explain RULE` lists them) is walked through the programs that rule.step
    and groups.hyperparameters run, as if it were the subject, and judged as the subject is. What no program tells
    apart is looked for: programs are drawn until the budget ends, and those that tell a further variant apart are run
    on the subject too. A variant that is left is named, with the reason where one is known: equal by proof.

    It fails when the subject fails one of the programs that were looked for.
    """
    report, loaded = Report(), context.loaded
    known = variants(loaded.rule)
    if context.budget.name == "quick":
        known = tuple(v for v in known if v.named)
    power = measure(loaded, [*sweep(context), *scenarios(context)], known)
    left = {v.name: v.rule for v in known if v.name in power.missed}

    def judge(program: Program) -> Outcome:
        if not left:
            return Outcome()
        caught = [name for name, rule in left.items() if tells_apart(loaded, program, loaded.rule, rule)]
        for name in caught:
            del left[name], power.missed[name]
        return context.run(program) if caught else Outcome()

    if left:
        own = context.strategy_arguments
        drawn = bulk_programs(loaded.rule, lanes=MOST_LANES, steps=STEPS, **own)
        several = programs(loaded.rule, editable=context.editable, **own)
        # following a matrix through its iterations takes long
        most = context.budget.programs * (1 if loaded.rule.has_matrices else 4)
        search(context, report, drawn | several, most, judge=judge, salt=31)
    _explain(loaded, left, power)
    report.power = power.to_json()
    return report


def _explain(loaded, left, power: Power) -> None:
    """Say why a variant cannot be told apart, where that can be proved."""
    from reference.equivalence import equal

    for name, rule in list(left.items())[:MOST_PROOFS]:
        if rule.lazy == loaded.rule.lazy and equal(loaded.rule, rule, seconds=PROOF_SECONDS).status == "proved":
            power.missed[name] = "equal to the rule, by proof"
