"""Equations in the form on which rewrites work, and the way back to a rule.

The equations of one choice of options are brought into one shape first, so that a rewrite need not know how
somebody wrote a rule down: the gradient that the rule works with, decay and all, has a symbol of its own; bias
corrections stand where they are used; and the step is a sum of terms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import sympy

from reference.reductions import Reduction
from reference.rule import GRADIENT, PARAMETER, STEP_COUNT, Assignment, Options, StateVariable, Step, UpdateRule

Change = dict[sympy.Basic, sympy.Basic]
HALF = sympy.Rational(1, 2)


@dataclass(frozen=True, eq=False)
class Equations:
    """The assignments of one choice of options, in any order.

    Args:
        step: the rule's own step, where they come from.
        assignments: one for each quantity.
        gradient: the symbol of the gradient that the rule works with.
        extra: what must be remembered beside the rule's state.
    """

    step: Step
    assignments: tuple[Assignment, ...]
    gradient: sympy.Symbol
    extra: tuple[StateVariable, ...] = ()

    # -- reading -----------------------------------------------------------------------------

    @cached_property
    def by_name(self) -> dict[str, Assignment]:
        return {a.name: a for a in self.assignments}

    @cached_property
    def states(self) -> dict[str, StateVariable]:
        """The state variables that have an equation here."""
        return {s.name: s for s in self.step.state if s.name in self.by_name}

    @cached_property
    def hyperparameters(self) -> dict[str, sympy.Symbol]:
        """Those that the equations speak of."""
        used = set().union(*(a.expression.free_symbols for a in self.assignments))
        return {h.name: h.symbol for h in self.step.rule.hyperparameters if h.symbol in used}

    def __getitem__(self, name: str) -> sympy.Expr:
        """The right-hand side of an equation."""
        return self.by_name[name].expression

    def old(self, name: str) -> sympy.Symbol:
        return PARAMETER if name == "p" else self.states[name].symbol

    def new(self, name: str) -> sympy.Symbol:
        return self.by_name[name].symbol

    @cached_property
    def scalars(self) -> set[sympy.Symbol]:
        """Symbols that stand for one number and not for one per element."""
        found = {s for s, scalar in self.step.is_scalar.items() if scalar}
        return found | {a.symbol for a in self.assignments if a.symbol not in self.step.is_scalar and self._is_plain(a)}

    def _is_plain(self, a: Assignment) -> bool:
        return a.expression.free_symbols <= {s for s, scalar in self.step.is_scalar.items() if scalar}

    def is_scalar(self, e: sympy.Basic) -> bool:
        return e.free_symbols <= self.scalars

    @cached_property
    def common(self) -> set[sympy.Symbol]:
        """Symbols that stand for one number for a whole parameter: scalars, and what is made of totals of it."""
        found = set(self.scalars)
        for a in self.assignments:
            if _outside_totals(a.expression) <= found:
                found.add(a.symbol)
        return found

    def is_common(self, e: sympy.Basic) -> bool:
        return _outside_totals(e) <= self.common

    def nodes(self, name: str, *kinds: type) -> Iterator[sympy.Expr]:
        """Subexpressions of some kinds in one equation, each once, in an order that does not change."""
        seen = set()
        for node in sympy.preorder_traversal(self[name]):
            if isinstance(node, kinds) and node not in seen:
                seen.add(node)
                yield node

    def users(self, symbol: sympy.Symbol) -> tuple[str, ...]:
        """Names of the equations in which a symbol stands."""
        return tuple(a.name for a in self.assignments if symbol in a.expression.free_symbols)

    # -- rewriting -----------------------------------------------------------------------------

    def swap(self, change: Change, only: Iterable[str] | None = None, besides: Iterable[str] = ()) -> Equations:
        """Subexpressions replaced, everywhere or in some equations."""
        names = set(self.by_name if only is None else only) - set(besides)
        return self._with(
            Assignment(a.name, a.symbol, _replaced(a.expression, change)) if a.name in names else a
            for a in self.assignments
        )

    def define(self, name: str, expression) -> Equations:
        """Another right-hand side for an equation."""
        return self._with(
            Assignment(a.name, a.symbol, sympy.sympify(expression)) if a.name == name else a for a in self.assignments
        )

    def insert(self, name: str, expression) -> tuple[Equations, sympy.Symbol]:
        """A further intermediate quantity, and its symbol."""
        symbol = sympy.Symbol(
            self.free(name), **({"nonnegative": True} if expression.is_nonnegative else {"real": True})
        )
        return self._with((Assignment(symbol.name, symbol, expression), *self.assignments)), symbol

    def remember(self, variable: StateVariable, expression) -> Equations:
        """A further state variable, with its equation."""
        new = sympy.Symbol(f"{variable.name}'", real=True)
        changed = self._with((*self.assignments, Assignment(variable.name, new, expression)))
        return replace(changed, extra=(*self.extra, variable))

    def free(self, name: str) -> str:
        """A name that nothing has yet."""
        taken = {h.name for h in self.step.rule.hyperparameters} | {s.name for s in self.step.rule.state}
        taken |= {o.name for o in self.step.rule.options} | set(self.by_name) | {"p", "g", "t", "machine_epsilon"}
        while name in taken:
            name += "_"
        return name

    def _with(self, assignments: Iterable[Assignment]) -> Equations:
        return replace(self, assignments=tuple(assignments))

    def ordered(self) -> tuple[Assignment, ...] | None:
        """The assignments so that each comes after those it needs; None where they need each other."""
        waiting = list(self.assignments)
        undone = {a.symbol for a in waiting}
        done: list[Assignment] = []
        while waiting:
            ready = next((a for a in waiting if not a.expression.free_symbols & undone), None)
            if ready is None:
                return None
            waiting.remove(ready)
            undone.discard(ready.symbol)
            done.append(ready)
        return tuple(done)


@dataclass(frozen=True, eq=False)
class Edit:
    """One rewrite of the equations of one choice of options.

    Args:
        climbs: whether the sign of the gradient is still to be changed.
    """

    name: str
    sentence: str
    equations: Equations
    climbs: bool = False


Rewrite = Callable[[Equations], Iterator[Edit]]


def _outside_totals(e: sympy.Basic) -> set[sympy.Symbol]:
    """The symbols of an expression, without those that only stand in reductions over all elements."""
    if isinstance(e, Reduction) and e.axis is None:
        return set()
    return {e} if isinstance(e, sympy.Symbol) else set().union(*map(_outside_totals, e.args))


def _replaced(expression: sympy.Expr, change: Change) -> sympy.Expr:
    """The expression with parts replaced; nan where that makes the maximum of something that is no number."""
    try:
        return expression.xreplace(change)
    except ValueError:
        return sympy.nan


# -- one shape for all rules ----------------------------------------------------------------


def prepare(step: Step) -> Equations | None:
    """The equations of a step in the form on which rewrites work; None where a quantity is assigned twice."""
    assignments = list(step.assignments)
    if len({a.name for a in assignments}) < len(assignments):
        return None
    assignments = _inline(assignments, _corrections(step, assignments))
    e = Equations(step, tuple(assignments), GRADIENT)
    e = e.swap(_plain_roots(e))
    if "p" in e.by_name:
        e = e.define("p", _as_sum(e["p"]))
    return _name_gradient(e)


def _inline(assignments: list[Assignment], values: Change) -> list[Assignment]:
    if not values:
        return assignments
    return [Assignment(a.name, a.symbol, a.expression.xreplace(values)) for a in assignments if a.symbol not in values]


def _corrections(step: Step, assignments: list[Assignment]) -> Change:
    """Intermediate quantities that are a bias correction, 1 - b^t, and nothing else."""
    named = {s.name for s in step.rule.state} | {"p"}
    return {a.symbol: a.expression for a in assignments if a.name not in named and power_of(a.expression) is not None}


def power_of(e: sympy.Basic) -> sympy.Pow | None:
    """b^f(t) where an expression is 1 - b^f(t)."""
    if not (isinstance(e, sympy.Add) and len(e.args) == 2 and sympy.S.One in e.args):
        return None
    power = 1 - e
    if isinstance(power, sympy.Pow) and STEP_COUNT in power.exp.free_symbols and isinstance(power.base, sympy.Symbol):
        return power
    return None


def _plain_roots(e: Equations) -> Change:
    """sqrt(1/x) of numbers, which are 1/sqrt(x)."""
    change: Change = {}
    for a in e.assignments:
        for node in e.nodes(a.name, sympy.Pow):
            inner = node.base
            if node.exp == HALF and isinstance(inner, sympy.Pow) and inner.exp == -1 and e.is_scalar(inner):
                change[node] = inner.base**-HALF
    return change


def _as_sum(e: sympy.Expr) -> sympy.Expr:
    """Products of sums multiplied out, and factors taken into the branches, at the top of an expression."""
    terms = []
    for term in sympy.Add.make_args(e):
        factors = sympy.Mul.make_args(term)
        sums = [f for f in factors if isinstance(f, sympy.Add)]
        branches = [f for f in factors if isinstance(f, sympy.Piecewise)]
        if sums:
            rest = sympy.Mul(*[f for f in factors if f is not sums[0]])
            terms += [_as_sum(rest * t) if isinstance(t, sympy.Add) else rest * t for t in sums[0].args]
        elif branches and len(factors) > 1:
            sign = -1 if term.could_extract_minus_sign() else 1
            rest = sign * sympy.Mul(*[f for f in factors if f is not branches[0]])
            terms.append(sign * sympy.Piecewise(*((rest * v, c) for v, c in branches[0].args), evaluate=False))
        else:
            terms.append(term)
    return sympy.Add(*terms)


def _name_gradient(e: Equations) -> Equations:
    """The gradient that the rule works with becomes an intermediate quantity, if it is none yet."""
    for a in e.assignments:
        if a.name not in e.states and a.name != "p" and _is_gradient(a.expression, e):
            return replace(e, gradient=a.symbol)
    name = e.free("gradient")
    symbol = sympy.Symbol(name, real=True)
    inline = [n for a in e.assignments for n in e.nodes(a.name, sympy.Add) if _is_gradient(n, e)]
    whole = max(inline, key=inline.count, default=GRADIENT)
    e = e.swap({whole: symbol})
    return replace(e, assignments=(Assignment(name, symbol, whole), *e.assignments), gradient=symbol)


def _is_gradient(x: sympy.Basic, e: Equations) -> bool:
    """Whether an expression is the gradient, or the gradient and terms that shrink the parameter."""
    if x == GRADIENT:
        return True
    if not (isinstance(x, sympy.Add) and GRADIENT in x.args):
        return False
    others = [t for t in x.args if t != GRADIENT]
    known = {PARAMETER, *(h.symbol for h in e.step.rule.hyperparameters)}
    return all(PARAMETER in t.free_symbols and t.free_symbols <= known for t in others)


# -- the way back ---------------------------------------------------------------------------


def rule_from(
    rule: UpdateRule, sentence: str, choose: Callable[[Options], Equations | None], extra, signed
) -> UpdateRule:
    """A rule whose equations ``choose`` gives for each choice of options (None: those of ``rule``).

    ``extra`` state variables are kept under every choice; those named in ``signed`` may become negative.
    """
    added = {s.name: s for s in extra}
    state = tuple(replace(added.pop(s.name, s), nonnegative=s.nonnegative and s.name not in signed) for s in rule.state)
    state = (*state, *added.values())

    def equations(v, options: Options) -> None:
        chosen = choose(options)
        assignments = rule.step(options).assignments if chosen is None else chosen.ordered()
        assert assignments is not None
        change: Change = {s.symbol: getattr(v, s.name) for s in rule.state if s.name in signed}
        for a in assignments:
            new = v.let(a.name, a.expression.xreplace(change) if change else a.expression)
            if new != a.symbol:
                change[a.symbol] = new
        made = {a.name for a in assignments}
        for s in extra:
            if s.name not in made:
                v.let(s.name, getattr(v, s.name))

    return replace(rule, title=f"{rule.title}; but {sentence}", equations=equations, state=state, torch=(), _steps={})
