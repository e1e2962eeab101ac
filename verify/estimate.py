"""Hyperparameters that nobody names, estimated from the steps of a subject that runs with its own.

A rule is walked over the same gradients, and a weighted Gauss-Newton search moves its hyperparameters to where the
walk is the subject's. People write numbers with few digits, so the estimate is offered with few digits first. It is
plain float64 arithmetic: whether an offer is right is for the oracle to say.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from reference.rule import (
    GRADIENT,
    PARAMETER,
    STEP_COUNT,
    Hyperparameter,
    Options,
    StateVariable,
    UpdateRule,
    unset_symbol,
)
from reference.rule import Step as RuleStep
from reference.variants.difference import evaluate
from verify.driver import quiet
from verify.program import Filling, Parameter, Program, Step

LANES, STEPS = 48, 8
ITERATIONS = 30
# a search that is nowhere near after so many iterations is given up
HOPELESS, NEAR = 6, 0.1
# relative error of a step, in nine of ten elements: rounding hides the size of some small steps
CLOSE, SHARE = 1e-7, 0.9
# a difference quotient, and the longest move of a search, in logarithms
TINY, LONGEST = 1e-6, 3.0
DIGITS = (1, 2, 3, 4, 5, 6, 8, 10, 12)
USUAL_EPSILONS = (1e-8, 1e-16, 1e-10, 1e-12, 1e-30, 0.0)

Values = dict[str, float]


# -- what the subject runs -----------------------------------------------------------------------


@cache
def start() -> np.ndarray:
    """The parameter before the first step; some elements are small, so that small steps show in them."""
    rng = np.random.default_rng(5)
    sizes = np.where(np.arange(LANES) % 3 == 0, 1e-3, 1.0)
    return np.round(sizes * rng.standard_normal(LANES), 6)


@cache
def gradients() -> tuple[np.ndarray, ...]:
    """Gradients of many sizes, so that epsilon shows in some elements and not in others."""
    rng = np.random.default_rng(6)
    sizes = 10.0 ** rng.uniform(-9, 1.5, LANES)
    return tuple(sizes * rng.choice([-1.0, 1.0], LANES) * rng.uniform(0.3, 2.0, LANES) for _ in range(STEPS))


def probe() -> Program:
    """The program from whose steps hyperparameters are estimated."""
    return Program(
        "float64",
        groups=({},),
        parameters=(Parameter((LANES,), 0, Filling(values=tuple(start()))),),
        operations=tuple(Step((Filling(values=tuple(g)),)) for g in gradients()),
    )


# -- the search ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Estimate:
    """Where a search ended.

    Args:
        error: what is left, for half of the elements of all steps.
        offers: hyperparameters with which the rule walks where the subject walked, those with few digits first.
    """

    error: float
    offers: Iterable[Values] = ()


def estimate(rule: UpdateRule, options: Options, free: Sequence[Hyperparameter], wanted: np.ndarray) -> Estimate:
    """Look for hyperparameters with which a rule walks where the subject walked.

    Args:
        free: what to look for; the other hyperparameters keep their defaults.
        wanted: the subject's parameter after every step of :func:`probe`.
    """
    step = rule.step(options)
    search = _Search(rule, step, _Search(rule, step, free, wanted).shown(), wanted)
    least = math.inf
    for begin in search.starts():
        end = search.run(begin)
        if search.error(end) <= CLOSE:
            return Estimate(0.0, search.rounded(end))
        least = min(least, search.error(end, 0.5))
    return Estimate(least)


class _Search:
    """Gauss-Newton on the line: hyperparameters as numbers without bounds."""

    def __init__(self, rule: UpdateRule, step: RuleStep, free: Sequence[Hyperparameter], wanted: np.ndarray):
        self.rule, self.step, self.free = rule, step, free
        self.moves = np.diff(wanted, axis=0, prepend=start()[None])
        self.sizes = np.maximum(np.abs(self.moves), 1e-13)

    def shown(self) -> list[Hyperparameter]:
        """Hyperparameters that change any of so few steps."""
        usual = np.array([_to_line(h, _usual(h)) for h in self.free])
        with quiet():
            walk, *others = self.walk(np.vstack([usual, usual + np.eye(len(usual))]))
        return [
            h for h, other in zip(self.free, others, strict=True) if not np.array_equal(walk, other, equal_nan=True)
        ]

    def starts(self) -> Iterator[np.ndarray]:
        """Usual values, then smaller ones and shorter memories, each with a step size that the first step tells."""
        lr = next((i for i, h in enumerate(self.free) if h.name == "lr"), None)
        for values in ([f(h) for h in self.free] for f in (_usual, _small, _short_lived)):
            line = np.array([_to_line(h, x) for h, x in zip(self.free, values, strict=True)])
            if lr is not None:
                with quiet():
                    ratio = float(np.nanmedian(self.moves[0] / self.walk(line[None], steps=1)[0, 0]))
                if not 0 < ratio < math.inf:
                    continue  # it moves the other way, or not at all
                line[lr] += math.log(ratio)
            yield line

    def walk(self, lines: np.ndarray, steps: int = STEPS) -> np.ndarray:
        """What every step adds to the parameter, for several choices of hyperparameters at once."""
        values = {h.symbol: float(self.rule.defaults[h.name]) for h in self.rule.hyperparameters}
        values |= {h.symbol: _from_line(h, lines[:, i, None]) for i, h in enumerate(self.free)}
        by_name = {symbol.name: value for symbol, value in values.items()}
        p = np.broadcast_to(start(), (len(lines), LANES))
        state = {s.name: _initial(s, by_name) for s in self.step.state}
        moves = []
        for t in range(1, steps + 1):
            known: dict[Any, Any] = {**values, PARAMETER: p, GRADIENT: gradients()[t - 1], STEP_COUNT: float(t)}
            known |= {s.symbol: state[s.name] for s in self.step.state}
            known |= {unset_symbol(s.name): float(t == 1) for s in self.step.state}
            after = evaluate(self.step.assignments, known)
            state = {s.name: after[self.step.new_symbol(s.name)] for s in self.step.state}
            new = np.broadcast_to(after[self.step.new_symbol("p")], p.shape)
            moves.append(new - p)
            p = new
        return np.stack(moves, axis=1)

    def residuals(self, lines: np.ndarray) -> np.ndarray:
        """Relative errors of all steps, one row for each choice of hyperparameters; large ones by their logarithm."""
        with quiet():
            error = (self.walk(lines) - self.moves) / self.sizes
        return np.arcsinh(np.nan_to_num(error).reshape(len(lines), -1))

    def error(self, line: np.ndarray, share: float = SHARE) -> float:
        return float(np.quantile(np.abs(self.residuals(line[None])[0]), share))

    def run(self, line: np.ndarray) -> np.ndarray:
        """Where the search ends."""
        damping, count = 1e-2, len(self.free)
        for iteration in range(ITERATIONS if count else 0):
            r, *beside = self.residuals(np.vstack([line, line + TINY * np.eye(count)]))
            if iteration == HOPELESS and np.median(np.abs(r)) > NEAR:
                break
            jacobian = (np.array(beside).reshape(count, -1) - r).T / TINY
            normal = jacobian.T @ jacobian
            while damping < 1e8:
                # a hyperparameter that changes nothing leaves the matrix singular
                heavy = normal + damping * (np.diag(np.diag(normal)) + 1e-9 * np.eye(count))
                move = np.linalg.lstsq(heavy, -jacobian.T @ r, rcond=None)[0].clip(-LONGEST, LONGEST)
                better = self.residuals((line + move)[None])[0]
                if better @ better < r @ r:
                    line, damping = line + move, damping / 5
                    break
                damping *= 5
            else:
                break
            if np.abs(move).max() < 1e-13:
                break
        return line

    def rounded(self, line: np.ndarray) -> Iterator[Values]:
        """The estimate with few digits, then with more; what is nearly nothing is left out."""
        raw = {h.name: float(_from_line(h, y)) for h, y in zip(self.free, line, strict=True)}
        good = max(4 * self.error(line), 2.0**-40)
        seen = []
        for digits in DIGITS:
            values = {h.name: _short(h, raw[h.name], digits) for h in self.free}
            for eps in (values.get("eps"), *USUAL_EPSILONS) if values.get("eps", 1) < 1e-7 else (None,):
                offer = values if eps is None else {**values, "eps": eps}
                if offer not in seen and self._is_good(offer, good):
                    seen.append(offer)
                    yield offer

    def _is_good(self, values: Values, good: float) -> bool:
        line = np.array([_to_line(h, values[h.name]) for h in self.free])
        return all(h.contains(values[h.name]) for h in self.free) and self.error(line) <= good


def _initial(s: StateVariable, values: Mapping):
    return values[s.initial] if isinstance(s.initial, str) else float(s.initial)


def _usual(h: Hyperparameter) -> float:
    """Where a search begins: at the default, or at what is worth trying where that is nothing."""
    return h.default or next((x for x in h.trials if x), 0.5)


def _small(h: Hyperparameter) -> float:
    return h.default or 1e-2


def _short_lived(h: Hyperparameter) -> float:
    return 0.5 if _is_share(h) else _small(h)


def _is_share(h: Hyperparameter) -> bool:
    """Whether it lies between nothing and all, as betas do."""
    return h.high <= 1.0 and h.low == 0


def _to_line(h: Hyperparameter, x: float) -> float:
    """A hyperparameter as a number without bounds: log x, or logit for a share."""
    if _is_share(h):
        x = min(max(x, 1e-15), 1 - 1e-15)
        return math.log(x / (1 - x))
    return math.log(max(x - max(h.low, 0.0), 1e-40))


def _from_line(h: Hyperparameter, y):
    if _is_share(h):
        return 1 / (1 + np.exp(-np.clip(y, -35.0, 35.0)))
    return max(h.low, 0.0) + np.exp(np.clip(y, -92.0, 20.0))


def _short(h: Hyperparameter, x: float, digits: int) -> float:
    """A number with few digits; of one that is nearly 1, what is left to 1 has few."""
    if x < 1e-9 and h.name != "eps" and h.contains(0.0):
        return 0.0
    if _is_share(h) and x > 0.5:
        return float(f"{1 - float(f'{1 - x:.{digits}g}'):.12g}")
    return float(f"{x:.{digits}g}")
