"""Whether equations differ in what they compute: both are tried on steps that the rule itself has made.

The rule walks a few short trajectories with hyperparameters that show much, and whatever it meets on the way is
given to the rewritten equations too. Equations that agree on all of it are taken for the same. It is plain
float64 arithmetic on a few hundred elements, because a rule has hundreds of rewrites.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import sympy
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanFalse, BooleanTrue

from reference.matrices import COLUMNS, MOST_ITERATIONS, ROWS, OddPolynomial, singular_values_after
from reference.reductions import OfShape, Reduction, grid
from reference.rule import GRADIENT, MACHINE_EPSILON, PARAMETER, STEP_COUNT, Assignment, Step, UpdateRule, unset_symbol
from reference.variants.equations import Equations

SETTINGS, LANES, STEPS = 10, 12, 7
# of the tensor that the lanes of one setting are, for rules with reductions; in two of the settings it is zero, and
# its gradient is
SHAPE, ZERO_PARAMETER, ZERO_GRADIENT = (3, 4), 3, 4
# hyperparameters change before this step, because mistakes may show in that alone
EDITED = 4
DIGITS = 23
# a machine epsilon that shows beside ordinary numbers
EPSILON = 2.0**-7

Values = dict[sympy.Basic, np.ndarray]


class Scenes:
    """Steps that the rule makes under one choice of options."""

    def __init__(self, equations: Equations, step: Step, fixed: Mapping[str, float] | None = None):
        self.equations = equations
        self.step = step
        self.fixed = dict(fixed or {})
        self.rng = np.random.default_rng(20260102)
        self.outputs = self.step.outputs
        self.given = self._given()
        self.inputs: list[Values] = []
        self._walk()

    def _given(self) -> list[Values]:
        """Hyperparameters, counts and gradients of every step, and the parameter of the first."""
        rule, width = self.step.rule, SETTINGS * LANES
        settings = [[self._setting(rule, k + 100 * late) for k in range(SETTINGS)] for late in (0, 1)]
        gradients = self._gradients(width)
        steps = []
        for t in range(1, STEPS + 1):
            chosen = settings[t >= EDITED]
            values: Values = {
                h.symbol: np.repeat([s[h.name] for s in chosen], LANES).astype(float) for h in rule.hyperparameters
            }
            values[MACHINE_EPSILON] = np.full(width, EPSILON)
            steps.append({**values, STEP_COUNT: np.full(width, float(t)), GRADIENT: gradients[t - 1]})
        return steps

    def _gradients(self, width: int) -> np.ndarray:
        g = self.rng.standard_normal((STEPS, width))
        lane = np.arange(width) % LANES
        g[0, lane == 0] = 0
        g[:, lane == 1] = 0
        g[:, lane == 2] = g[0, lane == 2]
        g[:, lane == 3] *= 2.0**-9
        g[1:, lane == 4] *= 2.0**-6
        g[1::2, lane == 5] = 0
        g[:, lane == 6] = np.abs(g[:, lane == 6])
        g[:, lane == 7] *= 8
        if not self.step.is_elementwise:
            g[:, np.arange(width) // LANES == ZERO_GRADIENT] = 0
        return g

    def _setting(self, rule: UpdateRule, number: int) -> Mapping[str, float]:
        """Hyperparameters worth trying, that belong together."""
        for attempt in range(200):
            values = {}
            for h in rule.hyperparameters:
                if h.name in self.fixed:
                    values[h.name] = self.fixed[h.name]
                    continue
                trials = [x for x in h.trials if h.contains(x)] or [h.default]
                first = number == 0 and attempt == 0
                values[h.name] = trials[0] if first else float(self.rng.choice(trials))
            if rule.constraint(values, self.step.options):
                return values
        return {**rule.defaults, **self.fixed}

    def _walk(self) -> None:
        p = self.rng.standard_normal(SETTINGS * LANES)
        p[np.arange(len(p)) % LANES == 8] = 0
        if not self.step.is_elementwise:
            p[np.arange(len(p)) // LANES == ZERO_PARAMETER] = 0
        state = {s.name: self._initial(s, self.given[0], p) for s in self.step.state}
        unset = dict.fromkeys(state, np.ones_like(p))
        for given in self.given:
            values: Values = {**given, PARAMETER: p}
            values |= {s.symbol: state[s.name] for s in self.step.state}
            values |= {unset_symbol(s.name): unset[s.name] for s in self.step.state}
            self.inputs.append(values)
            after = evaluate(self.equations.ordered() or (), values)
            results = {a.name: after[a.symbol] for a in self.equations.assignments}
            p = np.clip(results["p"], -1e6, 1e6)
            for s in self.step.state:
                kept = self._is_kept(s.name, given)
                state[s.name] = np.where(kept, results[s.name], state[s.name])
                unset[s.name] = np.where(kept, 0.0, unset[s.name])

    @staticmethod
    def _initial(variable, given: Values, p: np.ndarray) -> np.ndarray:
        start = variable.initial
        if isinstance(start, str):
            return next(v for k, v in given.items() if isinstance(k, sympy.Symbol) and k.name == start).copy()
        return np.full(len(p), float(start))

    def _is_kept(self, name: str, given: Values) -> np.ndarray | bool:
        needs = next((s.needs for s in self.step.state if s.name == name), None)
        if needs is None:
            return True
        return next(v for k, v in given.items() if isinstance(k, sympy.Symbol) and k.name == needs) != 0

    @cached_property
    def together(self) -> Values:
        """All steps side by side."""
        return {k: np.concatenate([v[k] for v in self.inputs]) for k in self.inputs[0]}

    @cached_property
    def _own(self) -> dict[str, np.ndarray]:
        return self._results(self.equations)

    @cached_property
    def _sure(self) -> dict[str, np.ndarray]:
        """Elements whose value does not hang on rounding errors."""
        rng = np.random.default_rng(1)
        shaken = {
            k: v * (1 + 1e-12 * rng.standard_normal(len(v))) if self._is_rough(k) else v
            for k, v in self.together.items()
        }
        after = evaluate(self.equations.ordered() or (), shaken)
        found = {}
        for name, value in self._own.items():
            other = np.broadcast_to(after[self.equations.new(name)], value.shape)
            with np.errstate(all="ignore"):
                found[name] = np.isfinite(value) & (np.abs(other - value) <= 1e-8 * np.abs(value))
            found[name] &= np.broadcast_to(self._is_kept(name, self.together), value.shape)
        return found

    def _is_rough(self, symbol: sympy.Basic) -> bool:
        rough = {PARAMETER, GRADIENT, *(s.symbol for s in self.step.state if not s.scalar)}
        return symbol in rough

    def _results(self, e: Equations, renamed: Mapping | None = None) -> dict[str, np.ndarray]:
        order = e.ordered() or ()
        names = dict(renamed or {})
        if not e.extra:
            after = evaluate(order, self.together | {new: self.together[old] for old, new in names.items()})
            shape = self.together[PARAMETER].shape
            return {n: np.broadcast_to(after[e.new(n)], shape) for n in self.outputs}
        state = {s.name: self._initial(s, self.given[0], self.inputs[0][PARAMETER]) for s in e.extra}
        symbols = {s.name: s.symbol for s in e.extra}
        rows: dict[str, list[np.ndarray]] = {n: [] for n in self.outputs}
        for values in self.inputs:
            known = values | {new: values[old] for old, new in names.items()}
            after = evaluate(order, known | {symbols[n]: v for n, v in state.items()})
            state = {n: np.broadcast_to(after[e.new(n)], values[PARAMETER].shape) for n in state}
            for n in self.outputs:
                rows[n].append(np.broadcast_to(after[e.new(n)], values[PARAMETER].shape))
        return {n: np.concatenate(r) for n, r in rows.items()}

    def results(self, e: Equations) -> dict[str, np.ndarray]:
        """What equations make of every step, by output."""
        return self._results(e)

    def fingerprint(self, results: Mapping[str, np.ndarray]) -> bytes:
        """Equal for results that are equal but for rounding."""
        parts = []
        for name in self.outputs:
            sure = self._sure[name]
            value = results[name][sure]
            with np.errstate(all="ignore"):
                fraction, exponent = np.frexp(value)
            rounded = np.where(np.isfinite(value), np.round(np.ldexp(fraction, DIGITS)), np.inf)
            parts.append((rounded + 2.0**30 * exponent + 0.0).tobytes())
        return b"".join(parts)

    @cached_property
    def own_fingerprint(self) -> bytes:
        return self.fingerprint(self._own)

    def differ(self, e: Equations) -> bool:
        """Whether other equations, of the same rule or of a variant of it, make something else."""
        known = {s.name: s.symbol for s in self.step.state}
        with_memory = replace(e, extra=tuple(s for s in e.step.state if s.name not in known))
        # a state variable that may become negative has another symbol
        renamed = {known[s.name]: s.symbol for s in e.step.state if s.name in known and s.symbol != known[s.name]}
        return self.fingerprint(self._results(with_memory, renamed)) != self.own_fingerprint


# -- arithmetic -------------------------------------------------------------------------------


def evaluate(assignments: tuple[Assignment, ...], values: Values, shape: tuple[int, ...] = SHAPE) -> Values:
    """The values of all symbols after the assignments, in float64.

    Args:
        shape: of a tensor, if elements of the rule depend on each other; arrays hold one such tensor after the other.
    """
    memo: dict = {"shape": shape, **values}
    if len(shape) > 1:
        memo |= {ROWS: float(shape[-2]), COLUMNS: float(shape[-1])}
    with np.errstate(all="ignore"):
        for a in assignments:
            memo[a.symbol] = _value(a.expression, memo)
    return memo


def _value(e: sympy.Basic, memo: dict):
    found = memo.get(e)
    if found is None:
        found = memo[e] = _compute(e, memo)
    return found


def _compute(e: sympy.Basic, memo: dict):
    if isinstance(e, sympy.Number):
        return float(e)
    if isinstance(e, BooleanTrue | BooleanFalse):
        return bool(e)
    if isinstance(e, OfShape):
        return float(e.of(memo["shape"]))
    if isinstance(e, sympy.Piecewise):
        return _choose(e, memo)
    args = [_value(a, memo) for a in e.args]
    if isinstance(e, Reduction):
        return _reduce(e, args[0], memo)
    if isinstance(e, OddPolynomial):
        return _odd_polynomial(memo, *args)
    if isinstance(e, sympy.And | sympy.Or):
        return (np.logical_and if isinstance(e, sympy.And) else np.logical_or).reduce(np.broadcast_arrays(*args))
    if isinstance(e, sympy.Add):
        return sum(args[1:], args[0])
    if isinstance(e, sympy.Mul):
        result = args[0]
        for x in args[1:]:
            result = result * x
        return result
    if isinstance(e, sympy.Pow):
        return _power(args[0], e.exp, args[1])
    if isinstance(e, sympy.Max | sympy.Min):
        join = np.maximum if isinstance(e, sympy.Max) else np.minimum
        result = args[0]
        for x in args[1:]:
            result = join(result, x)
        return result
    if isinstance(e, Relational):
        return _RELATIONS[e.rel_op](args[0], args[1])
    return _FUNCTIONS[type(e)](*args)


def _choose(e: sympy.Piecewise, memo: dict):
    result: Any = np.nan
    for value, condition in reversed(e.args):
        test = _value(condition, memo)
        result = _value(value, memo) if test is True else np.where(test, _value(value, memo), result)
    return result


def _reduce(e: Reduction, x, memo: dict):
    """A reduction of every tensor, at every element of it."""
    cut, along = grid(memo["shape"], e.axis)
    tensors = np.broadcast_to(x, memo[PARAMETER].shape).reshape(-1, *cut)
    axes = tuple(range(1, tensors.ndim)) if along is None else along - len(cut) if along >= 0 else along
    found = (np.max if e.largest else np.mean if e.averages else np.sum)(tensors, axis=axes, keepdims=True)
    return np.broadcast_to(found, tensors.shape).reshape(-1)


def _odd_polynomial(memo: dict, x, *numbers):
    """The polynomial of the singular values of every matrix."""
    matrices = np.broadcast_to(x, memo[PARAMETER].shape).reshape(-1, *memo["shape"])
    # coefficients are the same for all elements of a matrix, and given once or at each of them
    own = [np.broadcast_to(n, matrices.size).reshape(len(matrices), -1)[:, :1] for n in numbers]
    # no number of steps is no polynomial
    finite = np.isfinite(matrices).all(axis=(1, 2)) & _counts(own[-1])
    left, spectrum, right = np.linalg.svd(np.where(finite[:, None, None], matrices, 0.0), full_matrices=False)
    a, b, c, steps = own
    for k in range(int(np.max(steps, initial=0, where=_counts(own[-1])[:, None]))):
        spectrum = np.where(k < steps, singular_values_after(spectrum, a, b, c, 1), spectrum)
    found = np.where(finite[:, None, None], (left * spectrum[:, None, :]) @ right, np.nan)
    return found.reshape(-1)


def _counts(steps: np.ndarray) -> np.ndarray:
    return ((steps >= 0) & (steps == np.floor(steps)) & (steps < MOST_ITERATIONS)).all(axis=1)


def _power(base, exponent: sympy.Expr, value):
    if exponent.is_Rational and (2 * exponent).is_Integer:
        if exponent == -1:
            return np.divide(1.0, base)
        whole = np.sqrt(base) if exponent.q == 2 else base
        n = int(exponent * exponent.q)
        result = whole
        for _ in range(abs(n) - 1):
            result = result * whole
        return result if n > 0 else np.divide(1.0, result)
    return np.power(base, value)


_RELATIONS = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "<": np.less,
    "<=": np.less_equal,
}
_FUNCTIONS: dict[type[sympy.Basic], Any] = {
    sympy.Abs: np.abs,
    sympy.sign: np.sign,
    sympy.exp: np.exp,
    sympy.log: np.log,
    sympy.tanh: np.tanh,
    sympy.Not: np.logical_not,
    sympy.ITE: np.where,
}
