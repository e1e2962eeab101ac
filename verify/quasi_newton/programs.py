"""What quasi-Newton optimizers are tried on: a few fixed minimisations for each claim, and drawn ones.

Objectives are chosen for what they show, not for being hard: their minimum is near the origin, so that the steps are
not small beside the points, and few iterations are taken, before rounding is all that is left of a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from verify.checks.context import Context
from verify.program import Edit, Filling, Minimise, Operation, Parameter, Program, Reload

# nothing stops a minimisation but max_iter and max_eval
UNSTOPPED = {
    "lr": 0.5,
    "max_iter": 1,
    "max_eval": 60,
    "tolerance_grad": 0.0,
    "tolerance_change": 0.0,
    "history_size": 8,
}
SMOOTH = ("quadratic", "rosenbrock", "himmelblau", "quartic")
SHAPES = ((3,), (2, 2), ())
COEFFICIENTS = (1.0, 2.0, 0.5, 3.0)
STARTS = (1.0, -0.5, 1.5, 0.25, -1.25, 0.75, 2.0, -1.0)


def program(
    context: Context,
    *operations: Operation,
    shapes: tuple[tuple[int, ...], ...] = ((3,), (2,)),
    starts: tuple[float, ...] = STARTS,
    strong_wolfe: bool = False,
    **values: Any,
) -> Program:
    """A program of one group; what the subject does not take keeps the value that it has there."""
    own = {k: v for k, v in {**UNSTOPPED, **values}.items() if k not in context.loaded.fixed}
    return context.program(
        groups=(own,),
        options={"strong_wolfe": strong_wolfe} if "strong_wolfe" in context.loaded.options else {},
        parameters=tuple(
            Parameter(shape, 0, Filling(values=(*starts[k:], *starts[:k]))) for k, shape in enumerate(shapes)
        ),
        operations=operations,
    )


def steps(objective: str, count: int, *coefficients: float, unused: int = -1) -> tuple[Minimise, ...]:
    return (Minimise(objective, coefficients or COEFFICIENTS, unused),) * count


def directions(context: Context) -> Iterator[Program]:
    """Curvature that is positive, and no more iterations than the history holds."""
    for objective in SMOOTH:
        yield program(context, *steps(objective, 6))
        yield program(context, *steps(objective, 2), max_iter=4, lr=0.25)
    yield program(context, *steps("quadratic", 5, 0.125, 8.0), shapes=SHAPES, lr=1.0)
    # |g|_1 is below 1, where the first step is not shortened
    yield program(context, *steps("quadratic", 3, 0.01, 0.02), shapes=((2,),), lr=2.0)
    yield program(context, *steps("quartic", 4, unused=1), shapes=SHAPES)
    yield program(context, *steps("quadratic", 5, 3.0), shapes=((1,),), lr=0.5)


def curvatures(context: Context) -> Iterator[Program]:
    """Pairs that are forgotten, and pairs that are left out."""
    for size in (1, 2, 3):
        yield program(context, *steps("quartic", 7), history_size=size)
        yield program(context, *steps("quadratic", 3), history_size=size, max_iter=3)
    yield program(context, *steps("quadratic", 6, 1.0, -2.0, 0.5), history_size=3)
    yield program(context, *steps("waves", 8, 2.0, 1.0, 3.0), history_size=3)
    yield program(context, *steps("himmelblau", 8), history_size=3)
    yield program(context, *steps("linear", 4))
    yield program(context, *steps("absolute", 6))
    for curvature, start, lr in THRESHOLDS:
        yield program(context, *steps("quadratic", 3, curvature), shapes=((2,),), starts=(start, -0.5 * start), lr=lr)


def searches(context: Context) -> Iterator[Program]:
    """Line searches, one in every call and several."""
    for objective in (*SMOOTH, "waves", "absolute"):
        yield program(context, *steps(objective, 5), strong_wolfe=True)
        yield program(context, *steps(objective, 3), strong_wolfe=True, lr=8.0)
    for objective in ("quadratic", "rosenbrock", "quartic"):
        yield program(context, *steps(objective, 2), strong_wolfe=True, max_iter=3)
    for lr in (0.01, 1.0, 30.0):
        yield program(context, *steps("waves", 3, 4.0), shapes=((1,),), starts=(2.5,), strong_wolfe=True, lr=lr)
    # the first trial is the bottom of the next valley, lower than the start by half of what is asked for
    yield program(context, *steps("waves", 1, 4.0), shapes=((1,),), starts=VALLEY[:1], strong_wolfe=True, lr=VALLEY[1])


def evaluations(context: Context) -> Iterator[Program]:
    """How often the closure is called, and what is made of the answers, from one call of step() to the next."""
    for strong_wolfe in (False, True):
        yield program(context, *steps("quadratic", 3), max_iter=3, strong_wolfe=strong_wolfe)
        yield program(context, *steps("quartic", 4), strong_wolfe=strong_wolfe)
    one, other = Minimise("quadratic", COEFFICIENTS), Minimise("quartic", (2.0, 1.0))
    yield program(context, one, other, one, other)
    yield program(context, one, Edit(0, "lr", 0.125), one, one)
    if "state_dict" not in context.loaded.lacks:
        yield program(context, one, one, Reload("direct", "fresh"), one, one)
        yield program(context, one, one, Reload("file", "fresh"), one, max_iter=2)


def stops(context: Context) -> Iterator[Program]:
    """Every reason to end a call, one at a time."""
    for strong_wolfe in (False, True):
        own: dict[str, Any] = {"strong_wolfe": strong_wolfe}
        for most in (1, 2, 3):
            yield program(context, *steps("quadratic", 3), max_iter=most, **own)
        for tolerance in (0.05, 0.5, 2.0, 4.0, 8.0):
            yield program(context, *steps("quadratic", 3), max_iter=8, tolerance_grad=tolerance, **own)
        for tolerance in (0.02, 0.1, 0.3, 1.0):
            yield program(context, *steps("quadratic", 3), max_iter=8, tolerance_change=tolerance, **own)
            yield program(context, *steps("rosenbrock", 2), max_iter=8, tolerance_change=tolerance, **own)
        for most in (3, 5):
            yield program(context, *steps("quartic", 2), max_iter=8, max_eval=most, **own)
        yield program(context, *steps("constant", 2), max_iter=4, **own)
        yield program(context, *steps("quadratic", 2), starts=(0.0,), max_iter=4, **own)


def limits(context: Context) -> Iterator[Program]:
    """Few evaluations, in all and for a line search that finds nothing."""
    for strong_wolfe in (False, True):
        for most in (1, 2, 4):
            for objective in ("quadratic", "absolute", "linear"):
                own: dict[str, Any] = {"strong_wolfe": strong_wolfe, "max_eval": most, "max_iter": 6}
                yield program(context, *steps(objective, 2), **own)


def undefined(context: Context) -> Iterator[Program]:
    """Steps that leave the domain of the objective, a start outside of it, and one that has no minimum."""
    for strong_wolfe in (False, True):
        own: dict[str, Any] = {"strong_wolfe": strong_wolfe}
        for lr in (0.5, 4.0, 16.0):
            yield program(context, *steps("logarithm", 3), starts=(0.5, 1.0, 0.25), lr=lr, max_iter=3, **own)
        yield program(context, *steps("logarithm", 2), max_iter=3, **own)
        yield program(context, *steps("linear", 2), max_eval=8, **own)
        yield program(context, *steps("linear", 2), **own)


def resized(context: Context) -> Iterator[Program]:
    """history_size is edited while there is a history."""
    one = Minimise("quartic", COEFFICIENTS)
    for before, after in ((4, 2), (2, 4), (1, 3)):
        yield program(context, *(one,) * 5, Edit(0, "history_size", after), *(one,) * 4, history_size=before)


# curvature, start and lr with which: y's is below 1e-10 but not s's; above it but not y'y; above it but not s's; above it
# but not y's / y'y
THRESHOLDS = (
    *((1e-11, 1.0, 5e10), (1e-6, 1.0, 5e5), (1e6, 1e-6, 1e-6), (1e11, 1e-8, 1e-8)),
    # and y's around it, by factors of about two
    *((1.0, start, 0.5) for start in (8e-6, 1.2e-5, 1.7e-5, 2.4e-5, 3.4e-5, 4.8e-5)),
)
# where a line search of "waves" begins, and the lr with which its first trial is the bottom of another valley
VALLEY = (-2.5577756623773653, 6.989511310553755)


@st.composite
def drawn(draw: st.DrawFn, context: Context, *, strong_wolfe: bool) -> Program:
    """Any objective in any number of variables, minimised in any way."""
    numbers = st.sampled_from((0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0))
    signed = st.builds(lambda x, negative: -x if negative else x, numbers, st.booleans())
    # what has no minimum is for rule.undefined
    objective = draw(st.sampled_from((*SMOOTH, "waves", "absolute", *(() if strong_wolfe else ("linear",)))))
    coefficients = tuple(draw(st.lists(numbers if objective in SMOOTH else signed, min_size=1, max_size=4)))
    shapes = tuple(draw(st.lists(st.sampled_from(((2,), (3,), (1,), (), (2, 2))), min_size=1, max_size=3)))
    unused = draw(st.integers(-1, len(shapes) - 1)) if len(shapes) > 1 else -1
    # where the ends of searches are told from what follows, in 64 bits
    wide = context.dtype in ("float64", "complex128")
    iterations = draw(st.integers(1, 4 if wide or not strong_wolfe else 1))
    return program(
        context,
        *(Minimise(objective, coefficients, unused),) * draw(st.integers(2, 8 if iterations == 1 else 3)),
        shapes=shapes,
        starts=tuple(draw(st.lists(signed, min_size=2, max_size=6))) + STARTS,
        strong_wolfe=strong_wolfe,
        lr=draw(st.sampled_from((0.125, 0.25, 0.5, 1.0, 1.5))),
        max_iter=iterations,
        history_size=draw(st.integers(1, 5)),
    )


@dataclass(frozen=True)
class Claim:
    """What a check tries, and the kinds of violations (reference.quasi_newton.reading) that refute it.

    Args:
        programs: tried in every run.
        drawn: whether further ones are drawn, with a line search or without; None for none.
    """

    programs: Callable[[Context], Iterator[Program]]
    kinds: tuple[str, ...]
    drawn: bool | None = None

    def offered(self, context: Context) -> list[Program]:
        """Its programs, but for those with a line search where the subject has none."""
        searches = "strong_wolfe" in context.loaded.options
        return [p for p in self.programs(context) if searches or not p.options.get("strong_wolfe")]


CLAIMS: dict[str, Claim] = {
    "rule.direction": Claim(directions, ("move",), drawn=False),
    "rule.curvature": Claim(curvatures, ("move",), drawn=False),
    "rule.line_search": Claim(searches, ("move", "search"), drawn=True),
    "rule.evaluations": Claim(evaluations, ("move", "count")),
    "rule.stopping": Claim(stops, ("stop",)),
    "rule.max_eval": Claim(limits, ("limit",)),
    "rule.undefined": Claim(undefined, ("move", "search", "stop", "count")),
    "rule.resized": Claim(resized, ("move", "stop", "count")),
}
