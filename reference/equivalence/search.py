"""Looking for the change of state variables that turns one rule into another.

Both rules are run side by side in ball arithmetic, at random hyperparameters and gradients. Where a state
variable of one is a combination of variables of the other, with coefficients that do not depend on
gradients, those coefficients are products of powers of a few simple quantities in almost all cases;
the powers come out of a linear system of logarithms. All this is guesswork: what is found is proved elsewhere,
or is not used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from random import Random

import flint
import numpy as np
import sympy

from reference.equivalence.claim import DONE, Base, Claim
from reference.equivalence.machine import Machine, Runner, facts_of
from reference.equivalence.refute import PRECISION
from reference.equivalence.zero import signs_of

_RUNS = 6  # with the same hyperparameters and different gradients
_COUNTS = (3, 4, 5, 6, 7, 9, 12)
_POWERS = (sympy.S.One, sympy.Rational(1, 2), sympy.Integer(2), sympy.Integer(-1))
_LARGEST_DENOMINATOR = 64


@dataclass(frozen=True)
class Relation:
    """One equation: ``symbol`` equals ``value``, after n steps whose last had these hyperparameters."""

    symbol: sympy.Symbol
    value: sympy.Expr


@dataclass
class _Sample:
    """Runs with one history of hyperparameters: their last values, and in each run every quantity at the end."""

    last: Mapping[str, float]
    count: int
    ends: list[dict[sympy.Symbol, flint.arb]]


def relations(claim: Claim, machines: Sequence[Machine], seed: int = 0) -> Iterator[list[Relation]]:
    """Candidates for the change of variables, likely ones first."""
    yield _solved(_by_name(machines), claim)
    with flint.ctx.workprec(PRECISION):
        samples = list(_samples(claim, Random(seed)))
        found = []
        targets = [(1, s.name) for s in machines[1].state]
        for _, name in targets:
            found.append(_explained(claim, machines, machines[1].symbols[name], name, samples))
        shift = []
        if claim.parameter == "found":
            shift = [_parameter(claim, machines, samples)]
    yield _solved([*(r for r in found if r is not None), *(r for r in shift if r is not None)], claim)
    with flint.ctx.workprec(PRECISION):
        back = [
            _explained(claim, machines[::-1], machines[0].symbols[s.name], s.name, samples) for s in machines[0].state
        ]
        shift = [_parameter(claim, machines[::-1], samples)] if claim.parameter == "found" else []
    yield _solved([*(r for r in back if r is not None), *(r for r in shift if r is not None)], claim)


def _by_name(machines: Sequence[Machine]) -> list[Relation]:
    """State variables of the same name are the same."""
    a, b = machines
    shared = [s.name for s in b.state if any(s.name == other.name for other in a.state)]
    return [Relation(b.symbols[name], a.symbols[name]) for name in shared]


def _solved(found: Sequence[Relation], claim: Claim) -> list[Relation]:
    """The relations with the parameter of a claim, and each without what the others determine."""
    result: list[Relation] = []
    if isinstance(claim.parameter, tuple):
        side, value = claim.parameter
        result.append(Relation(claim.parameter_symbol(side), value))
    for r in found:
        known = {q.symbol: q.value for q in result}
        left, right = known.get(r.symbol, r.symbol), r.value.xreplace(known)
        symbol, value = r.symbol, right
        if left != r.symbol or right.has(r.symbol):
            continue
        flipped = _flipped(symbol, right, claim)
        if flipped is not None:
            symbol, value = flipped
        result = [Relation(q.symbol, q.value.xreplace({symbol: value})) for q in result]
        result.append(Relation(symbol, value))
    return result


def _flipped(symbol: sympy.Symbol, value: sympy.Expr, claim: Claim) -> tuple[sympy.Symbol, sympy.Expr] | None:
    """The relation solved for the other variable, where as it is it divides by something that may be zero."""
    if not singular(value, claim):
        return None
    variables = [s for s in value.free_symbols if s not in {b.symbol for b in claim.bases.values()} and s != DONE]
    if len(variables) != 1:
        return None
    slope = value.diff(variables[0])
    if slope.has(variables[0]) or sympy.expand(value - slope * variables[0]) != 0:
        return None
    inverse = symbol / slope
    return None if singular(inverse, claim) else (variables[0], inverse)


def singular(value: sympy.Expr, claim: Claim) -> list[str]:
    """Bases that may be zero and by which an expression divides; other divisors that may be zero in words."""
    facts = facts_of(claim)
    names = {b.symbol: name for name, b in claim.bases.items()}
    found = set()
    for power in value.atoms(sympy.Pow):
        if not power.exp.is_nonnegative and not power.base.is_Integer and 0 in signs_of(power.base, facts):
            found.add(names.get(power.base, str(power.base)))
    return sorted(found)


# -- runs -------------------------------------------------------------------------------------


def _samples(claim: Claim, random: Random) -> Iterator[_Sample]:
    runner = Runner(claim)
    for index in range(2 * _unknowns(claim) + 8):
        count = _COUNTS[index % len(_COUNTS)]
        numbers = {name: likely(base, random) for name, base in claim.bases.items()}
        history = []
        for _ in range(count):
            edited = {k: likely(b, random) for k, b in claim.bases.items() if not b.constant}
            history.append(numbers | edited)
        ends = []
        for _ in range(_RUNS):
            gradients = [random.choice((-1, 1)) * 10 ** random.uniform(-1.5, 0.5) for _ in range(count)]
            *_, moment = runner.run(random.uniform(-2, 2), gradients, history)
            end = {claim.state_symbol(k, n): x for k in (0, 1) for n, x in moment.states[k].items()}
            end |= {claim.parameter_symbol(k): moment.parameters[k] for k in (0, 1)}
            if all(x.is_finite() for x in end.values()):
                ends.append(end)
        if len(ends) > 3:
            yield _Sample(history[-1], count, ends)


def likely(base: Base, random: Random) -> float:
    """A value of a base, below 1 where its domain has no end."""
    low = base.low if math.isfinite(base.low) else 0.0
    high = min(base.high, low + 1)
    value = low + (high - low) * random.uniform(0.1, 0.9)
    return float(math.ceil(value) + random.randint(0, 2)) if base.integer else value


# -- coefficients -----------------------------------------------------------------------------


def _explained(
    claim: Claim, machines: Sequence[Machine], target: sympy.Symbol, name: str, samples: Sequence[_Sample]
) -> Relation | None:
    """A state variable of the second machine in terms of the first."""
    source = machines[0]
    symbols = sorted((source.symbols[s.name] for s in source.state), key=lambda s: s.name != f"{_label(s)}.{name}")
    return _combination(claim, target, symbols, source.parameter, samples)


def _label(symbol: sympy.Symbol) -> str:
    return symbol.name.partition(".")[0]


def _parameter(claim: Claim, machines: Sequence[Machine], samples: Sequence[_Sample]) -> Relation | None:
    """The parameter of the second machine in terms of the first's, and of its state."""
    source = machines[0]
    symbols = [source.symbols[s.name] for s in source.state]
    return _combination(claim, machines[1].parameter, symbols, source.parameter, samples)


def _combination(
    claim: Claim,
    target: sympy.Symbol,
    symbols: Sequence[sympy.Symbol],
    parameter: sympy.Symbol,
    samples: Sequence[_Sample],
) -> Relation | None:
    powers = [s if k == 1 else sympy.Pow(s, k, evaluate=False) for k in _POWERS for s in symbols]
    simple: list[tuple[sympy.Expr, ...]] = [(sympy.S.One,), *((e,) for e in powers), (parameter,)]
    basis = [*symbols, parameter, sympy.S.One]
    simple += [c for k in (2, 3) for c in combinations(basis, k)]
    for support in simple:
        columns = [_coefficients(target, support, sample) for sample in samples]
        if len(columns) < 2 or any(c is None for c in columns):
            continue
        values = []
        for k, _ in enumerate(support):
            numbers = [float(c[k].mid()) for c in columns if c is not None]
            values.append(fit(claim, numbers, samples))
        if all(v is not None for v in values):
            return Relation(target, sympy.Add(*(v * e for v, e in zip(values, support, strict=True))))
    # what does not depend on gradients differs between histories only: fixed coefficients, found across them
    pooled = _Sample({}, 0, [sample.ends[0] for sample in samples])
    for support in simple:
        fixed = _coefficients(target, support, pooled) if samples else None
        simple_ones = [_rational(float(c.mid())) for c in fixed or ()]
        if simple_ones and None not in simple_ones:
            return Relation(target, sympy.Add(*(x * e for x, e in zip(simple_ones, support, strict=True))))
    return None


def _coefficients(target: sympy.Symbol, support: Sequence[sympy.Expr], sample: _Sample) -> list[flint.arb] | None:
    """Coefficients that hold in all runs of a sample; a run with another gradient refutes accidents."""
    size = len(support)
    wanted = [end[target] for end in sample.ends]
    rows: list[list[flint.arb]] = []
    for end in sample.ends:
        row = [x for e in support if (x := _evaluated(e, end)) is not None]
        if len(row) < size:
            return None
        rows.append(row)
    if size + 2 > len(rows):
        return None
    if size == 1:
        if any(row[0].contains(0) for row in rows):
            return None
        found = [wanted[0] / rows[0][0]]
    else:
        try:
            solved = flint.arb_mat(rows[:size]).solve(flint.arb_mat([[w] for w in wanted[:size]]))
        except ZeroDivisionError:
            return None
        found = [solved[k, 0] for k in range(size)]
    for row, w in zip(rows[size:], wanted[size:], strict=True):
        if not sum((c * x for c, x in zip(found, row, strict=True)), flint.arb(0)).overlaps(w):
            return None
    return found


def _evaluated(e: sympy.Expr, end: Mapping[sympy.Symbol, flint.arb]) -> flint.arb | None:
    if e == 1:
        return flint.arb(1)
    if e.is_Symbol:
        return end[e]
    x, k = end[e.base], e.exp
    if k == sympy.Rational(1, 2):
        return x.sqrt() if x >= 0 else None
    return None if k < 0 and x.contains(0) else x ** int(k)


def _unknowns(claim: Claim) -> int:
    return 4 + 4 * len(claim.bases)


def fit(claim: Claim, numbers: Sequence[float], samples: Sequence[_Sample]) -> sympy.Expr | None:
    """A product of powers that has these values in the samples."""
    if not all(map(math.isfinite, numbers)):
        return None
    if all(abs(x - numbers[0]) <= 1e-12 * abs(numbers[0]) for x in numbers):
        return _rational(numbers[0])
    if any(x == 0 for x in numbers) or len({x > 0 for x in numbers}) > 1:
        return None
    quantities: list[tuple[sympy.Expr, list[float]]] = []
    counts = [float(s.count) for s in samples]
    for name, base in claim.bases.items():
        h, values = base.symbol, [s.last[name] for s in samples]
        if any(x <= 0 for x in values):
            continue
        quantities.append((h, values))
        if base.constant:
            quantities.append((h**DONE, [x**n for x, n in zip(values, counts, strict=True)]))
        if all(x < 1 for x in values):
            quantities.append((1 - h, [1 - x for x in values]))
            quantities.append((1 - h**DONE, [1 - x**n for x, n in zip(values, counts, strict=True)]))
    quantities += [(DONE, counts), (DONE + 1, [n + 1 for n in counts])]
    columns = [[math.log(x) for x in values] for _, values in quantities]
    matrix = np.array([[1.0] * len(numbers), counts, *columns]).T
    logs = np.log(np.abs(np.array(numbers)))
    solution, _, rank, _ = np.linalg.lstsq(matrix, logs, rcond=None)
    if rank < matrix.shape[1] or np.max(np.abs(matrix @ solution - logs)) > 1e-8:
        return None
    constant, ratio = (_rational(math.exp(x)) for x in solution[:2])
    if constant is None or ratio is None:
        return None
    result = constant * ratio**DONE * (1 if numbers[0] > 0 else -1)
    for (quantity, _), power in zip(quantities, solution[2:], strict=True):
        result *= quantity ** sympy.Rational(round(2 * power), 2)
    return result


def _rational(x: float) -> sympy.Rational | None:
    """A simple rational number that is very near; None where there is none."""
    if not math.isfinite(x):
        return None
    nearest = Fraction(x).limit_denominator(_LARGEST_DENOMINATOR)
    if abs(float(nearest) - x) > 1e-7 * max(abs(x), 1e-3):
        return None
    return sympy.Rational(nearest.numerator, nearest.denominator)
