"""A line search, judged by what it must reach and not by how: the strong Wolfe conditions (Nocedal & Wright, 3.7).

    f(x + s) <= f(x) + c1 g(x)'s        |g(x + s)'s| <= c2 |g(x)'s|

The first trial is the step that would be taken without a search; every other one lies on the same ray. A search may
end without the conditions when max_eval is reached, or when two points of its bracket are closer than 1e-9 or
tolerance_change; it may never end higher than it began.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flint import arb

from reference.quasi_newton.aim import Aim, Point, distance, numbers, same
from reference.quasi_newton.conventions import Undecided
from reference.quasi_newton.enclosure import Vector, at_most, below, largest_of
from reference.quasi_newton.trace import Evaluation

if TYPE_CHECKING:
    from reference.quasi_newton.reading import CallReading


# torch's search does not hear of tolerance_change
NARROW = 1e-9


class Search:
    """The search of one iteration: the evaluations from ``first`` on, and the one that is accepted.

    Args:
        call: the call that is read.
        aim: the first trial.
        last: whether max_iter allows no further iteration.
    """

    def __init__(self, call: CallReading, aim: Aim, last: bool):
        self.call, self.aim, self.last = call, aim, last
        self.a, self.first = call.a, call.used
        self.begin = call.seen[call.at]
        self.places = [call.at]

    def read(self) -> bool:
        """Judge the trials, and move to the accepted one; whether that was possible."""
        call = self.call
        if self.first == len(call.seen):
            stays = same(call.call.end, self.begin.point)
            if stays and call.used >= call.settings.max_eval:
                return False
            call.violate(
                "stop" if stays else "count",
                "it stopped here, and nothing says that it has to"
                if stays
                else "it moved with a line search that called the closure nowhere",
                f"len({call.name}.evaluations) > {self.first}",
            )
            return False
        aimed = call.judge_point(call.seen[self.first].point, f"{call.name}.evaluations[{self.first}].point", self.aim)
        if not aimed and not self.last:
            call.reading.lost = True  # where this iteration ends could only be told from where the next one leads
            return False
        try:
            end, accepted = self._end()
        except Undecided:
            call.reading.lost = True
            return False
        call.used = end
        self.places += range(self.first, end)
        if aimed:
            self._judge_ray()
        if accepted is None:
            call.violate(
                "search",
                "it ends at a point which it never evaluated",
                f"{call.name}.end in [e.point for e in {call.name}.evaluations]",
            )
            return False
        self._judge_accepted(accepted)
        call.at = accepted
        return True

    # -- where it ends -------------------------------------------------------------------------

    def _end(self) -> tuple[int, int | None]:
        """How many evaluations there are when it ends, and which of them it accepts."""
        call, seen = self.call, self.call.seen
        if not self.last:
            for end in range(self.first + 1, len(seen)):
                leads = {k: self._leads(seen[k], seen[end].point) for k in self._likely(end)}
                places = [k for k, leading in leads.items() if leading is not False]
                on_the_ray = self._off_ray(seen[end].point)[2] is None
                if len(places) > 1 or (places and (on_the_ray or leads[places[0]] is None)):
                    raise Undecided  # it may be another trial of this search as well
                if places:
                    return end, places[0]
        backwards = (*range(len(seen) - 1, self.first - 1, -1), call.at)
        return len(seen), next((k for k in backwards if self._is_near(seen[k].point, call.call.end)), None)

    def _likely(self, end: int) -> list[int]:
        """Evaluations that a search may accept: where the conditions may hold, and the lowest so far."""
        seen, trials = self.call.seen, range(self.first, end)
        lowest = min((self.call.at, *trials), key=lambda k: (seen[k].loss != seen[k].loss, seen[k].loss))
        hold = [k for k in trials if all(met is not False for met in self._conditions(seen[k]))]
        return list(dict.fromkeys((*hold, lowest)))

    def _conditions(self, there: Evaluation) -> tuple[bool | None, bool | None]:
        """Whether the loss has decreased enough, and whether the slope is small."""
        conventions, begin = self.call.reading.conventions, self.begin
        s = self._moved(there.point)
        slope, slope_there = (self.a.dot(numbers(e.gradient), s) for e in (begin, there))
        most = self.a.rounded(arb(begin.loss) + self.a.rounded(arb(conventions.armijo or 0) * slope))
        steepest = self.a.rounded(arb(conventions.wolfe or 0) * abs(slope))
        return (
            None if conventions.armijo is None else at_most(arb(there.loss), most),
            None if conventions.wolfe is None else at_most(abs(slope_there), steepest),
        )

    def _leads(self, place: Evaluation, point: Point) -> bool | None:
        """Whether an iteration that begins at one point tries the other one first; None where rounding hides it."""
        aim = self.call.next_aim(place)
        if aim is None:
            return None
        return (True if aim.tells() else None) if aim.fits(point) else False

    def _is_near(self, evaluated: Point, end: Point) -> bool:
        """Whether an optimizer that evaluated at one point may have come back to it at the other."""
        moves = [self.a.displacement(e, z) for e, z in zip(numbers(end), numbers(evaluated), strict=True)]
        return same(evaluated, end) or all(bool(m.contains(arb(0))) for m in moves)

    # -- judging -------------------------------------------------------------------------------

    def _moved(self, point: Point) -> Vector:
        here = numbers(self.begin.point)
        return [self.a.displacement(z, x) for z, x in zip(numbers(point), here, strict=True)]

    def _judge_ray(self) -> None:
        """Every trial is x + t d with t >= 0."""
        call = self.call
        for place in self.places[2:]:
            point = call.seen[place].point
            i, due, within = self._off_ray(point)
            name = f"{call.name}.evaluations[{place}].point[{i}]"
            if within is not None:
                call.violate(
                    "search",
                    f"a trial of the line search is not on the ray x + t d: element {i} is {point[i]:.9g}, and must be "
                    f"{due:.9g} where the longest element is",
                    f"abs({name} - {due!r}) <= {within!r}",
                )
                return
            if due < 0:
                x = self.begin.point[i]
                call.violate(
                    "search",
                    f"a trial of the line search is behind the point where it began: element {i} went from {x:.9g} to "
                    f"{point[i]:.9g}, against the direction",
                    f"({name} - {x!r}) * {float(self.aim.around[i].mid())!r} >= 0",
                )
                return

    def _off_ray(self, point: Point) -> tuple[int, float, float | None]:
        """Whether a point is off the ray: an element that is, where it must be, and within what.

        For a point that may be on the ray: the element with the longest move, t in it, and None.
        """
        around, moved = self.aim.around, self._moved(point)
        sizes = [abs(d).lower() for d in around]
        top = max(range(len(sizes)), key=lambda i: float(sizes[i]) if sizes[i].is_finite() else -1.0)
        t = moved[top] / around[top]
        for i, (m, d) in enumerate(zip(moved, around, strict=True)):
            due = t * d
            if m.is_finite() and due.is_finite() and not (m - due).overlaps(arb(0)):
                within = distance(m - due, m.mid() - due.mid())
                return i, self.begin.point[i] + float(due.mid()), float(within)
        return top, float(t.upper()), None

    def _judge_accepted(self, place: int) -> None:
        call, begin, there = self.call, self.begin, self.call.seen[place]
        names = f"{call.name}.evaluations"
        there_name = f"ending({call.name})" if same(there.point, call.call.end) else f"{names}[{place}]"
        lower = at_most(arb(there.loss), self.a.rounded(arb(begin.loss)))
        if place == call.at:
            if not self._may_give_up():
                call.violate(
                    "search",
                    f"the line search gives up after {call.used - self.first} trials, with max_eval not reached and no "
                    "bracket narrower than tolerance_change",
                    f"{call.name}.end != {names}[{call.at}].point",
                )
            return
        rises = math.isfinite(begin.loss) and (lower is False or math.isnan(there.loss))
        if rises and call.reading.conventions.armijo is not None:
            call.violate(
                "search",
                f"the line search ends where the loss is {there.loss:.9g}, and began where it is {begin.loss:.9g}",
                f"{there_name}.loss <= {names}[{call.at}].loss",
            )
            return
        decreased, flat = self._conditions(there)
        if (decreased is False or flat is False) and not self._may_give_up():
            s = self._moved(there.point)
            slopes = [float(self.a.dot(numbers(e.gradient), s).mid()) for e in (begin, there)]
            condition, test = (
                ("f(x + s) <= f(x) + c1 g's", "sufficient_decrease")
                if decreased is False
                else ("|g(x + s)'s| <= c2 |g's|", "small_slope")
            )
            call.violate(
                "search",
                f"the line search accepts a point that does not satisfy {condition}: f from {begin.loss:.9g} to "
                f"{there.loss:.9g}, g's from {slopes[0]:.3g} to {slopes[1]:.3g}",
                f"{test}({names}[{call.at}], {there_name})",
            )

    def _may_give_up(self) -> bool:
        """Whether a limit was reached, or may have been."""
        call = self.call
        if call.used >= call.settings.max_eval:
            return True
        seen: list[Evaluation] = [call.seen[place] for place in self.places]
        narrow = call.given("tolerance_change").max(self.a.rounded(arb(NARROW)))
        for k, one in enumerate(seen):
            for other in seen[k + 1 :]:
                apart = [
                    self.a.displacement(b, a) for a, b in zip(numbers(one.point), numbers(other.point), strict=True)
                ]
                if below(largest_of([abs(x) for x in apart]), narrow) is not False:
                    return True
        return False
