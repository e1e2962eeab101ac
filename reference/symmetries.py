"""Transformations under which an update rule looks the same, derived from its equations.

A symmetry turns any run of an optimizer into a test that needs no reference values: run a program, run
the transformed program, and compare. Nothing is listed by hand. Scalings and sign flips are dimensional
analysis: every quantity of a step has a *degree* (how many factors of c, or of -1, it takes up), sums
and comparisons demand equal degrees, and the degrees that satisfy all demands are the null space of a
linear system, over the rationals for scalings and modulo 2 for signs. What is found is what the form of
the equations shows: an expression that only happens to be odd, such as min(max(g, -1), 1), hides its symmetry.

Every symmetry is then verified on the original equations, in ball arithmetic, before it is returned.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import combinations
from random import Random
from typing import Any

import flint
import sympy
from sympy import GF, QQ
from sympy.core.relational import Relational
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import Boolean
from sympy.polys.matrices import DomainMatrix
from sympy.polys.rings import PolyElement, ring

from reference.lowering.ball import FIRST_PRECISION, lower_to_balls
from reference.lowering.tensor_ball import TensorStep
from reference.matrices import MatrixFunction
from reference.reductions import OfShape, Reduction
from reference.rule import GRADIENT, PARAMETER, Assignment, Step, unset_symbol


@dataclass(frozen=True)
class Symmetry:
    """A transformation of the inputs of every step that transforms its results in the same way.

    Transformed or zero hyperparameters can leave their domains, or violate the constraint of the rule: that
    is for whoever runs the transformed program to check.

    Args:
        kind: ``"scaling"`` by any c > 0, ``"sign"`` (of what flips), ``"translation"`` of the parameter,
            or ``"permutation"`` of the elements.
        exponents: the power of c that multiplies ``"p"``, ``"g"``, a state variable or a hyperparameter;
            1 for what flips or is moved; what is not named stays. With c a power of two a scaling is
            exact in binary floating point, in every intermediate quantity too.
        zero: hyperparameters that must be 0 for it to hold.
    """

    kind: str
    exponents: Mapping[str, int] = field(hash=False)
    zero: frozenset[str] = frozenset()

    def sentence(self) -> str:
        """What it says, without a full stop."""
        condition = f"with {_listed([f'{name} = 0' for name in sorted(self.zero)])}, " if self.zero else ""
        return f"{condition}{self._action()} changes nothing else"

    def _action(self) -> str:
        if self.kind == "permutation":
            return "permuting the elements permutes the results and"
        if self.kind == "translation":
            return f"adding a constant to {_listed(self.exponents)} adds it to the result and"
        if self.kind == "sign":
            return f"flipping the sign of {_listed(self.exponents)}"
        scaled: dict[int, list[str]] = {}
        for name, power in self.exponents.items():
            scaled.setdefault(power, []).append(name)
        powers = sorted(scaled, key=lambda k: (k < 0, abs(k)))
        return "multiplying " + _listed([f"{_listed(scaled[k])} by c{f'^{k}' if k != 1 else ''}" for k in powers])


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


@lru_cache(maxsize=512)
def symmetries(step: Step) -> tuple[Symmetry, ...]:
    """Generators of the symmetries of a step, verified; none where it uses operations that are not known here.

    A condition is reported where it makes more symmetries than there are without it. Conditions under
    which the gradient no longer moves the parameter are left out.
    """
    if not _is_known(step):
        return ()
    found: dict[str, list[Symmetry]] = {kind: [] for kind in _KINDS}
    for zero in _conditions(step):
        reduced = _with_zero(step, zero)
        if not _gradient_matters(reduced):
            continue
        for kind, (derive, domain) in _KINDS.items():
            known = [s.exponents for s in found[kind] if s.zero <= zero]
            for exponents in derive(reduced):
                candidate = Symmetry(kind, exponents, zero)
                if _independent(exponents, known, _names(reduced), domain) and _holds(step, candidate):
                    found[kind].append(candidate)
                    known.append(exponents)
    permutation = [Symmetry("permutation", {})] if _commutes_with_permutations(step) else []
    return (*(s for kind in found.values() for s in kind), *permutation)


# -- the equations under a condition ----------------------------------------------------------


def _conditions(step: Step) -> Iterator[frozenset[str]]:
    """Sets of at most two hyperparameters that may be 0, the smallest first."""
    able = [h.name for h in step.rule.hyperparameters if h.contains(0)]
    for size in range(3):
        yield from map(frozenset, combinations(able, size))


def _with_zero(step: Step, zero: frozenset[str]) -> Step:
    """The step with some hyperparameters at 0: without them, and without the state that needs them."""
    rule = step.rule
    gone: dict[sympy.Basic, sympy.Basic] = {h.symbol: sympy.S.Zero for h in rule.hyperparameters if h.name in zero}
    gone |= {s.symbol: sympy.S.Zero for s in rule.state if s.needs in zero}
    assignments = []
    for a in step.assignments:
        expression = a.expression.xreplace(gone)
        gone.pop(a.symbol, None)  # a variable may be assigned twice
        if expression.is_number:
            gone[a.symbol] = expression
        assignments.append(Assignment(a.name, a.symbol, expression))
    rule = replace(
        rule,
        hyperparameters=tuple(h for h in rule.hyperparameters if h.name not in zero),
        state=tuple(replace(s, initial=0.0) if s.initial in zero else s for s in rule.state if s.needs not in zero),
        _steps={},
    )
    return Step(rule, step.options, tuple(assignments))


def _names(step: Step) -> list[str]:
    """What a symmetry may transform, in the order that makes generators readable.

    The first then scales the gradient at a given parameter, the second the parameter at a given gradient.
    """
    return ["g", "p", *(s.name for s in step.state), *(h.name for h in step.rule.hyperparameters)]


def _gradient_matters(step: Step) -> bool:
    """Whether the new parameter depends on the gradient."""
    needed = {step.new_symbol("p")}
    for a in reversed(step.assignments):
        if a.symbol in needed:
            needed |= a.expression.free_symbols
    return GRADIENT in needed


# -- degrees ----------------------------------------------------------------------------------

_C = sympy.Symbol("c", positive=True)
_X = sympy.Symbol("x", real=True)


class _Degrees:
    """The degree of every quantity of a step, as a linear form in the degrees of its variables.

    A literal zero has every degree: None.
    """

    factor: sympy.Expr = _C
    domain: Any = QQ

    def __init__(self, step: Step):
        names = _names(step)
        self.ring, *degrees = ring(names, self.domain)
        self.variables = dict(zip(names, degrees, strict=True))
        self.of_symbol: dict[sympy.Symbol, PolyElement | None] = {}
        self.equations: list[PolyElement] = []  # each must be 0
        self.roots: list[PolyElement] = []
        self.declare(step)
        for a in step.assignments:
            self.of_symbol[a.symbol] = self.of(a.expression)
        for name in step.outputs:
            self.same([self.of_symbol[step.new_symbol(name)], self.variables[name]])

    def declare(self, step: Step) -> None:
        """The variables before the step, and the demands of their initial values."""
        self.of_symbol = {PARAMETER: self.variables["p"], GRADIENT: self.variables["g"]}
        for h in step.rule.hyperparameters:
            self.of_symbol[h.symbol] = self.variables[h.name]
            if h.integer:
                self.none(h.symbol)
        for s in step.state:
            self.of_symbol[s.symbol] = self.variables[s.name]
            if isinstance(s.initial, str):
                self.same([self.variables[s.name], self.variables[s.initial]])
            elif s.initial != 0:
                self.none(s.symbol)

    def none(self, *expressions: sympy.Basic) -> None:
        """Demand that expressions do not change."""
        self.equations += [degree for e in expressions if (degree := self.of(e)) is not None]

    def same(self, degrees: Sequence[PolyElement | None]) -> PolyElement | None:
        """Demand equal degrees."""
        definite = [d for d in degrees if d is not None]
        self.equations += [d - definite[0] for d in definite[1:]]
        return definite[0] if definite else None

    def ordered(self, expressions: Sequence[sympy.Basic]) -> PolyElement | None:
        """Demand that the order of expressions does not change."""
        return self.same([self.of(e) for e in expressions])

    def of(self, e: sympy.Basic) -> PolyElement | None:
        if isinstance(e, sympy.Symbol):
            return self.of_symbol.get(e, self.ring.zero)  # t, and whether a state is unset, never change
        if isinstance(e, OfShape):
            return self.ring.zero
        if isinstance(e, sympy.Number):
            return self.ring.zero if e else None
        if isinstance(e, sympy.Add):
            return self.same([self.of(a) for a in e.args])
        if isinstance(e, sympy.Mul):
            return sum((d for a in e.args if (d := self.of(a)) is not None), self.ring.zero)
        if isinstance(e, Reduction):
            return self.of(e.args[0])
        if isinstance(e, MatrixFunction):
            self.none(*e.args[1:])
            return self.odd(e.args[0])
        if isinstance(e, sympy.Max | sympy.Min):
            return self.ordered(e.args)
        if isinstance(e, sympy.Piecewise):
            for _, condition in e.args:
                self.condition(condition)
            return self.same([self.of(value) for value, _ in e.args])
        return self.function(e)

    def odd(self, x: sympy.Basic) -> PolyElement | None:
        """The degree of an odd function of a matrix."""
        self.none(x)
        return self.ring.zero

    def condition(self, c: sympy.Basic) -> None:
        """Demand that a condition does not change."""
        if isinstance(c, sympy.Eq | sympy.Ne):
            self.same([self.of(a) for a in c.args])
        elif isinstance(c, Relational):
            self.ordered(c.args)
        else:
            for a in c.args:
                self.condition(a)

    def function(self, e: sympy.Basic) -> PolyElement | None:
        """The degree of a function of one variable; a power with a rational exponent is one too."""
        x, *rest = e.args
        power = _response(e.func, tuple(rest), self.factor) if all(a.is_Rational for a in rest) else None
        if power is None:
            self.none(*e.args)
            return self.ring.zero
        degree = self.of(x)
        if degree is not None:
            degree = degree * self.domain.from_sympy(power)
            self.roots += [degree] if power.q > 1 else []
        return degree

    def solutions(self) -> list[dict[str, int]]:
        """Generators of the degrees that satisfy all demands."""
        rows = [self._row(e) for e in self.equations]
        space = DomainMatrix(rows, (len(rows), len(self.variables)), self.domain).nullspace()
        reduced, pivots = space.rref()
        return [self._whole(row) for row in reduced.to_list()[: len(pivots)]]

    def _row(self, form: PolyElement) -> list:
        return [form.coeff(x) for x in self.variables.values()]

    def _whole(self, row: Sequence) -> dict[str, int]:
        """A multiple in which every intermediate quantity, roots included, has a whole exponent."""
        roots = [sum((a * b for a, b in zip(self._row(r), row, strict=True)), self.domain(0)) for r in self.roots]
        common = math.lcm(*(self.domain.to_sympy(x).q for x in (*row, *roots)))
        return {name: int(x * common) for name, x in zip(self.variables, row, strict=True) if x}


class _Signs(_Degrees):
    """Degrees modulo 2: whether a quantity changes its sign. A change of sign reverses order."""

    factor = sympy.S.NegativeOne
    domain = GF(2)

    def declare(self, step: Step) -> None:
        super().declare(step)
        fixed = [h.symbol for h in step.rule.hyperparameters] + [s.symbol for s in step.state if s.nonnegative]
        self.none(*fixed)

    def ordered(self, expressions: Sequence[sympy.Basic]) -> PolyElement | None:
        self.none(*expressions)
        return self.ring.zero

    def odd(self, x: sympy.Basic) -> PolyElement | None:
        return self.of(x)


@lru_cache(maxsize=512)
def _response(function: Callable, rest: tuple, factor: sympy.Expr) -> sympy.Rational | None:
    """The power of a factor that ``function(factor * x)`` puts before ``function(x)``, if it does."""
    ratio = function(factor * _X, *rest) / function(_X, *rest)
    if ratio == 1:
        return sympy.S.Zero
    base, power = ratio.as_base_exp()
    return power if base == factor and power.is_Rational else None


# -- translation and permutation --------------------------------------------------------------


def _translations(step: Step) -> list[dict[str, int]]:
    """Whether moving the parameter moves the new parameter, and nothing else."""
    moves: dict[sympy.Basic, sympy.Expr | None] = {PARAMETER: sympy.S.One}
    for a in step.assignments:
        moves[a.symbol] = _move(a.expression, moves)
    wanted = {name: sympy.Integer(name == "p") for name in step.outputs}
    return [{"p": 1}] if all(moves[step.new_symbol(name)] == move for name, move in wanted.items()) else []


def _move(e: sympy.Basic, moves: Mapping[sympy.Basic, sympy.Expr | None]) -> sympy.Expr | None:
    """How far an expression moves when the parameter moves by 1; None where that depends on the rest."""
    if not e.free_symbols & {s for s, move in moves.items() if move != 0}:
        return sympy.S.Zero
    if isinstance(e, sympy.Symbol):
        return moves[e]
    if isinstance(e, sympy.Add):
        parts = [_move(a, moves) for a in e.args]
        return None if None in parts else sympy.Add(*parts)
    if isinstance(e, sympy.Mul):
        coefficient, rest = e.as_coeff_Mul()
        part = _move(rest, moves) if coefficient != 1 else None
        return None if part is None else coefficient * part
    return None


_ARITHMETIC = (sympy.Symbol, sympy.Number, sympy.Add, sympy.Mul, sympy.Pow)
_FUNCTIONS = (sympy.Abs, sympy.sign, sympy.exp, sympy.log, sympy.tanh)
_CHOICES = (sympy.Max, sympy.Min, sympy.Piecewise, ExprCondPair, Boolean)
_KNOWN = (*_ARITHMETIC, *_FUNCTIONS, *_CHOICES, Reduction, OfShape, MatrixFunction)


def _is_known(step: Step) -> bool:
    return all(isinstance(e, _KNOWN) for a in step.assignments for e in sympy.preorder_traversal(a.expression))


def _commutes_with_permutations(step: Step) -> bool:
    """Whether elements act on each other, if at all, through numbers that are common to the whole tensor."""
    reductions = (e for a in step.assignments for e in a.expression.atoms(Reduction))
    return not step.has_matrices and all(e.axis is None for e in reductions)


_KINDS: dict[str, tuple[Callable[[Step], list[dict[str, int]]], Any]] = {
    "scaling": (lambda step: _Degrees(step).solutions(), QQ),
    "sign": (lambda step: _Signs(step).solutions(), GF(2)),
    "translation": (_translations, QQ),
}


def _independent(new: Mapping[str, int], known: Sequence[Mapping[str, int]], names: Sequence[str], domain) -> bool:
    """Whether a generator is no combination of known ones, as far as the named variables go."""

    def rank(vectors: Sequence[Mapping[str, int]]) -> int:
        rows = [[domain(v.get(name, 0)) for name in names] for v in vectors]
        return DomainMatrix(rows, (len(rows), len(names)), domain).rank()

    return rank([*known, new]) > rank(known)


# -- verification -----------------------------------------------------------------------------

_POINTS = 8
# of the tensor on which a rule with reductions is tried
_SHAPE = (2, 2)


@flint.ctx.workprec(FIRST_PRECISION)
def _holds(step: Step, symmetry: Symmetry) -> bool:
    """Whether transformed inputs give the transformed results, at random points in ball arithmetic.

    This reads the equations as they are, the hyperparameters at 0 included, and nothing of the derivation.
    """
    random = Random(0)
    state = [s for s in step.state if s.needs not in symmetry.zero]
    results = {name: step.new_symbol(name).name for name in ("p", *(s.name for s in state))}
    finite = False
    for _ in range(_POINTS):
        points = _points(step, symmetry.zero, random)
        images = [_image(symmetry, values) for values in points]
        new, new_of_image = (_evaluated(step, tensor, results) for tensor in (points, images))
        start, start_of_image = (
            [
                {s.name: v[s.initial] if isinstance(s.initial, str) else flint.arb(s.initial) for s in state}
                for v in tensor
            ]
            for tensor in (points, images)
        )
        for got, want in zip((*new_of_image, *start_of_image), (*new, *start), strict=True):
            due = _image(symmetry, want)
            if not all(got[name].overlaps(due[name]) for name in due):
                return False
        finite |= all(x.is_finite() for v in new for x in v.values())
    return finite


def _evaluated(step: Step, tensor: Sequence[Mapping[str, flint.arb]], results: Mapping[str, str]) -> list[dict]:
    """New values of every element of a tensor."""
    if step.is_elementwise:
        evaluate = lower_to_balls(step)
        after = [evaluate(dict(values)) for values in tensor]
        return [{n: v[symbol] for n, symbol in results.items()} for v in after]
    whole = TensorStep(step, lambda name, i: tensor[i][name], _SHAPE)
    return [{n: whole.value(symbol, i) for n, symbol in results.items()} for i in range(len(tensor))]


def _points(step: Step, zero: frozenset[str], random: Random) -> list[dict[str, flint.arb]]:
    """Values for every element of a small tensor; of a single one where elements do not act on each other."""
    first = _point(step, zero, random)
    if step.is_elementwise:
        return [first]
    own = {"p", "g", *(s.name for s in step.rule.state if not s.scalar and not s.common)}
    others = (_point(step, zero, random) for _ in range(math.prod(_SHAPE) - 1))
    return [first, *({**first, **{n: v[n] for n in own}} for v in others)]


def _point(step: Step, zero: frozenset[str], random: Random) -> dict[str, flint.arb]:
    """A value for every symbol before a step, by name."""
    values: dict[str, float] = {"p": random.uniform(-4, 4), "g": random.uniform(-4, 4), "t": random.randint(1, 40)}
    values["machine_epsilon"] = random.uniform(0, 1)
    for h in step.rule.hyperparameters:
        low = h.low if math.isfinite(h.low) else -2.0
        value = random.uniform(low, h.high if math.isfinite(h.high) else low + 4)
        values[h.name] = 0 if h.name in zero else math.ceil(value) if h.integer else value
    for s in step.rule.state:
        values[s.name] = random.uniform(0 if s.nonnegative else -4, 4)
        values[unset_symbol(s.name).name] = random.randint(0, 1)
    return {name: flint.arb(value) for name, value in values.items()}


def _image(symmetry: Symmetry, values: Mapping[str, flint.arb]) -> dict[str, flint.arb]:
    """Transformed values."""
    if symmetry.kind == "translation":
        return {name: x + flint.arb(1.25) * symmetry.exponents.get(name, 0) for name, x in values.items()}
    factor = flint.arb(1.5 if symmetry.kind == "scaling" else -1)
    return {name: x * factor ** symmetry.exponents.get(name, 0) for name, x in values.items()}
