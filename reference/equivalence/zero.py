"""Deciding exactly whether an expression is zero, by a normal form and by cases.

Everything that is no rational function (a root, a power with a symbolic exponent, a sign, a maximum, a
choice) becomes a new symbol, a *generator*, that stands for it. Roots are first pulled apart along the
factors that are known not to be negative, and the generator r of a q-th root of f obeys r^q = f. An
expression is then a fraction of polynomials in symbols and generators; it is zero where it is defined
when its numerator is the zero polynomial after that reduction. Where signs, maxima and choices stand in
the way, the proof goes by cases: some quantity is positive, zero or negative.

The method is sound and incomplete: what it calls zero is zero, at every point at which no denominator of
the original vanishes; what it does not is not decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import sympy
from sympy import QQ
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanFalse, BooleanTrue
from sympy.polys.fields import field

POSITIVE, ZERO, NEGATIVE = 1, 0, -1
ANY = frozenset({POSITIVE, ZERO, NEGATIVE})
Signs = frozenset[int]
_INFINITE = (sympy.zoo, sympy.nan, sympy.oo, -sympy.oo)
RELATIONS: dict[type, Signs] = {
    sympy.StrictGreaterThan: frozenset({1}),
    sympy.GreaterThan: frozenset({1, 0}),
    sympy.StrictLessThan: frozenset({-1}),
    sympy.LessThan: frozenset({-1, 0}),
    sympy.Equality: frozenset({0}),
    sympy.Unequality: frozenset({-1, 1}),
}


def exact(e: sympy.Basic) -> sympy.Basic:
    """The expression with each floating-point literal as the rational number that it is."""
    return e.xreplace({f: sympy.Rational(f) for f in e.atoms(sympy.Float)})


class Undefined(ArithmeticError):
    """An expression divides by something that is certainly zero."""


class Facts:
    """What is known of the symbols.

    Args:
        units: symbols that lie in [0, 1).
        signs: possible signs of polynomials, as a case or a condition has them.
    """

    def __init__(self, units: frozenset[sympy.Symbol] = frozenset(), signs: Mapping[sympy.Expr, Signs] | None = None):
        self.units = units
        self.signs = dict(signs or {})
        self.tables = _Tables()

    def with_sign(self, f: sympy.Expr, signs: Signs) -> Facts:
        new = Facts(self.units, self.signs | {f: signs})
        new.tables = self.tables
        return new


class _Tables:
    """The generators made so far, shared by all cases of a proof."""

    def __init__(self) -> None:
        self.symbols: dict[Any, sympy.Symbol] = {}
        self.meaning: dict[sympy.Symbol, sympy.Expr] = {}
        # generator -> (q, f): its q-th power is f
        self.roots: dict[sympy.Symbol, tuple[int, sympy.Expr]] = {}
        self.units: dict[sympy.Symbol, bool] = {}  # -> whether 1 belongs to it


def is_zero(e: sympy.Expr, facts: Facts) -> bool:
    """Whether an expression is proved to be zero wherever it is defined."""
    e = exact(e)
    if e == 0:
        return True
    algebra = Algebra(facts)
    try:
        if algebra.vanishes(algebra.rewrite(e)):
            return True
    except Undefined:
        return False
    if not algebra.splits:
        return False
    f = min(algebra.splits, key=lambda f: (len(f.free_symbols), sympy.count_ops(f), str(f)))
    for sign in sorted(algebra.signs(f), reverse=True):
        if algebra.impossible(f, sign):
            continue
        if sign != ZERO:
            if not is_zero(e, facts.with_sign(f, frozenset({sign}))):
                return False
            continue
        solved = algebra.solved(f)
        if solved is None:
            if not is_zero(e, facts.with_sign(f, frozenset({ZERO}))):
                return False
        else:
            known = Facts(facts.units)
            for g, signs in facts.signs.items():
                if g.free_symbols & (solved.keys() | algebra.tables.meaning.keys()):
                    continue  # it may speak of what was replaced; to forget it is safe
                known = known.with_sign(g, signs)
            special = e.xreplace(solved)
            # where a division by zero is sure, nothing is claimed
            if not special.has(*_INFINITE) and not is_zero(special, known):
                return False
    return True


def signs_of(e: sympy.Expr, facts: Facts) -> Signs:
    """The signs that an expression may have where it is defined."""
    algebra = Algebra(facts)
    try:
        return algebra.signs(algebra.rewrite(exact(e)))
    except Undefined:
        return ANY


class Algebra:
    """The normal form under some facts. ``splits`` are polynomials whose signs would help."""

    def __init__(self, facts: Facts):
        self.facts = facts
        self.tables = facts.tables
        self.splits: list[sympy.Expr] = []
        self.done: dict[sympy.Basic, sympy.Expr] = {}

    # -- generators --

    def generator(self, key: Any, meaning: sympy.Expr, unit: bool | None = None, **assumptions: bool) -> sympy.Symbol:
        """The symbol for a key. What is known of it in this case is a part of the key, and of no other case.

        Args:
            unit: whether it is in [0, 1), and then whether 1 belongs to it as well.
        """
        key = (key, unit, *assumptions)
        if key not in self.tables.symbols:
            name = f"#{len(self.tables.symbols)}"
            self.tables.symbols[key] = symbol = sympy.Symbol(name, **(assumptions or {"real": True}))
            self.tables.meaning[symbol] = meaning
            if unit is not None:
                self.tables.units[symbol] = unit
        return self.tables.symbols[key]

    def original(self, e: sympy.Expr) -> sympy.Expr:
        """An expression with its generators replaced by what they mean."""
        while inner := e.free_symbols & self.tables.meaning.keys():
            e = e.xreplace({s: self.tables.meaning[s] for s in inner})
        return e

    # -- fractions --

    def fraction(self, e: sympy.Expr) -> tuple[Any, Any]:
        """Numerator and denominator as polynomials."""
        if e.has(*_INFINITE):
            raise Undefined
        gens = sorted(e.free_symbols, key=lambda s: (s.name, str(s.assumptions0)))
        if not gens:
            p, q = sympy.fraction(sympy.together(e))
            return p, q
        value = field(gens, QQ)[0].from_expr(e)
        return value.numer, value.denom

    def canonical(self, e: sympy.Expr) -> sympy.Expr:
        if not e.free_symbols:
            return e
        numerator, denominator = self.fraction(e)
        return numerator.as_expr() / denominator.as_expr()

    def factors(self, e: sympy.Expr) -> tuple[sympy.Rational, list[tuple[sympy.Expr, int]]]:
        """A rational number, and irreducible polynomials with their exponents; each leads with a positive term."""
        if not e.free_symbols:
            if e.has(*_INFINITE):
                raise Undefined
            return e, []
        number: sympy.Expr = sympy.S.One
        found: list[tuple[sympy.Expr, int]] = []
        for polynomial, way in zip(self.fraction(e), (1, -1), strict=True):
            coefficient, parts = polynomial.factor_list()
            number *= QQ.to_sympy(coefficient) ** way
            for part, k in parts:
                primitive = part.primitive()
                number *= QQ.to_sympy(primitive[0]) ** (way * k)
                f = primitive[1]
                if f.LC < 0:
                    f, number = -f, number * sympy.S.NegativeOne**k
                found.append((f.as_expr(), way * k))
        return number, found

    def vanishes(self, e: sympy.Expr) -> bool:
        """Whether a rewritten expression is zero, with what the roots obey."""
        for _ in range(len(self.tables.roots) + 2):
            numerator = self.fraction(e)[0]
            if numerator == 0:
                return True
            e = numerator.as_expr() if hasattr(numerator, "as_expr") else numerator
            present = [s for s in reversed(self.tables.roots) if e.has(s)]
            high = next((s for s in present if sympy.degree(e, s) >= self.tables.roots[s][0]), None)
            if high is None:
                return False
            q, f = self.tables.roots[high]
            e = sympy.Add(
                *(c * f ** (k // q) * high ** (k % q) for (k,), c in sympy.Poly(e, high).terms()),
            )
        return False

    # -- signs --

    def signs(self, e: sympy.Expr) -> Signs:
        """The possible signs of a rewritten expression where it is defined."""
        if e in self.facts.signs:
            return self.facts.signs[e]
        number, parts = self.factors(e)
        result = frozenset({int(sympy.sign(number))})
        for f, k in parts:
            signs = self.factor_signs(f)
            if k < 0:
                signs -= {ZERO}
            signs = frozenset(s ** abs(k) for s in signs)
            result = frozenset(x * y for x, y in product(result, signs))
        return result

    def factor_signs(self, f: sympy.Expr) -> Signs:
        known = self.facts.signs.get(f, ANY)
        if len(known) == 1:
            return known
        strength = self.positivity(f)
        if strength is None:
            opposite = self.positivity(-f)
            if opposite is None:
                return known
            return known & (frozenset({-1}) if opposite else frozenset({-1, 0}))
        return known & (frozenset({1}) if strength else frozenset({1, 0}))

    def positivity(self, f: sympy.Expr) -> bool | None:
        """True: positive; False: not negative; None: cannot tell.

        A number u in [0, 1) is 1/(1 + w) with w > 0, or zero; then a polynomial is not negative when each
        of its terms is not, and it is enough to look at u > 0 because it is continuous.
        """
        units = [s for s in f.free_symbols if s in self.facts.units or s in self.tables.units]
        numerator = sympy.expand(f)
        for u in units:
            w = sympy.Symbol(
                f"{u.name}~", **({"nonnegative": True} if self.tables.units.get(u) else {"positive": True})
            )
            powers = sympy.Poly(numerator, u)
            degree = powers.degree()
            numerator = sympy.expand(sympy.Add(*(c * (1 + w) ** (degree - k) for (k,), c in powers.terms())))
        terms = [self.term(t) for t in sympy.Add.make_args(numerator)]
        if None in terms:
            return None
        if not any(terms):
            return False
        at_zero = (self.positivity(sympy.expand(f.xreplace({u: sympy.S.Zero}))) for u in units if not u.is_positive)
        return all(at_zero)

    def term(self, t: sympy.Expr) -> bool | None:
        """Whether a term is positive (True), not negative (False), or neither for sure (None)."""
        coefficient, rest = t.as_coeff_Mul()
        if coefficient <= 0:
            return None if coefficient < 0 else False
        strict = True
        for base, power in rest.as_powers_dict().items():
            if base.is_positive:
                continue
            if base.is_Symbol and (base.is_nonnegative or (power.is_Integer and power % 2 == 0)):
                strict = False
            elif base != 1:
                return None
        return strict

    def impossible(self, f: sympy.Expr, sign: int) -> bool:
        """Whether a sign contradicts another fact: the sum of two positive quantities is positive."""
        mine = [(sign * f, True)] if sign else [(f, False), (-f, False)]
        for g, known in self.facts.signs.items():
            theirs = [(way * g, 0 not in known) for way in (1, -1) if not known & {-way}]
            for (x, strict), (y, also) in product(mine, theirs):
                total = self.signs(sympy.expand(x + y))
                if POSITIVE not in total and (strict or also or ZERO not in total):
                    return True
        return False

    def split(self, e: sympy.Expr) -> None:
        """Note the first factor of an expression whose sign would help."""
        for f, _ in self.factors(e)[1]:
            if len(self.factor_signs(f)) > 1 and f not in self.splits:
                self.splits.append(f)
                return

    def solved(self, f: sympy.Expr) -> dict[sympy.Expr, sympy.Expr] | None:
        """The equation f = 0 as a value for one symbol, in which it is linear."""
        inner = {s for g in f.free_symbols & self.tables.meaning.keys() for s in self.original(g).free_symbols}
        for x in sorted(f.free_symbols - self.tables.meaning.keys() - inner, key=str):
            slope = sympy.expand(f).coeff(x, 1)
            if sympy.degree(f, x) == 1 and slope.is_number:
                value = self.original(-(f - slope * x).expand() / slope)
                return {x: value}
        return None

    # -- rewriting --

    def rewrite(self, e: sympy.Basic) -> sympy.Expr:
        if e not in self.done:
            self.done[e] = self._rewrite(e)
        return self.done[e]

    def _rewrite(self, e: sympy.Basic) -> sympy.Expr:
        if isinstance(e, sympy.Symbol | sympy.Rational):
            return e
        if isinstance(e, sympy.Add | sympy.Mul):
            return e.func(*map(self.rewrite, e.args))
        if isinstance(e, sympy.Pow):
            return self.power(self.rewrite(e.base), e.exp)
        if isinstance(e, sympy.exp):
            return self.exponential(e)
        if isinstance(e, sympy.Abs):
            return self.absolute(self.rewrite(e.args[0]))
        if isinstance(e, sympy.sign):
            return self.sign(self.rewrite(e.args[0]))
        if isinstance(e, sympy.Max | sympy.Min):
            return self.extreme(e)
        if isinstance(e, sympy.Piecewise):
            return self.choice(e)
        return self.opaque(e)

    def opaque(self, e: sympy.Basic) -> sympy.Expr:
        """A function of which nothing is known but that equal arguments give equal values."""
        if isinstance(e, sympy.Expr) and e.is_number:
            return self.generator(e, e, **({"positive": True} if e.is_positive else {}))
        args = tuple(self.canonical(self.rewrite(a)) for a in e.args)
        return self.generator((e.func, args), e)

    def exponential(self, e: sympy.Expr) -> sympy.Expr:
        argument = self.canonical(self.rewrite(e.args[0]))
        return self.generator((sympy.exp, argument), e, positive=True)

    def power(self, base: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
        if exponent.is_Integer:
            return base**exponent
        if exponent.is_Rational:
            return self.root(base, exponent.q) ** exponent.p
        exponent = sympy.expand(self.canonical(self.rewrite(exponent)))
        number, rest = exponent.as_coeff_Add()
        coefficient, parts = self.factors(base)
        good = all(not self.factor_signs(f) & {NEGATIVE} for f, _ in parts) and coefficient > 0
        # at a base of zero 0^(x - y) is no quotient of 0^x and 0^y
        terms = (number, *sympy.Add.make_args(rest))
        safe = self.signs(base) == {POSITIVE} or all(self.signs(x) <= {POSITIVE, ZERO} for x in terms)
        if good and number.is_Integer and safe:
            result = base**number
            for f, k in [(coefficient, 1), *parts]:
                for term in sympy.Add.make_args(rest) if f != 1 else ():
                    c, symbolic = term.as_coeff_Mul()
                    if not c.is_Integer:
                        c, symbolic = sympy.S.One, term
                    result *= self.exponential_of(f, symbolic) ** (c * k)
            return result
        base = self.canonical(base)
        return self.generator(("power", base, exponent), self.original(base) ** self.original(exponent))

    def exponential_of(self, f: sympy.Expr, exponent: sympy.Expr) -> sympy.Expr:
        """A generator for f^exponent, with f not negative."""
        if f.is_Rational and f > 1:
            return 1 / self.exponential_of(1 / f, exponent)
        strict = self.signs(f) == {POSITIVE}
        meaning = self.original(f) ** self.original(exponent)
        unit = None
        if (f in self.facts.units or (f.is_Rational and f < 1)) and self.signs(exponent) <= {POSITIVE, ZERO}:
            unit = self.signs(exponent) != {POSITIVE}
        sign = {"positive": True} if strict else {"nonnegative": True}
        return self.generator(("power", f, exponent), meaning, unit, **sign)

    def root(self, base: sympy.Expr, q: int) -> sympy.Expr:
        """The q-th root, along the factors that are not negative."""
        number, parts = self.factors(base)
        if number == 0:
            return sympy.S.Zero
        result: sympy.Expr = sympy.S.One
        rest: sympy.Expr = sympy.S.One
        for f, k in parts:
            signs = self.factor_signs(f)
            if NEGATIVE not in signs:
                result *= self.simple_root(f, q, POSITIVE in signs and len(signs) == 1) ** k
            elif POSITIVE not in signs:
                number *= sympy.S.NegativeOne**k
                result *= self.simple_root(-f, q, ZERO not in signs) ** k
            elif q == 2 and k % 2 == 0:
                result *= self.absolute(f) ** (k // 2)
            else:
                rest *= f**k
        if number < 0:
            number, rest = -number, -rest
        for prime, k in sympy.factorrat(number).items():
            result *= self.simple_root(sympy.Integer(prime), q, True) ** k
        if rest != 1:
            for f, k in self.factors(rest)[1]:
                if k:
                    self.split(f)
            rest = self.canonical(rest)
            r = self.generator(("root", q, rest), self.original(rest) ** sympy.Rational(1, q), nonnegative=True)
            self.tables.roots[r] = (q, rest)
            result *= r
        return result

    def simple_root(self, f: sympy.Expr, q: int, strict: bool) -> sympy.Expr:
        if f == 1:
            return f
        sign = {"positive": True} if strict else {"nonnegative": True}
        unit = False if f in self.facts.units else self.tables.units.get(f)
        r = self.generator(("root", q, f), self.original(f) ** sympy.Rational(1, q), unit, **sign)
        self.tables.roots[r] = (q, f)
        return r

    def absolute(self, e: sympy.Expr) -> sympy.Expr:
        number, parts = self.factors(e)
        result = abs(number)
        for f, k in parts:
            signs = self.factor_signs(f)
            if NEGATIVE not in signs:
                result *= f**k
            elif POSITIVE not in signs:
                result *= (-f) ** k
            elif k % 2 == 0:
                result *= f**k
            else:
                self.split(f)
                a = self.generator(("abs", f), sympy.Abs(self.original(f)), nonnegative=True)
                self.tables.roots[a] = (2, f**2)
                result *= a**k
        return result

    def sign(self, e: sympy.Expr) -> sympy.Expr:
        number, parts = self.factors(e)
        result = sympy.sign(number)
        for f, k in parts:
            signs = self.factor_signs(f)
            if len(signs) == 1:
                result *= sympy.Integer(next(iter(signs))) ** abs(k)
            else:
                self.split(f)
                result *= self.generator(("sign", f), sympy.sign(self.original(f))) ** abs(k)
        return result

    def extreme(self, e: sympy.Expr) -> sympy.Expr:
        """A maximum or minimum: of two arguments whose difference has a known sign only one is left."""
        way = 1 if isinstance(e, sympy.Max) else -1
        left: list[sympy.Expr] = []
        for a in sorted({self.canonical(self.rewrite(a)) for a in e.args}, key=str):
            beaten = False
            for b in list(left):
                signs = frozenset(way * s for s in self.signs(a - b))
                if signs <= {POSITIVE, ZERO}:
                    left.remove(b)
                elif signs <= {NEGATIVE, ZERO}:
                    beaten = True
                    break
            if not beaten:
                left.append(a)
        if len(left) == 1:
            return left[0]
        self.split(left[0] - left[1])
        known = [self.signs(a) <= {POSITIVE, ZERO} for a in left]
        nonnegative = any(known) if way > 0 else all(known)
        meaning = e.func(*map(self.original, left))
        return self.generator((e.func, frozenset(left)), meaning, **({"nonnegative": True} if nonnegative else {}))

    def choice(self, e: sympy.Piecewise) -> sympy.Expr:
        branches: list[tuple[sympy.Expr, Any]] = []
        for value, condition in e.args:
            truth = self.truth(condition)
            if truth is False:
                continue
            branches.append((value, truth))
            if truth is True:
                break
        if not branches:
            return sympy.nan
        if branches[0][1] is True:
            return self.rewrite(branches[0][0])
        # a branch is rewritten only to see what it is; cases within it come after the choice itself
        before = list(self.splits)
        values = [self.canonical(self.rewrite(value)) for value, _ in branches]
        self.splits = before
        if len(set(values)) == 1 and branches[-1][1] is True:
            return values[0]
        key = tuple((v, c) for v, (_, c) in zip(values, branches, strict=True))
        nonnegative = all(self.signs(v) <= {POSITIVE, ZERO} for v in values)
        return self.generator(("choice", key), e, **({"nonnegative": True} if nonnegative else {}))

    def truth(self, c: sympy.Basic) -> Any:
        """True, False, or a key for a condition that cannot be decided; its splits are noted."""
        if isinstance(c, BooleanTrue | BooleanFalse):
            return bool(c)
        if isinstance(c, Relational):
            difference = self.canonical(self.rewrite(c.lhs) - self.rewrite(c.rhs))
            signs, wanted = self.signs(difference), RELATIONS[type(c)]
            if signs <= wanted:
                return True
            if not signs & wanted:
                return False
            self.split(difference)
            return (difference, wanted)
        parts = [self.truth(a) for a in c.args]
        if isinstance(c, sympy.Not):
            return not parts[0] if isinstance(parts[0], bool) else ("not", parts[0])
        if isinstance(c, sympy.And | sympy.Or):
            ends = isinstance(c, sympy.Or)
            if ends in parts:
                return ends
            rest = frozenset(p for p in parts if not isinstance(p, bool))
            return (type(c).__name__, rest) if rest else not ends
        return ("opaque", c)
