"""What the parts of an update rule are for, read off the form of its equations and not off their names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sympy

from reference.reductions import OfShape
from reference.rule import PARAMETER
from reference.variants.equations import HALF, Equations, power_of


@dataclass(frozen=True)
class Correction:
    """A bias correction 1 - b^t.

    Args:
        node: the whole.
        power: b^t.
        moments: names of the averages whose weight is b.
    """

    node: sympy.Expr
    power: sympy.Pow
    moments: tuple[str, ...]

    @property
    def beta(self) -> sympy.Symbol:
        return self.power.base


@dataclass(frozen=True)
class Inflow:
    """A sum ``keep * old + gain * fresh`` that takes something new into a state variable.

    Args:
        name: whose equation it stands in.
        node: the sum.
        state: the state variable that ``old`` is the old value of.
        keep, gain: the weights.
        fresh: what is new.
    """

    name: str
    node: sympy.Add
    state: str
    old: sympy.Symbol
    keep: sympy.Expr
    gain: sympy.Expr
    fresh: sympy.Expr

    @property
    def is_average(self) -> bool:
        return self.keep != 1 and sympy.expand(self.keep + self.gain - 1) == 0

    @property
    def is_own(self) -> bool:
        """Whether the state variable itself receives it."""
        return self.name == self.state

    def made(self, keep, gain, fresh=None) -> sympy.Expr:
        """The same sum with other parts."""
        return keep * self.old + gain * (self.fresh if fresh is None else fresh)


@dataclass(frozen=True)
class Epsilon:
    """A hyperparameter that keeps a divisor away from zero.

    Args:
        name: whose equation it stands in.
        node: the sum of it and ``rest``.
        inside: whether the sum is under a root.
    """

    name: str
    symbol: sympy.Symbol
    node: sympy.Add
    rest: sympy.Expr
    inside: bool


@dataclass(frozen=True)
class Decay:
    """A term that is a hyperparameter times the parameter.

    Args:
        name: whose equation it stands in.
        coupled: whether it is added to the gradient; otherwise it shrinks the parameter itself.
        term: the term as it stands there.
        size: the hyperparameter times the parameter, without step size or sign.
    """

    name: str
    symbol: sympy.Symbol
    coupled: bool
    term: sympy.Expr
    size: sympy.Expr


def inflows(e: Equations) -> tuple[Inflow, ...]:
    """Sums that take something new into a state variable, one for each equation and sum."""
    found = []
    for a in e.assignments:
        for node in e.nodes(a.name, sympy.Add):
            found += [i for i in _splits(e, a.name, node)][:1]
    return tuple(found)


def _splits(e: Equations, name: str, node: sympy.Add) -> Iterator[Inflow]:
    if name == "p" and len(node.args) != 2:
        return
    for term in node.args:
        other = node - term
        for state, variable in e.states.items():
            old = variable.symbol
            if old not in sympy.Mul.make_args(term) or old in other.free_symbols:
                continue
            keep = term / old
            if variable.scalar or not e.is_scalar(keep) or (keep.is_number and keep != 1):
                continue
            gain = sympy.Mul(*[f for f in sympy.Mul.make_args(other) if e.is_scalar(f)])
            yield Inflow(name, node, state, old, keep, gain, other / gain)


def averages(e: Equations) -> tuple[Inflow, ...]:
    return tuple(i for i in inflows(e) if i.is_average)


def corrections(e: Equations) -> tuple[Correction, ...]:
    """Bias corrections, each once."""
    found: dict[sympy.Expr, Correction] = {}
    means = averages(e)
    for a in e.assignments:
        for node in e.nodes(a.name, sympy.Add):
            power = power_of(node)
            if power is not None and node not in found:
                moments = tuple(m.state for m in means if m.keep == power.base and m.is_own)
                found[node] = Correction(node, power, tuple(dict.fromkeys(moments)))
    return tuple(found.values())


def epsilons(e: Equations) -> tuple[Epsilon, ...]:
    """Hyperparameters that are added, without a factor, to what differs from element to element."""
    found = []
    for a in e.assignments:
        roots = {n.base for n in e.nodes(a.name, sympy.Pow) if abs(n.exp) == HALF}
        for node in e.nodes(a.name, sympy.Add):
            for symbol in e.hyperparameters.values():
                if symbol in node.args and (a.name != "p" or node != e["p"]):
                    rest = node - symbol
                    if not e.is_scalar(rest):
                        found.append(Epsilon(a.name, symbol, node, rest, node in roots))
    return tuple(found)


def decays(e: Equations) -> tuple[Decay, ...]:
    """Terms that are a hyperparameter times the parameter, in the gradient and in the step."""
    found = []
    rates = step_sizes(e)
    gradient = next(a for a in e.assignments if a.symbol == e.gradient)
    for a in (gradient, e.by_name["p"]):
        for term in sympy.Add.make_args(a.expression):
            factors = sympy.Mul.make_args(term)
            if PARAMETER not in factors or term == PARAMETER or not e.is_common(term / PARAMETER):
                continue
            own = [f for f in factors if f in e.hyperparameters.values() and f not in rates]
            # a schedule may multiply the decay as well as the step
            own.sort(key=lambda f: len(e.users(f)))
            if own:
                found.append(Decay(a.name, own[0], a is gradient, term, own[0] * PARAMETER))
    return tuple(found)


def increments(e: Equations) -> list[sympy.Expr]:
    """The terms by which the parameter moves, decay of the parameter itself left out."""
    terms = [t for t in sympy.Add.make_args(e["p"]) if t != PARAMETER]
    shrinking = [t for t in terms if PARAMETER in sympy.Mul.make_args(t) and e.is_common(t / PARAMETER)]
    return [t for t in terms if t not in shrinking]


def whole_scale(e: Equations, terms: list[sympy.Expr]) -> sympy.Expr:
    """What is common to all terms, is one number for the parameter, and comes from all its elements."""
    return sympy.Mul(
        *(f for f in common_factors(terms) if isinstance(f, OfShape) or (e.is_common(f) and not e.is_scalar(f)))
    )


def common_factors(terms: list[sympy.Expr]) -> list[sympy.Expr]:
    first, *others = (sympy.Mul.make_args(t) for t in terms or [sympy.S.One])
    return [f for f in first if all(f in o for o in others)]


def step_sizes(e: Equations) -> tuple[sympy.Symbol, ...]:
    """Numbers by which everything that moves the parameter is multiplied, hyperparameters first."""
    common: set[sympy.Symbol] | None = None
    for term in increments(e):
        found = _factors(term)
        common = found if common is None else common & found
    known = [s for s in (common or set()) if s in e.scalars and (s in e.hyperparameters.values() or _is_old(e, s))]
    return tuple(sorted(known, key=lambda s: (s not in e.hyperparameters.values(), s.name)))


def inner_step_sizes(e: Equations) -> tuple[sympy.Symbol, ...]:
    """Hyperparameters that multiply what flows into a buffer by which the parameter moves as it is."""
    moving = set().union(*(_factors(t) for t in increments(e)))
    found = [f for i in inflows(e) if i.is_own and e.new(i.name) in moving for f in _factors(i.gain)]
    return tuple(sorted({f for f in found if f in e.hyperparameters.values()}, key=str))


def _is_old(e: Equations, symbol: sympy.Symbol) -> bool:
    return any(s.symbol == symbol for s in e.states.values())


def _factors(term: sympy.Expr) -> set[sympy.Symbol]:
    found = {f for f in sympy.Mul.make_args(term) if isinstance(f, sympy.Symbol)}
    for f in sympy.Mul.make_args(term):
        if isinstance(f, sympy.Piecewise):
            found |= set.intersection(*(_factors(v) for v, _ in f.args))
    return found


def radicands(e: Equations, within: sympy.Expr) -> list[sympy.Expr]:
    """What roots are taken of, where it differs from element to element."""
    nodes = [n for n in sympy.preorder_traversal(within) if isinstance(n, sympy.Pow) and abs(n.exp) == HALF]
    return list(dict.fromkeys(n.base for n in nodes if not e.is_scalar(n.base)))
