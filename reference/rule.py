"""What an update rule is: hyperparameters, state variables, options and ordered assignments.

An :class:`UpdateRule` is mathematics. Choosing its options gives a :class:`Step`, a list of sympy
assignments in the order in which they happen; every lowering (ball arithmetic, array code, LaTeX)
starts from that list.
"""

from __future__ import annotations

import difflib
import keyword
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy

from reference.matrices import COLUMNS, ROWS, MatrixFunction
from reference.reductions import Reduction


class RuleError(ValueError):
    """A rule is not well formed, or an unknown rule was asked for. The message says what to do."""


class UnknownOptionError(RuleError, AttributeError):
    """The equations ask for an option that the rule does not declare."""


@dataclass(frozen=True)
class Hyperparameter:
    """A number that the user of an optimizer chooses.

    Args:
        name: name of its symbol in the equations.
        default: value in the paper or in torch.
        low, high: the domain; ``low`` belongs to it unless ``low_open``, ``high`` only if ``high_closed``.
        arguments: constructor arguments that may carry it, best first; ``"betas[0]"`` is an entry of
            a tuple. Empty means: the name itself.
        absent: the value used by an optimizer that has no such argument; None when it must have one.
        trials: values worth trying. Large ones show mistakes that the usual ones hide.
        integer: whether only whole numbers belong to the domain.
    """

    name: str
    default: float
    low: float = 0.0
    high: float = math.inf
    low_open: bool = False
    high_closed: bool = False
    arguments: tuple[str, ...] = ()
    absent: float | None = None
    trials: tuple[float, ...] = ()
    integer: bool = False

    @property
    def symbol(self) -> sympy.Symbol:
        sign = {"nonnegative": True} if self.low >= 0 else {"real": True}
        if self.low_open and self.low >= 0:
            sign = {"positive": True}
        return sympy.Symbol(self.name, integer=True if self.integer else None, **sign)

    def contains(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value <= self.high if self.high_closed else value < self.high
        return above and below and math.isfinite(value)

    @property
    def domain(self) -> str:
        low = "-∞" if self.low == -math.inf else f"{self.low:g}"
        high = "∞" if self.high == math.inf else f"{self.high:g}"
        return (
            f"{'(' if self.low_open or self.low == -math.inf else '['}{low}, {high}{']' if self.high_closed else ')'}"
        )


@dataclass(frozen=True)
class StateVariable:
    """A quantity that the optimizer remembers from step to step.

    Args:
        name: name of its symbol; the equations assign the new value under the same name.
        initial: value before the first step: a number, or the name of a hyperparameter.
        keys: keys under which ``optimizer.state[p]`` may hold it, best first. Empty: the name itself.
        scalar: one number per parameter instead of one per element, computed from numbers alone.
        common: axes along which all elements have the same value, which is kept once for them: ``"all"`` for one
            value per parameter, ``"rows"`` for one per row (of the last axis), ``"columns"``.
        nonnegative: whether the rule keeps it at or above zero.
        option: the option without which it does not exist.
        unless: the option with which it does not exist.
        needs: the hyperparameter that must be nonzero for it to exist.
        unset_at_first: whether the equations ask, by ``v.unset(name)``, if it was ever assigned.
    """

    name: str
    initial: float | str = 0.0
    keys: tuple[str, ...] = ()
    scalar: bool = False
    common: str = ""
    nonnegative: bool = False
    option: str | None = None
    unless: str | None = None
    needs: str | None = None
    unset_at_first: bool = False

    @property
    def symbol(self) -> sympy.Symbol:
        return sympy.Symbol(self.name, **({"nonnegative": True} if self.nonnegative else {"real": True}))


@dataclass(frozen=True)
class Option:
    """A choice between two forms of the rule.

    Args:
        arguments: constructor arguments that make it, best first. Empty: the name itself.
        values: what such an argument is given for no and yes, where these are other than False and True.
        as_none: whether None makes it, in an argument that otherwise holds a number; only where None is the
            constructor's own default.
        of_shape: makes it for every parameter by its shape instead, and nobody can choose otherwise.
    """

    name: str
    default: bool = False
    arguments: tuple[str, ...] = ()
    about: str = ""
    values: tuple[Any, Any] = (False, True)
    as_none: bool = False
    of_shape: Callable[[tuple[int, ...]], bool] | None = None


class Options(Mapping[str, bool]):
    """The options that were chosen, readable as attributes."""

    def __init__(self, chosen: Mapping[str, bool]):
        self._chosen = dict(chosen)

    def __getattr__(self, name: str) -> bool:
        try:
            return self._chosen[name]
        except KeyError:
            raise UnknownOptionError(f"there is no option {name!r}; declare it with Option({name!r})") from None

    def __getitem__(self, name: str) -> bool:
        return self._chosen[name]

    def __iter__(self):
        return iter(self._chosen)

    def __len__(self) -> int:
        return len(self._chosen)


PARAMETER = sympy.Symbol("p", real=True)
GRADIENT = sympy.Symbol("g", real=True)
STEP_COUNT = sympy.Symbol("t", integer=True, positive=True)
# of the parameter's dtype: from 1 to the next number
MACHINE_EPSILON = sympy.Symbol("machine_epsilon", positive=True)


class Variables:
    """The symbols of one rule, and the assignments made so far.

    ``v.p`` is the parameter, ``v.g`` its gradient, ``v.t`` the number of this step (1 at the first),
    ``v.machine_epsilon`` that of the parameter's dtype, the distance from 1 to the next number, ``v.rows`` and
    ``v.columns`` the lengths of the parameter's last two axes;
    hyperparameters and state variables go by their names and mean the values *before* the step.
    ``v.let(name, expression)`` assigns and returns the symbol of the new value; ``nonnegative=True`` says of an
    intermediate quantity that it never is below zero, where its form does not show it.
    """

    def __init__(self, rule: UpdateRule):
        self._rule = rule
        self._assignments: list[Assignment] = []
        self._symbols = {"p": PARAMETER, "g": GRADIENT, "t": STEP_COUNT, "machine_epsilon": MACHINE_EPSILON}
        self._symbols |= {"rows": ROWS, "columns": COLUMNS}
        self._symbols |= {h.name: h.symbol for h in rule.hyperparameters}
        self._symbols |= {s.name: s.symbol for s in rule.state}

    def __getattr__(self, name: str) -> sympy.Symbol:
        try:
            return self._symbols[name]
        except KeyError:
            known = sorted(self._symbols)
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; it knows {', '.join(known)}"
            raise RuleError(f"rule {self._rule.name!r} has no symbol {name!r}{hint}") from None

    def unset(self, name: str) -> sympy.Basic:
        """Condition: the state variable has not been assigned yet (torch holds None for it)."""
        return sympy.Eq(unset_symbol(name), 1)

    def let(self, name: str, expression: Any, nonnegative: bool = False) -> sympy.Symbol:
        expression = sympy.sympify(expression)
        variables = {s.name: s for s in self._rule.state}
        old = variables[name].symbol if name in variables else PARAMETER
        assumptions = {"nonnegative": True} if old.is_nonnegative else {"real": True}
        if name != "p" and name not in variables and (nonnegative or expression.is_nonnegative):
            assumptions = {"nonnegative": True}
        new = sympy.Symbol(f"{name}'" if name in variables or name == "p" else name, **assumptions)
        self._assignments.append(Assignment(name, new, expression))
        return new


def unset_symbol(name: str) -> sympy.Symbol:
    return sympy.Symbol(f"{name}_unset", integer=True, nonnegative=True)


@dataclass(frozen=True)
class Assignment:
    """``symbol`` becomes ``expression``; ``name`` is the variable (or intermediate quantity) it is."""

    name: str
    symbol: sympy.Symbol
    expression: sympy.Expr


@dataclass(frozen=True, eq=False)
class Step:
    """The ordered assignments of one rule under one choice of options."""

    rule: UpdateRule
    options: Options
    assignments: tuple[Assignment, ...]

    @cached_property
    def state(self) -> tuple[StateVariable, ...]:
        """State variables that this choice of options keeps."""
        return tuple(
            s
            for s in self.rule.state
            if (s.option is None or self.options[s.option]) and (s.unless is None or not self.options[s.unless])
        )

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """Variables with a new value, the parameter last."""
        names = [s.name for s in self.state if any(a.name == s.name for a in self.assignments)]
        return (*names, "p")

    def new_symbol(self, name: str) -> sympy.Symbol:
        return next(a.symbol for a in reversed(self.assignments) if a.name == name)

    def solved(self, name: str = "p") -> sympy.Expr:
        """The new value of a variable in terms of values before the step alone."""
        values: dict[sympy.Basic, sympy.Basic] = {}
        for assignment in self.assignments:
            values[assignment.symbol] = assignment.expression.xreplace(values)
        return values[self.new_symbol(name)]

    @cached_property
    def is_elementwise(self) -> bool:
        """Whether no element depends on others, nor on the shape of the parameter."""
        return not any(a.expression.has(Reduction, MatrixFunction, ROWS, COLUMNS) for a in self.assignments)

    @cached_property
    def has_matrices(self) -> bool:
        """Whether there is a function of the whole matrix in the equations."""
        return any(a.expression.has(MatrixFunction) for a in self.assignments)

    @cached_property
    def is_scalar(self) -> dict[sympy.Symbol, bool]:
        """For every symbol, whether it is one number rather than one per element."""
        scalar = {h.symbol: True for h in self.rule.hyperparameters}
        scalar |= {s.symbol: s.scalar for s in self.rule.state}
        scalar |= {unset_symbol(s.name): True for s in self.rule.state if s.unset_at_first}
        scalar |= {PARAMETER: False, GRADIENT: False, STEP_COUNT: True, MACHINE_EPSILON: True}
        scalar |= {ROWS: True, COLUMNS: True}
        for assignment in self.assignments:
            free = assignment.expression.free_symbols
            scalar[assignment.symbol] = all(scalar[s] for s in free) and not assignment.expression.has(Reduction)
        return scalar


@dataclass(frozen=True, eq=False)
class UpdateRule:
    """An optimizer's update rule in symbols.

    Args:
        name: what it is called on the command line.
        title: one line saying what it is.
        source: paper and equation or algorithm number.
        hyperparameters, state, options: what the equations may speak of.
        equations: function ``(v, options)`` that makes the assignments with ``v.let``; it must assign
            ``"p"`` and every state variable that the options keep.
        constraint: function ``(values, options) -> bool`` for domains that are not a product.
        torch: dotted names of torch classes that claim this rule.
        dimensions: how many dimensions a parameter must have, and be real; None where the shape does not matter.
        notes: conventions that differ between paper and code, one sentence each.
        lazy: what elements that have no entry in a sparse gradient keep as it is: ``"p"``, state variables. To all
            else, and to every rule that names nothing here, such an element has a gradient of zero.

    Raises:
        RuleError: an undefined symbol, a missing assignment or a duplicate name.
    """

    name: str
    title: str
    source: str
    equations: Callable[[Variables, Options], None]
    hyperparameters: tuple[Hyperparameter, ...] = ()
    state: tuple[StateVariable, ...] = ()
    options: tuple[Option, ...] = ()
    constraint: Callable[[Mapping[str, float], Options], bool] = lambda values, options: True
    torch: tuple[str, ...] = ()
    dimensions: int | None = None
    notes: tuple[str, ...] = ()
    lazy: tuple[str, ...] = ()
    _steps: dict = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        own = [*(h.name for h in self.hyperparameters), *(s.name for s in self.state), *(o.name for o in self.options)]
        names = ["p", "g", "t", "machine_epsilon", "rows", "columns", *own]
        for name in names:
            if names.count(name) > 1:
                raise RuleError(f"rule {self.name!r} uses the name {name!r} twice")
            if not name.isidentifier() or keyword.iskeyword(name):
                raise RuleError(f"rule {self.name!r}: {name!r} is no identifier")
        for name in self.lazy:
            if name not in ("p", *(s.name for s in self.state if not s.scalar)):
                raise RuleError(
                    f"rule {self.name!r}: {name!r} is lazy, and no quantity of elements; it may be p or state"
                )

    def step(self, options: Mapping[str, bool] | None = None, shape: tuple[int, ...] | None = None) -> Step:
        """The ordered assignments under a choice of options (unnamed options take their default).

        With the shape of a parameter, options that a shape decides are as it decides them.
        """
        chosen = {o.name: o.default for o in self.options} | dict(options or {})
        if shape is not None:
            chosen |= {o.name: o.of_shape(tuple(shape)) for o in self.options if o.of_shape}
        key = tuple(sorted(chosen.items()))
        if key not in self._steps:
            self._steps[key] = self._make_step(Options(chosen))
        return self._steps[key]

    def _make_step(self, options: Options) -> Step:
        unknown = set(options) - {o.name for o in self.options}
        if unknown:
            raise RuleError(f"rule {self.name!r} has no option {sorted(unknown)[0]!r}")
        v = Variables(self)
        self.equations(v, options)
        step = Step(self, options, tuple(v._assignments))
        known = set(v._symbols.values()) | {unset_symbol(s.name) for s in self.state if s.unset_at_first}
        for assignment in step.assignments:
            strange = assignment.expression.free_symbols - known
            if strange:
                raise RuleError(
                    f"rule {self.name!r} uses the undefined symbol {min(map(str, strange))!r} "
                    f"in the equation for {assignment.name!r}"
                )
            known.add(assignment.symbol)
        for needed in ("p", *(s.name for s in step.state)):
            if not any(a.name == needed for a in step.assignments):
                raise RuleError(f"rule {self.name!r} never assigns {needed!r}; add v.let({needed!r}, ...)")
        for variable in step.state:
            if variable.scalar and not step.is_scalar[step.new_symbol(variable.name)]:
                raise RuleError(f"rule {self.name!r}: {variable.name!r} is a scalar but depends on elements")
        if self.lazy and not step.is_elementwise:
            raise RuleError(f"rule {self.name!r} is lazy and has reductions; what is lazy must be elementwise")
        return step

    def choices(self) -> Iterable[Options]:
        """Every choice of options, the default first."""
        for index in range(2 ** len(self.options)):
            yield Options({o.name: o.default ^ bool(index >> i & 1) for i, o in enumerate(self.options)})

    @cached_property
    def is_elementwise(self) -> bool:
        """Whether no element depends on others, whatever the options."""
        return all(self.step(options).is_elementwise for options in self.choices())

    @cached_property
    def has_matrices(self) -> bool:
        """Whether there is a function of the whole matrix in the equations, whatever the options."""
        return any(self.step(options).has_matrices for options in self.choices())

    @property
    def known(self) -> bool:
        """Whether there are equations to speak of: an optimizer may be certified on its behaviour alone."""
        return self.name != "none"

    @property
    def kind(self) -> str:
        """What is judged: single steps, or for ``"quasi_newton"`` whole calls with a closure."""
        return ""

    @property
    def lacks(self) -> tuple[str, ...]:
        """Capabilities (verify.checks) that no optimizer of this rule needs to have."""
        return ()

    @property
    def defaults(self) -> dict[str, float]:
        return {h.name: h.default for h in self.hyperparameters}
