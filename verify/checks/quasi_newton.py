"""Family ``rule`` for quasi-Newton rules: whole calls of step(), with closures that really minimise something."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from verify.checks import FORMULA_DTYPES, check
from verify.checks.context import Context, Report, search, try_all
from verify.driver import quiet
from verify.outcome import Outcome
from verify.program import Program
from verify.quasi_newton.judge import judge
from verify.quasi_newton.mistakes import measure
from verify.quasi_newton.programs import CLAIMS, drawn

PLACE = {"implementations": ("for-loop",), "kind": "quasi_newton"}


def claims(id: str, claim: str, salt: int = 0) -> Callable:
    """Register a check of a claim; the function below it is its explanation."""
    tried = CLAIMS[id]

    def one(context: Context, program: Program) -> Outcome:
        with quiet():
            outcome, _ = judge(context.loaded, program, tried.kinds, context.in_subject)
        outcome.worst = {"p": max(outcome.worst.get("p", 0.0), context.worst.get("p", 0.0))}
        context.worst = dict(outcome.worst)
        return outcome

    def register(explanation: Callable[[], None]) -> Callable[[], None]:
        @wraps(explanation)
        def run(context: Context) -> Report:
            report, programs = Report(), tried.offered(context)
            if not programs:
                return report.not_applicable("the constructor has no argument for a line search")

            def judged(program: Program) -> Outcome:
                return one(context, program)

            if not try_all(context, report, programs, judged) and tried.drawn is not None:
                more = drawn(context, strong_wolfe=tried.drawn)
                search(context, report, more, 2 * context.budget.programs, judge=judged, salt=salt)
            return report

        check(id, claim, judge=one, dtypes=FORMULA_DTYPES, **PLACE)(run)
        return explanation

    return register


@claims(
    "rule.direction",
    "Every step leads along -H g, the first one by min(1, 1/|g|_1) lr and later ones by lr.",
    salt=41,
)
def direction() -> None:
    """Quadratics, valleys and quartics in up to eight variables are minimised without a line search, and every point
    at which the closure is called is compared with the end of the step that was due.

    H is the dense BFGS matrix (Nocedal & Wright 2006, equation 6.17) of the pairs that were really seen, in exact
    arithmetic. The allowance of each element is the farthest that the two-loop recursion, or the product with the
    matrix, can come out in the precision of the parameters: both are evaluated in balls that hold every rounding.
    Every iteration starts from the points and gradients that were really there, so each is judged alone.

    Bugs of this kind: gamma missing or inverted, the sign of beta, alphas in the wrong order, lr twice, y from the
    wrong gradients, the first step not scaled, a missing gradient not taken as zero.
    """


@claims(
    "rule.curvature",
    "The history takes pairs with y's > 1e-10, the newest history_size of them, and gamma is that of the newest.",
    salt=42,
)
def curvature() -> None:
    """As rule.direction, with more iterations than the history holds, with curvature of both signs and of none, and
    with y's on both sides of its threshold while s's or y'y is on the other one.

    Bugs of this kind: the oldest pair is kept or the newest is lost, no pair is left out, the threshold is on another
    quantity, every call of step() begins anew.
    """


@claims(
    "rule.line_search",
    "A line search starts with the step of rule.direction and ends where the strong Wolfe conditions hold.",
    salt=43,
)
def line_search() -> None:
    """The conditions are checked and not the iterates: f(x + s) <= f(x) + c1 g's and |g(x + s)'s| <= c2 |g's| with
    c1 = 1e-4 and c2 = 0.9 (Nocedal & Wright 2006, equation 3.7) where it ends, every trial on the ray, and no end
    that is higher than the start. A search may end without them when max_eval is reached, or its bracket is narrower
    than 1e-9 or tolerance_change.

    Where several iterations are done in one call, the end of a search is told from where the next one starts.

    Bugs of this kind: sufficient decrease alone is asked for, or a small slope alone; c1 and c2 swapped.
    """


@claims(
    "rule.evaluations",
    "step() returns the loss of its first evaluation, counts evaluations right, and goes on where the last call ended.",
)
def evaluations() -> None:
    """Several calls of step(), on one objective or on two by turns; with lr edited between them, from a copy, and from
    a state dict that was loaded into a fresh instance. The closure must run first, at the parameters as they are, and
    under enable_grad(); after a step it is called at the new point, unless that was the last of max_iter.
    """


@claims("rule.stopping", "A call ends when max_iter, max_eval or a tolerance is reached, and not before.")
def stopping() -> None:
    """Each reason is met alone, at the start, after some iterations and never: max |g| <= tolerance_grad,
    g'd > -tolerance_change, no element moved by more than tolerance_change, the loss changed by less than it,
    max_iter, max_eval; and objectives that are constant, or begin at their minimum. What rounding leaves open may go
    either way.
    """


@claims("rule.max_eval", "No call of step() calls the closure more often than max_eval.")
def max_eval() -> None:
    """Small values of max_eval, with and without a line search, also on objectives on which a search finds nothing."""


@claims(
    "rule.undefined",
    "Where the loss is nan or infinite, step() comes back within its limits, and a line search does not end there.",
)
def undefined() -> None:
    """A logarithm is minimised with steps that leave its domain: the loss is nan beyond zero, while the gradient is
    finite. What lies between finite points is judged as ever.
    """


@claims(
    "rule.resized",
    "history_size may be edited in the param group: what is more than it allows is forgotten, and nothing else.",
)
def resized() -> None:
    """The history is made smaller, and larger, between two calls of step()."""


@check(
    "rule.mistakes",
    "The minimisations of the run tell the rule apart from every known way to get it wrong.",
    dtypes=("float64",),
    **PLACE,
)
def mistakes(context: Context) -> Report:
    """Every variant of the rule (`optim-verify explain lbfgs` lists them) minimises what the other checks minimise, in
    exact arithmetic, and is judged as the subject is. A variant that is not refuted by any of it is named.
    """
    report = Report()
    report.power = measure(context).to_json()
    return report
