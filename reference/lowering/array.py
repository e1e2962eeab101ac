"""Lowering to array code that computes value and allowance in one pass.

The generated function works on numpy arrays and on torch tensors alike: it is given the namespace
(``xp``) and imports neither. The model of rounding is the one that :mod:`reference.rounding` states.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sympy
from sympy.logic.boolalg import BooleanFalse, BooleanTrue

from reference.lowering import reduced, spectral
from reference.lowering.memory import freeing, in_place
from reference.lowering.scalars import RUNTIME
from reference.matrices import COLUMNS, ROWS, MatrixFunction
from reference.reductions import OfShape, Reduction
from reference.rule import RuleError, Step


@dataclass(frozen=True)
class Node:
    """A quantity in generated code: names of its value and of its error (None: exact)."""

    value: str
    error: str | None
    scalar: bool
    nonnegative: bool = False


class ArrayCode:
    """Generates the body of one step. ``careful`` adds the guards against overflow on the way."""

    def __init__(self, step: Step, carried: bool, careful: bool, inexact: bool = False):
        self.step = step
        self.carried = carried
        self.inexact = inexact
        self.careful = careful
        self.lines: list[str] = []
        self.depth = 1
        self.memo: dict[sympy.Basic, Node] = {}
        self.count = 0
        self.lanes = {f"v_{s.name}" for s, scalar in step.is_scalar.items() if not scalar}
        self.lanes |= {f"e_{s.name}" for s in step.state if not s.scalar} | {"e_g"}

    # -- writing lines ---------------------------------------------------------------------

    def emit(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    def name(self, prefix: str = "x") -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def let(self, expression: str, prefix: str = "x") -> str:
        if expression.isidentifier():
            return expression
        name = self.name(prefix)
        if self.lanes & set(re.findall(r"\w+", expression)):
            self.lanes.add(name)
            for line in in_place(name, ast.parse(expression, mode="eval").body):
                self.emit(line)
        else:
            self.emit(f"{name} = {expression}")
        return name

    @contextmanager
    def block(self, header: str):
        """An indented block; what is computed inside is not visible after it."""
        self.emit(header)
        self.depth += 1
        outer = self.memo
        self.memo = dict(outer)
        yield
        self.memo = outer
        self.depth -= 1

    # -- leaves ------------------------------------------------------------------------------

    def source(self) -> str:
        step = self.step
        if not step.is_elementwise:
            self.emit("shape = v['p.shape']")
        used = set().union(*(a.expression.free_symbols for a in step.assignments))
        made = {a.symbol for a in step.assignments}
        stored = {s.symbol for s in step.state if s.scalar}
        for symbol, scalar in step.is_scalar.items():
            if symbol not in (used | stored) - made:
                continue
            self.memo[symbol] = self.leaf(symbol, scalar)
        results = []
        for assignment in step.assignments:
            node = self.lower(assignment.expression)
            if step.is_scalar[assignment.symbol] and not node.scalar:
                raise RuleError(f"{assignment.name!r} is a scalar but depends on elements")
            if assignment.symbol.is_nonnegative:
                node = Node(node.value, node.error, node.scalar, True)
            variable = next((s for s in step.state if s.name == assignment.name), None)
            if variable is not None and variable.scalar:
                kept = f"store_{variable.name} * abs({node.value}) + least_{variable.name}"
                error = f"{node.error or '0.0'} + {kept}"
                node = Node(node.value, self.let(error, "e"), True, node.nonnegative)
            self.memo[assignment.symbol] = node
        for output in step.outputs:
            node = self.memo[step.new_symbol(output)]
            results.append(f"({node.value}, {node.error})")
        body = "\n".join(freeing(self.lines, " ".join(results)))
        return f"def evaluate(xp, u, tiny, w, w_entry, largest, v):\n{body}\n    return [{', '.join(results)}]\n"

    def leaf(self, symbol: sympy.Symbol, scalar: bool) -> Node:
        # prefixes keep a rule's names apart from the ones used here
        name = symbol.name
        if symbol in (ROWS, COLUMNS):
            self.emit(f"v_{name} = float(shape[{-2 if symbol == ROWS else -1}])")
            return Node(f"v_{name}", None, True, True)
        self.emit(f"v_{name} = v[{name!r}]")
        states = {s.name: s for s in self.step.rule.state}
        error = None
        if name in states:
            if states[name].scalar:
                self.emit(f"store_{name}, least_{name} = v['store_{name}']")
            if self.carried and name in {s.name for s in self.step.state}:
                error = f"e_{name}"
                self.emit(f"{error} = v[{error!r}]")
        elif name == "g" and self.inexact:
            error = "e_g"
            self.emit("e_g = v['e_g']")
        elif scalar and name in {h.name for h in self.step.rule.hyperparameters}:
            # A hyperparameter that enters scalar tensors is rounded to their dtype.
            error = f"e_{name}"
            self.emit(f"{error} = w_entry * abs(v_{name})")
        return Node(f"v_{name}", error, scalar, bool(symbol.is_nonnegative))

    # -- expressions -------------------------------------------------------------------------

    def lower(self, expression: sympy.Basic) -> Node:
        if expression not in self.memo:
            self.memo[expression] = self._lower(expression)
        return self.memo[expression]

    def _lower(self, e: sympy.Basic) -> Node:
        if isinstance(e, sympy.Number | sympy.NumberSymbol):
            number = repr(float(e))
            # a literal such as 0.96 is rounded when it enters scalar tensors
            exact = _is_exact_everywhere(number) or (float(e).is_integer() and abs(float(e)) < 128)
            error = None if exact else self.let(f"w_entry * abs({number})", "e")
            return Node(number, error, True, float(e) >= 0)
        if isinstance(e, OfShape):
            return Node(self.let(f"float(of_shape[{e.words!r}](shape))", "s"), None, True, True)
        if isinstance(e, sympy.Add):
            return self.add(e)
        if isinstance(e, sympy.Mul):
            return self.product(e)
        if isinstance(e, sympy.Pow):
            return self.power(e)
        if isinstance(e, sympy.Abs):
            a = self.lower(e.args[0])
            return Node(self.absolute(a), a.error, a.scalar, True)
        if isinstance(e, sympy.sign):
            return self.sign(self.lower(e.args[0]), self.not_certainly_zero(e.args[0]))
        if isinstance(e, sympy.Max | sympy.Min):
            return self.extreme(e)
        if isinstance(e, sympy.Piecewise):
            return self.piecewise(e)
        if isinstance(e, sympy.exp | sympy.log | sympy.tanh):
            return self.function(e)
        if isinstance(e, Reduction):
            return reduced.lower_reduction(self, e)
        if isinstance(e, MatrixFunction):
            return spectral.lower_matrix_function(self, e)
        raise RuleError(
            f"rule {self.step.rule.name!r} uses {type(e).__name__} in {e}; a rule may use + - * / **, "
            "sqrt, Abs, sign, Max, Min, exp, log, tanh, Piecewise, reductions and functions of matrices"
        )

    def absolute(self, node: Node) -> str:
        if node.nonnegative:
            return node.value
        key = sympy.Symbol(f"|{node.value}|")
        if key not in self.memo:
            call = f"abs({node.value})" if node.scalar else f"xp.abs({node.value})"
            self.memo[key] = Node(self.let(call, "a"), None, node.scalar, True)
        return self.memo[key].value

    def entering(self, node: Node) -> str | None:
        """Error of a scalar once it has entered a tensor operation, where it is rounded."""
        if not node.scalar or _is_exact_everywhere(node.value):
            return node.error
        passed = f" + {node.error}" if node.error else ""
        return self.let(f"u * abs({node.value}) + tiny{passed}", "e")

    def add(self, e: sympy.Add) -> Node:
        terms = [self.lower(a) for a in e.args]
        scalar = all(n.scalar for n in terms)
        value = self.let(" + ".join(n.value for n in terms))
        nonnegative = bool(e.is_nonnegative)
        if scalar:
            sizes = " + ".join(self.absolute(n) for n in terms)
            errors = "".join(f" + {n.error}" for n in terms if n.error)
            return Node(value, self.let(f"w * ({sizes}){errors}", "e"), True, nonnegative)
        size = self._lerp_size(e)
        if size is None:
            size = " + ".join(self.absolute(n) for n in terms)
        rounding = "u" if len(terms) == 2 else f"{len(terms) - 1}.0 * u"
        errors = "".join(f" + {x}" for n in terms if (x := self.entering(n)))
        if nonnegative and all(n.nonnegative for n in terms) and size.count("+") == len(terms) - 1:
            size = value
        error = self.let(f"{rounding} * ({size}){errors}", "e")
        return Node(value, self.guard(value, error), False, nonnegative)

    def _lerp_size(self, e: sympy.Add) -> str | None:
        """Sizes of the terms of b X + (1 - b) Y when it is evaluated as X + (1 - b) (Y - X)."""
        if len(e.args) != 2:
            return None
        parts = [self._split(a) for a in e.args]
        if any(lane is None for _, lane in parts):
            return None
        (one, _), (other, _) = parts
        # climbing changes the sign of what is new
        sums = (one + other, one - other, other - one)
        if one.is_number or all(sympy.expand(x - 1) != 0 for x in sums):
            return None
        new = 0 if isinstance(parts[0][0], sympy.Add) else 1
        weight = self.absolute(self.lower(parts[new][0]))
        fresh = self.absolute(self.lower(parts[new][1]))
        old = self.absolute(self.lower(parts[1 - new][1]))
        return f"{self.let(f'1.0 + {weight}')} * {old} + {weight} * {fresh}"

    def _split(self, term: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr | None]:
        """A term as (scalar coefficient, rest); the rest is None when nothing depends on elements."""
        factors = sympy.Mul.make_args(term)
        scalars = [f for f in factors if self.is_number(f)]
        rest = [f for f in factors if not self.is_number(f)]
        return sympy.Mul(*scalars), (sympy.Mul(*rest) if rest else None)

    def is_number(self, e: sympy.Basic) -> bool:
        return all(self.step.is_scalar[s] for s in e.free_symbols) and not e.has(Reduction)

    def product(self, e: sympy.Mul) -> Node:
        """Numerators, then the coefficient, then the divisors.

        ``room`` is what underflow may cost: the smallest number times every factor that may still be
        multiplied after an intermediate result, in any order, has underflowed.
        """
        scalars = [f for f in e.args if self.is_number(f)]
        lanes = [f for f in e.args if not self.is_number(f)]
        coefficient, amplifier = self._coefficient(scalars)
        if not lanes:
            return coefficient
        above = [self.lower(f) for f in lanes if not _is_denominator(f)]
        below = [self.lower(1 / f) for f in lanes if _is_denominator(f)]
        room = self.let(f"tiny * {amplifier}", "s") if amplifier != "1.0" else "tiny"
        rest = [f for f in lanes if not _is_denominator(f)] if len(above) > 1 else []
        rest += [f for f in lanes if _is_denominator(f)] if len(below) > 1 else []
        if rest:
            room = self.let(" * ".join([room, *map(self._partial, rest)]))
        node, room = self._numerator(above, coefficient, room)
        for divisor in below:
            node = self._quotient(node, divisor, room)
        nonnegative = bool(e.is_nonnegative) or node.nonnegative
        error = node.error
        if error and len(above) + len(below) > 1:
            error = self.guard(" * ".join([amplifier, *map(self._partial, lanes)]), error)
            error = self._guard_roots(lanes, amplifier, error)
        elif error:
            error = self._guard_roots(lanes, amplifier, self.guard(node.value, error))
        return Node(node.value, error, False, nonnegative)

    def _partial(self, e: sympy.Expr) -> str:
        """What a factor may multiply by on the way, in any order of its own factors, if it is more than one."""
        e = next((a.expression for a in self.step.assignments if a.symbol == e), e)
        if isinstance(e, sympy.Mul):
            return " * ".join(map(self._partial, e.args))
        if isinstance(e, sympy.Piecewise) and not self.is_number(e):
            (branch, condition), *rest = e.args
            if isinstance(condition, BooleanTrue):
                return self._partial(branch)
            other = self._partial(sympy.Piecewise(*rest)) if rest else "1.0"
            return self.let(f"xp.where({self.condition(condition)[0]}, {self._partial(branch)}, {other})", "s")
        if _is_denominator(e):
            below = self.lower(1 / e)
            size = self.absolute(below)
            # one number is a Python float, and 1.0 / 0.0 an exception
            return self.let(f"xp.maximum({f'inverse({size})' if below.scalar else f'1.0 / {size}'}, 1.0)", "s")
        return self.let(f"xp.maximum({self.absolute(self.lower(e))}, 1.0)", "s")

    def _guard_roots(self, lanes: list[sympy.Expr], amplifier: str, error: str) -> str:
        """c sqrt(a) may be evaluated as sqrt(c^2 a), which overflows earlier."""
        for factor in lanes:
            if isinstance(factor, sympy.Pow) and abs(factor.exp) == sympy.Rational(1, 2):
                error = self.guard(f"({amplifier}) ** 2 * {self.lower(factor.base).value}", error)
        return error

    def _numerator(self, above: list[Node], coefficient: Node, room: str) -> tuple[Node, str]:
        if not above:
            if coefficient.value == "1.0":
                return coefficient, room
            return Node(coefficient.value, self.entering(coefficient), True, coefficient.nonnegative), room
        node = above[0]
        for other in above[1:]:
            node = self._times(node, other)
        if coefficient.value == "1.0":
            return node, room
        if _is_exact_everywhere(coefficient.value):
            sign = "-" if coefficient.value == "-1.0" else f"{coefficient.value} * "
            error = node.error
            if error and sign != "-":
                error = self.let(f"{abs(float(coefficient.value))!r} * {error}", "e")
            return Node(self.let(f"{sign}{node.value}"), error, False), room
        size, weight = self.absolute(node), self.absolute(coefficient)
        own = f" + {coefficient.error}" if coefficient.error else ""
        # the coefficient is rounded when it enters, and the product is rounded
        relative = self.let(f"2.0 * u * {weight} + {room if len(above) == 1 else 'tiny'}{own}", "k")
        error = f"{relative} * {size} + {room}"
        if node.error:
            error += f" + {self.let(weight + own, 'k')} * {node.error}"
        nonnegative = node.nonnegative and coefficient.nonnegative
        result = Node(self.let(f"{coefficient.value} * {node.value}"), self.let(error, "e"), False, nonnegative)
        if len(above) == 1:
            room = f"{room} * (1.0 + {size})"
        return result, room

    def _quotient(self, node: Node, divisor: Node, room: str) -> Node:
        # numbers among elements: Python's own division would raise at zero
        numbers = node.scalar and divisor.scalar
        value = self.let(f"divide({node.value}, {divisor.value})" if numbers else f"{node.value} / {divisor.value}")
        quotient = Node(value, None, False, node.nonnegative and divisor.nonnegative)
        size, below = self.absolute(quotient), self.absolute(divisor)
        passed_on = [f"{size} * {divisor.error}" if divisor.error else None, node.error]
        top = " + ".join(x for x in passed_on if x)
        if divisor.error:
            # never negative, and zero only when the divisor itself may be zero: then infinite
            below = self.let(f"xp.maximum({below} - {divisor.error}, 0.0)", "d")
        passed = f" + ({top}) / {below}" if top else ""
        return Node(value, self.let(f"u * {size} + {room}{passed}", "e"), False, quotient.nonnegative)

    def _times(self, a: Node, b: Node) -> Node:
        value = self.let(f"{a.value} * {b.value}")
        square = a.value == b.value
        result = Node(value, None, False, square or (a.nonnegative and b.nonnegative))
        parts = [f"u * {self.absolute(result)} + tiny"]
        if a.error and square:
            parts.append(f"(2.0 * {self.absolute(a)} + {a.error}) * {a.error}")
        elif a.error:
            parts.append(f"{a.error} * {self.absolute(b)}")
        if b.error and not square:
            size = f"({self.absolute(a)} + {a.error})" if a.error else self.absolute(a)
            parts.append(f"{size} * {b.error}")
        error = self.let(" + ".join(parts), "e")
        return Node(value, self.guard(value, error), False, result.nonnegative)

    def _coefficient(self, factors: list[sympy.Expr]) -> tuple[Node, str]:
        """Product of scalar factors, and how much they may amplify an earlier underflow."""
        number = float(sympy.Mul(*[f for f in factors if f.is_number]))
        symbols = [f for f in factors if not f.is_number]
        if not symbols:
            return Node(repr(number), None, True, number >= 0), repr(max(1.0, abs(number)))
        key = sympy.Function("coefficient")(*factors)
        if key not in self.memo:
            self.memo[key] = self._scalar_product(number, symbols)
            sizes = [f"max(1.0, {self._size(f)})" for f in symbols] + [repr(abs(number))] * (abs(number) > 1)
            self.memo[sympy.Function("amplifier")(*factors)] = Node(self.let(" * ".join(sizes), "s"), None, True, True)
        return self.memo[key], self.memo[sympy.Function("amplifier")(*factors)].value

    def _size(self, factor: sympy.Expr) -> str:
        if _is_denominator(factor):
            return f"inverse({self.absolute(self.lower(1 / factor))})"
        return self.absolute(self.lower(factor))

    def _scalar_product(self, number: float, factors: list[sympy.Expr]) -> Node:
        above = [self.lower(f) for f in factors if not _is_denominator(f)]
        below = [self.lower(1 / f) for f in factors if _is_denominator(f)]
        nonnegative = number >= 0 and all(n.nonnegative for n in above + below)
        if len(factors) == 1 and above and abs(number) == 1:
            value = above[0].value if number > 0 else self.let(f"-{above[0].value}")
            return Node(value, above[0].error, True, nonnegative)
        numerator = ([repr(number)] if number != 1 else []) + [n.value for n in above]
        value = " * ".join(numerator) or "1.0"
        if below:
            value = f"divide({value}, {' * '.join(n.value for n in below)})"
        value = self.let(value)
        relative = [f"{len(factors)}.0 * w"]
        relative += [f"ratio({n.error}, {self.absolute(n)})" for n in above if n.error]
        relative += [f"ratio({n.error}, {self.absolute(n)}, True)" for n in below if n.error]
        error = f"abs({value}) * ({' + '.join(relative)})"
        # a factor that is zero but for its error still lets the others through
        for node in above:
            if node.error and not _is_bare(node):
                others = [self.absolute(n) for n in above if n is not node] or ["1.0"]
                rest = f"divide({' * '.join(others)}, {' * '.join(self.absolute(n) for n in below) or '1.0'})"
                error += f" + (0.0 if {node.value} else {node.error} * {rest})"
        return Node(value, self.let(error, "e"), True, nonnegative)

    def power(self, e: sympy.Pow) -> Node:
        base, exponent = e.as_base_exp()
        if self.is_number(e):
            return self._scalar_power(base, exponent)
        below_one = exponent.is_Rational and abs(exponent) < 1
        if not below_one and not (exponent.is_Rational and (2 * exponent).is_Integer):
            raise RuleError(
                f"rule {self.step.rule.name!r}: the power {e} of an element has exponent {exponent}; "
                "elements may be raised to whole and half-whole powers, and to those between -1 and 1"
            )
        if exponent.is_negative:
            return self._quotient(Node("1.0", None, True, True), self.lower(1 / e), "tiny")
        if below_one and exponent != sympy.Rational(1, 2):
            return self.fraction(self.lower(base), float(exponent), bool(base.is_nonnegative))
        if exponent == sympy.Rational(1, 2):
            return self.root(self.lower(base), bool(base.is_nonnegative))
        whole = int(exponent)
        node = self.lower(base)
        result = self.root(node, bool(base.is_nonnegative)) if exponent != whole else None
        for _ in range(whole):
            result = node if result is None else self._times(result, node)
        assert result is not None
        return Node(result.value, result.error, False, bool(e.is_nonnegative) or whole % 2 == 0)

    def root(self, a: Node, nonnegative: bool) -> Node:
        nonnegative = nonnegative or a.nonnegative
        value = self._where_not_negative(a, nonnegative, f"xp.sqrt({self._not_negative(a, nonnegative)})")
        passed = f" + {a.error} / xp.sqrt({self._least_size(a, nonnegative)})" if a.error else ""
        return Node(value, self.let(f"u * {value}{passed}", "e"), False, True)

    def fraction(self, a: Node, exponent: float, nonnegative: bool) -> Node:
        """A power between 0 and 1, whose exponent is rounded when it enters the operation."""
        nonnegative = nonnegative or a.nonnegative
        inside = self._not_negative(a, nonnegative)
        value = self._where_not_negative(a, nonnegative, f"{inside} ** {exponent!r}")
        logarithm = f"xp.abs(xp.log(xp.maximum({inside}, {math.ulp(0.0)!r})))"
        passed = f" + {a.error} / {self._least_size(a, nonnegative)} ** {1 - exponent!r}" if a.error else ""
        error = self.let(f"u * {value} * (1.0 + {exponent!r} * {logarithm}) + tiny{passed}", "e")
        return Node(value, error, False, True)

    def _not_negative(self, a: Node, nonnegative: bool) -> str:
        return a.value if nonnegative else self.let(f"xp.maximum({a.value}, 0.0)")

    def _where_not_negative(self, a: Node, nonnegative: bool, power: str) -> str:
        """A power of what may be negative; below zero by more than rounding there is none."""
        value = self.let(power)
        if nonnegative or a.error is None:
            return value
        return self.let(f"xp.where({a.value} + {a.error} < 0, math.nan, {value})")

    def _least_size(self, a: Node, nonnegative: bool) -> str:
        """What the error of a power is measured by: how small its base may be, but not below its error.

        Never zero where the base is not negative, for the error of carried state may be zero.
        """
        if not nonnegative:
            return f"xp.maximum({a.value} - {a.error}, 0.0)"
        size = f"xp.maximum({a.value}, {a.error})"
        return f"xp.maximum({size}, {math.ulp(0.0)!r})" if _is_bare(a) else size

    def _scalar_power(self, base: sympy.Expr, exponent: sympy.Expr) -> Node:
        if exponent.is_negative:
            inverse = self.lower(1 / base**exponent)
            value = self.let(f"divide(1.0, {inverse.value})")
            error = self.let(f"abs({value}) * (w + ratio({inverse.error or '0.0'}, abs({inverse.value}), True))", "e")
            return Node(value, error, True, inverse.nonnegative)
        b, x = self.lower(base), self.lower(exponent)
        value = self.let(f"power({b.value}, {x.value})")
        error = f"power_error({b.value}, {b.error or '0.0'}, {x.value}, {x.error or '0.0'}, {value}, w)"
        return Node(value, self.let(error, "e"), True, b.nonnegative or exponent == sympy.Rational(1, 2))

    def not_certainly_zero(self, e: sympy.Expr) -> str:
        """Code that leaves out elements where ``e`` is zero without any error, as a product with zero is."""
        zero = self._certainly_zero(e)
        return f" & ~({zero})" if zero else ""

    def _certainly_zero(self, e: sympy.Expr) -> str:
        if self.is_number(e):
            return ""
        made = {a.symbol: a.expression for a in self.step.assignments}
        if e in made:
            return self._certainly_zero(made[e])
        if isinstance(e, sympy.Symbol):
            node = self.lower(e)
            return f"({node.value} == 0)" + (f" & ({node.error} == 0)" if node.error else "")
        parts = [self._certainly_zero(a) for a in e.args]
        if isinstance(e, Reduction):
            return reduced.certainly_zero(e, parts[0]) if parts[0] else ""
        if isinstance(e, sympy.Pow):
            return parts[0] if e.exp.is_positive else ""
        if isinstance(e, sympy.Min) and e.is_nonnegative:
            return " | ".join(f"({p})" for p in parts if p)
        if isinstance(e, sympy.Mul):
            return " | ".join(f"({p})" for p in parts if p)
        if isinstance(e, sympy.Add) and all(parts):
            return " & ".join(f"({p})" for p in parts)
        return ""

    def sign(self, a: Node, uncertain: str) -> Node:
        if a.scalar:
            value = self.let(f"float(({a.value} > 0) - ({a.value} < 0))")
            error = self.let(f"2.0 if abs({a.value}) <= {a.error} > 0 else 0.0", "e") if a.error else None
            return Node(value, error, True, a.nonnegative)
        value = self.let(f"xp.sign({a.value})")
        if a.error is None:
            return Node(value, None, False, a.nonnegative)
        error = self.let(f"xp.where(({self.absolute(a)} <= {a.error}) & ({a.error} > 0){uncertain}, 2.0, 0.0)", "e")
        return Node(value, error, False, a.nonnegative)

    def extreme(self, e: sympy.Max | sympy.Min) -> Node:
        nodes = [self.lower(a) for a in e.args]
        scalar = all(n.scalar for n in nodes)
        larger = isinstance(e, sympy.Max)
        call = ("max" if larger else "min") if scalar else ("xp.maximum" if larger else "xp.minimum")
        result = nodes[0]
        for other in nodes[1:]:
            value = self.let(f"{call}({result.value}, {other.value})")
            error = self._of_the_chosen(result, other, scalar, larger)
            result = Node(value, error, scalar, bool(e.is_nonnegative))
        return result

    def _of_the_chosen(self, one: Node, two: Node, scalar: bool, larger: bool) -> str | None:
        """The error of the larger or smaller of two; of both where errors decide which it is."""
        errors = [n.error if scalar else self.entering(n) for n in (one, two)]
        if errors == [None, None]:
            return None
        own, others = (error or "0.0" for error in errors)
        gap = f"{one.value} - {two.value}" if larger else f"{two.value} - {one.value}"
        apart, doubt = self.let(gap, "d"), self.let(f"{own} + {others}", "d")
        if scalar:
            chosen = f"{own} if {apart} > {doubt} else {others} if -{apart} > {doubt} else max({own}, {others})"
            return self.let(chosen, "e")
        unsure = self.let(f"xp.maximum({own}, {others})", "e")
        unsure = self.let(f"xp.where(-{apart} > {doubt}, {others}, {unsure})", "e")
        return self.let(f"xp.where({apart} > {doubt}, {own}, {unsure})", "e")

    def function(self, e: sympy.Function) -> Node:
        a = self.lower(e.args[0])
        where = "math" if a.scalar else "xp"
        unit, tiny = ("w", "0.0") if a.scalar else ("u", "tiny")
        name = type(e).__name__
        value = self.let(f"{where}.{name}({a.value})")
        size = "abs" if a.scalar else "xp.abs"
        passed = ""
        if a.error and name == "exp":
            passed = f" + {value} * {where}.expm1({a.error})"
        elif a.error and name == "log":
            low = f"{size}({a.value}) - {a.error}"
            passed = f" + ratio({a.error}, {low})" if a.scalar else f" + {a.error} / xp.maximum({low}, 0.0)"
        elif a.error:
            passed = f" + {a.error}"
        error = self.let(f"{unit} * {size}({value}) + {tiny}{passed}", "e")
        return Node(value, error, a.scalar, name == "exp" or bool(e.is_nonnegative))

    # -- conditions --------------------------------------------------------------------------

    def piecewise(self, e: sympy.Piecewise) -> Node:
        (branch, condition), *rest = e.args
        if isinstance(condition, BooleanTrue):
            return self.lower(branch)
        # a missing last branch means that the rule says nothing there: nan, never verified
        other = sympy.Piecewise(*rest) if rest else sympy.nan
        test, doubt, scalar = self.condition(condition)
        if scalar:
            return self._scalar_choice(e, test, doubt, branch, other)
        yes, no = self.lower(branch), self.lower(other)
        value = self.let(f"xp.where({test}, {yes.value}, {no.value})")
        errors = [self.entering(n) or "0.0" for n in (yes, no)]
        error = f"xp.where({test}, {errors[0]}, {errors[1]})" if errors != ["0.0", "0.0"] else None
        if doubt:
            jump = f"xp.abs({yes.value} - {no.value}) + xp.maximum({errors[0]}, {errors[1]})"
            error = f"{error + ' + ' if error else ''}xp.where({doubt}, {jump}, 0.0)"
        nonnegative = bool(e.is_nonnegative) or (yes.nonnegative and no.nonnegative)
        return Node(value, self.let(error, "e") if error else None, False, nonnegative)

    def _scalar_choice(self, e, test, doubt, branch, other) -> Node:
        value, error = self.name(), self.name("e")
        if not self.is_number(e):
            self.lanes |= {value, error}
        nodes = []
        for header, expression in ((f"if {test}:", branch), ("else:", other)):
            with self.block(header):
                node = self.lower(expression)
                nodes.append(node)
                # a number among elements is one of them: Python's own would raise where it is divided by
                zeros = "xp.zeros_like(v['p']) + " if node.scalar and value in self.lanes else ""
                self.emit(f"{value} = {zeros}{node.value}")
                entered = node.error
                self.emit(f"{error} = {entered or '0.0'}")
        if doubt:
            self.emit(f"if {doubt}: {error} = math.inf")
        exact = all(n.error is None for n in nodes) and not doubt
        scalar = all(n.scalar for n in nodes)
        nonnegative = bool(e.is_nonnegative) or all(n.nonnegative for n in nodes)
        return Node(value, None if exact else error, scalar, nonnegative)

    def condition(self, c: sympy.Basic) -> tuple[str, str | None, bool]:
        """Code of a condition, code of "cannot be told apart from its opposite", and if it is scalar."""
        if isinstance(c, BooleanTrue | BooleanFalse):
            return str(bool(c)), None, True
        if isinstance(c, sympy.ITE):
            return self.condition(c.to_nnf(simplify=False))
        if isinstance(c, sympy.And | sympy.Or | sympy.Not):
            parts = [self.condition(a) for a in c.args]
            scalar = all(p[2] for p in parts)
            doubt = " | ".join(f"({p[1]})" for p in parts if p[1]) or None
            if isinstance(c, sympy.Not):
                return (f"(not {parts[0][0]})" if scalar else f"~({parts[0][0]})"), doubt, scalar
            joint = " & " if isinstance(c, sympy.And) else " | "
            return joint.join(f"({p[0]})" for p in parts), doubt, scalar
        if not isinstance(c, sympy.core.relational.Relational):
            raise RuleError(f"rule {self.step.rule.name!r}: {c} is no condition that can be evaluated")
        left, right = self.lower(c.lhs), self.lower(c.rhs)
        scalar = left.scalar and right.scalar
        symbol = {"Eq": "==", "Ne": "!="}.get(type(c).__name__, c.rel_op)
        test = f"{left.value} {symbol} {right.value}"
        errors = [n.error for n in (left, right) if n.error and not _is_bare(n)]
        if not errors:
            return test, None, scalar
        size = "abs" if scalar else "xp.abs"
        error = " + ".join(errors)
        join = "and" if scalar else "&"
        # whole numbers are equal or 1 apart
        enough = ">= 0.5" if c.lhs.is_integer and c.rhs.is_integer else "> 0"
        doubt = f"({size}({left.value} - {right.value}) <= {error}) {join} ({error} {enough})"
        if not scalar and not self.step.is_elementwise:
            # what overflows decides nothing, and may decide for all elements
            doubt = f"(({doubt}) | ~xp.isfinite({left.value} - {right.value}))"
        if not scalar and c.rhs == 0:
            doubt += self.not_certainly_zero(c.lhs)
        return test, doubt, scalar

    # -- overflow ----------------------------------------------------------------------------

    def guard(self, value: str, error: str) -> str:
        """In careful code: infinite error where a value that some order of evaluation meets may overflow."""
        if not self.careful:
            return error
        return self.let(f"xp.where(xp.abs({value}) + {error} <= largest, {error}, math.inf)", "e")


def _is_denominator(e: sympy.Expr) -> bool:
    return isinstance(e, sympy.Pow) and bool(e.exp.is_negative) and bool(e.exp.is_number)


def _is_bare(node: Node) -> bool:
    """Whether the node is a symbol: a hyperparameter, whose error vanishes with its value, or carried state."""
    return node.error == f"e_{node.value.removeprefix('v_')}"


def _is_exact_everywhere(value: str) -> bool:
    """Whether a literal is a power of two (or zero), and so exact in every binary format."""
    try:
        number = abs(float(value))
    except ValueError:
        return False
    return number == 0 or (2.0**-6 <= number <= 2.0**6 and math.frexp(number)[0] == 0.5)


def array_source(step: Step, carried: bool = False, careful: bool = False, inexact: bool = False) -> str:
    """Source of the generated function (see :func:`lower_to_arrays`)."""
    return ArrayCode(step, carried, careful, inexact).source()


@lru_cache(maxsize=512)
def lower_to_arrays(step: Step, carried: bool = False, careful: bool = False, inexact: bool = False) -> Callable:
    """Array code for one step.

    Args:
        step: the assignments.
        carried: whether state comes with an error of its own (``v["e_" + name]``), as it does when
            the subject's state cannot be seen.
        careful: whether to give an infinite allowance where an intermediate result may overflow.
        inexact: whether the gradient comes with an error of its own, ``v["e_g"]``, as a sum of entries does.

    Returns:
        ``evaluate(xp, u, tiny, w, w_entry, largest, v) -> [(value, error | None), ...]`` in the order
        of ``step.outputs``. ``u`` and ``tiny`` are unit roundoff and smallest number of the elements,
        ``w`` of scalars, ``w_entry`` of hyperparameters that enter scalars, all times the factor;
        ``v`` maps names to float64 arrays and Python floats, ``"p.shape"`` to the shape of the parameter where
        the rule has reductions or functions of matrices (its arrays are flat then), ``"p.matrices"`` to unit,
        smallest and largest number of the precision of matrices where that is another one, and ``"store_" + name``
        of a scalar state to unit roundoff and smallest number of the tensor that holds it, times the factor; ``"g.entry"``,
        where the gradient is sparse, says which elements it has. An error of None means exact.
    """
    namespace: dict[str, Any] = RUNTIME | reduced.RUNTIME | spectral.RUNTIME
    exec(compile(array_source(step, carried, careful, inexact), f"<{step.rule.name}>", "exec"), namespace)
    return _lazily(step, namespace["evaluate"]) if step.rule.lazy else namespace["evaluate"]


def _lazily(step: Step, evaluate: Callable) -> Callable:
    """Elements that have no entry in a sparse gradient keep what the rule lets them keep, exactly."""

    def lazily(xp, u, tiny, w, w_entry, largest, v):
        results = evaluate(xp, u, tiny, w, w_entry, largest, v)
        if "g.entry" not in v:
            return results
        there = v["g.entry"]
        return [
            (xp.where(there, value, v[name]), xp.where(there, 0.0 if error is None else error, v.get(f"e_{name}", 0.0)))
            if name in step.rule.lazy
            else (value, error)
            for name, (value, error) in zip(step.outputs, results, strict=True)
        ]

    return lazily
