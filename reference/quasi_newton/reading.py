"""A trace held against the conventions: every move, every pair, every reason to stop.

What is judged is what a call did, one iteration after another. Each iteration starts from the point and the gradient
that were really there, and from the pairs of points and gradients that were really seen, so that a mistake is
reported where it is made and what follows is judged anew. A decision that rounding leaves open (is a tolerance met)
may go either way; where the history itself is left open, the rest of the trace is not judged, and counted as such.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import flint
from flint import arb

from reference.quasi_newton.aim import Aim, Point, distance, numbers, same
from reference.quasi_newton.conventions import CONVENTIONS, Conventions, Settings, Undecided
from reference.quasi_newton.enclosure import EXACT, Enclosure, Number, Vector, at_most, below, largest_of
from reference.quasi_newton.history import Histories
from reference.quasi_newton.search import Search
from reference.quasi_newton.trace import Call, Evaluation
from reference.rounding import Precision

BITS = 320


@dataclass(frozen=True)
class Violation:
    """Something that the conventions do not allow.

    Args:
        kind: ``"move"``, ``"search"``, ``"stop"``, ``"count"`` or ``"limit"``.
        sentence: what was seen, and what must be.
        test: a Python expression over ``calls``, the trace, which is true when it is right.
    """

    kind: str
    sentence: str
    test: str


@dataclass
class Reading:
    """All calls of one optimizer, read in order.

    Args:
        settings: what the optimizer was built with.
        precision: of the parameters.
        conventions: what it is held against.
        violations: what was found.
        worst: the largest ratio of error to allowance of a move that was right.
        iterations, judged, not_verified: how many iterations there were, and elements of how many moves were judged,
            or could not be.
        lost: whether the rest of the trace can no longer be judged.
    """

    settings: Settings
    precision: Precision
    conventions: Conventions = CONVENTIONS
    violations: list[Violation] = field(default_factory=list)
    worst: float = 0.0
    iterations: int = 0
    judged: int = 0
    not_verified: int = 0
    lost: bool = False
    calls: int = 0
    evaluations: int = 0

    def __post_init__(self) -> None:
        self.a = Enclosure(self.precision)
        self.forget()

    def forget(self) -> None:
        self.iterations, self.histories = 0, Histories.empty(self.conventions, self.a)

    def read(self, call: Call) -> None:
        """Judge one call of step()."""
        with flint.ctx.workprec(BITS):
            CallReading(self, call).read()
        self.calls += 1


class CallReading:
    """One call of step(): ``at`` is the evaluation at the present point, ``used`` the number of those so far."""

    def __init__(self, reading: Reading, call: Call):
        self.reading, self.call, self.a = reading, call, reading.a
        self.settings, self.seen = reading.settings, call.evaluations
        self.at, self.used = 0, 1
        self.name = f"calls[{reading.calls}]"

    def read(self) -> None:
        if not self.seen:
            self.violate("count", "the closure was not called", f"len({self.name}.evaluations) > 0")
            return
        self._counts()
        if not same(self.seen[0].point, self.call.start):
            self.violate(
                "count",
                "the parameters had moved before the closure was called for the first time",
                f"{self.name}.evaluations[0].point == {self.name}.start",
            )
            return
        if self.reading.conventions.forgets:
            self.reading.forget()
        if self._is_over("max |g| <= tolerance_grad at the start", self._optimal(self.seen[0])):
            return
        for iteration in range(1, self.settings.max_iter + 1):
            if self.reading.lost or not self._iterate(last=iteration == self.settings.max_iter):
                return

    # -- one iteration -------------------------------------------------------------------------

    def _iterate(self, last: bool) -> bool:
        """Whether another one may follow."""
        reading, here = self.reading, self.seen[self.at]
        try:
            reading.histories = self._learnt(here)
        except Undecided:
            reading.lost = True
            return False
        reading.iterations += 1
        aim = self._aim(here, reading.histories, first=reading.iterations == 1)
        slope = self.a.dot(numbers(here.gradient), aim.around)
        ascends = at_most(slope, -self.given("tolerance_change"))
        if self._is_over("g'd > -tolerance_change", None if ascends is None else not ascends):
            return False
        moved = Search(self, aim, last).read() if self.settings.strong_wolfe else self._move(aim, last)
        return moved and not self._ends(here, last)

    def _learnt(self, here: Evaluation) -> Histories:
        return self.reading.histories.after(
            numbers(here.point), numbers(here.gradient), self.settings.lr, self.settings.history_size
        )

    def _aim(self, here: Evaluation, histories: Histories, first: bool) -> Aim:
        """The step that is due, with balls around it that hold what an implementation may get."""
        g = numbers(here.gradient)
        exact = histories.exact.directions(g)[0]
        forms = histories.rounded.directions(g)
        around = [d + arb(0, largest_of([distance(form[i], d) for form in forms])) for i, d in enumerate(exact)]
        t, t_around = (self._length(g, first, a) for a in (EXACT, self.a))
        return Aim(self.a, here.point, exact, around, t, t_around)

    def _length(self, g: Vector, first: bool, a) -> Number:
        lr, conventions = a.rounded(arb(self.settings.lr)), self.reading.conventions
        return (conventions.first_length if first else conventions.length)(g, lr, a)

    def next_aim(self, here: Evaluation) -> Aim | None:
        """The step that would be due in a next iteration from here; None where that depends on rounding."""
        try:
            return self._aim(here, self._learnt(here), first=False)
        except Undecided:
            return None

    def _move(self, aim: Aim, last: bool) -> bool:
        """A step of the given length, and the evaluation after it; whether it went on from there."""
        follows = self.used < len(self.seen)
        target = self.seen[self.used].point if follows else self.call.end
        name = f"{self.name}.evaluations[{self.used}].point" if follows else f"{self.name}.end"
        stays = not follows and same(target, aim.here)
        if stays and self.used > 1 and not aim.fits(target):
            self.violate("stop", "it stopped here, and nothing says that it has to", f"{name} != {aim.here!r}")
            return False
        self.judge_point(target, name, aim)
        if last:
            if follows:
                self.violate(
                    "stop",
                    f"it goes on after {self.settings.max_iter} iterations, which are max_iter",
                    f"len({self.name}.evaluations) <= {self.used}",
                )
            return False
        if not follows:
            if not stays and self.used < self.settings.max_eval:
                self.violate(
                    "count",
                    "it moved and did not call the closure where it came to, although max_iter is not reached",
                    f"len({self.name}.evaluations) > {self.used}",
                )
            return False
        self.at, self.used = self.used, self.used + 1
        return True

    def judge_point(self, point: Point, name: str, aim: Aim) -> bool:
        """Whether a point is where the step leads, and a violation if it is not."""
        reading = self.reading
        ratios = aim.ratios(point)
        told = [r for r in ratios if r is not None]
        reading.judged += len(ratios)
        reading.not_verified += len(ratios) - len(told)
        worst = max(told, default=0.0)
        if worst <= 1:
            reading.worst = max(reading.worst, worst)
            return True
        at = ratios.index(worst)
        got, within = point[at], float(aim.allowances[at])
        exact = 0.0 if aim.ends[at].contains(arb(0)) else float(aim.ends[at].mid())
        where = "the first step" if reading.iterations == 1 else f"the step of iteration {reading.iterations}"
        self.violate(
            "move",
            f"{where} leads from {aim.here[at]:.9g} to {got:.9g} in element {at}, and must lead to {exact:.9g}: "
            f"{worst:.3g} × allowance",
            f"abs({name}[{at}] - {exact!r}) <= {within!r}",
        )
        return False

    # -- stopping ------------------------------------------------------------------------------

    def given(self, name: str) -> arb:
        """A tolerance, which is rounded where it is compared with a tensor."""
        return self.a.rounded(arb(getattr(self.settings, name)))

    def _optimal(self, there: Evaluation) -> bool | None:
        return at_most(self.reading.conventions.size(numbers(there.gradient)), self.given("tolerance_grad"))

    def _ends(self, before: Evaluation, last: bool) -> bool:
        """Whether a call is over after an iteration, and a violation if it goes on all the same."""
        there, settings = self.seen[self.at], self.settings
        moves = zip(numbers(there.point), numbers(before.point), strict=True)
        moved = largest_of([abs(self.a.displacement(z, x)) for z, x in moves])
        changed = abs(arb(there.loss) - arb(before.loss))
        reasons = {
            f"{settings.max_iter} iterations are max_iter": last,
            f"{self.used} evaluations reach max_eval": self.used >= settings.max_eval,
            "max |g| <= tolerance_grad": self._optimal(there),
            "no element moved by more than tolerance_change": at_most(moved, self.given("tolerance_change")),
            "the loss changed by less than tolerance_change": below(changed, self.given("tolerance_change")),
        }
        for reason, met in reasons.items():
            if met:
                return self._is_over(reason, True)
        return any(self._is_over(reason, met) for reason, met in reasons.items())

    def _is_over(self, reason: str, met: bool | None) -> bool:
        """Whether the call ends for a reason, and a violation if it must and does not."""
        more = self.used < len(self.seen)
        here = f"{self.name}.evaluations[{self.at}].point"
        gone = not same(self.call.end, self.seen[self.at].point) and not self.settings.strong_wolfe
        if met is None:
            return not more and not gone
        if met and (more or gone):
            test = f"len({self.name}.evaluations) <= {self.used}" if more else f"{self.name}.end == {here}"
            self.violate("stop", f"it goes on, and must end: {reason}", test)
        return met

    def _counts(self) -> None:
        """What the call says of itself, and how often it may call the closure."""
        call, evaluations = self.call, f"{self.name}.evaluations"
        loss, got, count = self.seen[0].loss, call.returned, len(self.seen)
        self.reading.evaluations += count
        if got is None or not (got == loss or (got != got and loss != loss)):
            self.violate(
                "count",
                f"it returned {'no number' if got is None else f'{got:.9g}'}, and must return the loss of the first "
                f"evaluation, {loss:.9g}",
                f"{self.name}.returned == {evaluations}[0].loss",
            )
        if call.without_grad:
            self.violate(
                "count",
                "the closure was called with gradients disabled; it must run under enable_grad()",
                f"not {self.name}.without_grad",
            )
        if call.counted is not None and call.counted != self.reading.evaluations:
            self.violate(
                "count",
                f"func_evals is {call.counted} after {self.reading.evaluations} calls of the closure",
                f"{self.name}.counted == sum(len(c.evaluations) for c in calls[: {self.reading.calls + 1}])",
            )
        if count > self.settings.max_eval:
            self.violate(
                "limit",
                f"it called the closure {count} times, and max_eval is {self.settings.max_eval:g}",
                f"len({evaluations}) <= {self.settings.max_eval:g}",
            )

    def violate(self, kind: str, sentence: str, test: str) -> None:
        place = f"in call {self.reading.calls + 1} of step(), "
        self.reading.violations.append(Violation(kind, place + sentence, test))
