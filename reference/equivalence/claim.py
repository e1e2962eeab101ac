"""The claim that two rules are equal: everything that it supposes, with all names resolved."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import sympy
from sympy.core.relational import Relational

from reference.rule import GRADIENT, PARAMETER, Step

# steps made so far
DONE = sympy.Symbol("n", integer=True, positive=True)
Values = Mapping[str, sympy.Expr]


@dataclass(frozen=True)
class Base:
    """A number that the user of both rules is free to choose, and its domain.

    Args:
        constant: whether it keeps its value in all steps.
        switch: whether it is zero in all steps or in none.
    """

    symbol: sympy.Symbol
    low: float = 0.0
    high: float = math.inf
    low_open: bool = False
    high_closed: bool = False
    integer: bool = False
    constant: bool = False
    switch: bool = False
    trials: tuple[float, ...] = ()

    def contains(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value <= self.high if self.high_closed else value < self.high
        return above and below and math.isfinite(value) and (not self.integer or value == int(value))

    @property
    def unit(self) -> bool:
        """Whether it lies in [0, 1)."""
        return self.low >= 0 and (self.high < 1 or (self.high == 1 and not self.high_closed))

    def with_domain(self, **domain) -> Base:
        """The same number in a smaller domain; its symbol says what sympy can know of it."""
        new = replace(self, **domain)
        sign = {"real": True}
        if new.low >= 0:
            sign = {"positive": True} if new.low_open or new.low > 0 else {"nonnegative": True}
        symbol = sympy.Symbol(self.symbol.name, integer=True if new.integer else None, **sign)
        return replace(new, symbol=symbol)


@dataclass(frozen=True)
class Claim:
    """That two rules give the same parameters: everything that the claim supposes, with all names resolved.

    Args:
        steps: the two rules under the chosen options.
        labels: what goes before the names of their state variables.
        values: of each rule, its hyperparameters in terms of the bases (and of t).
        bases: the free numbers, by name.
        relations: inequalities between them.
        gradient: what the second rule gets where the first one gets g.
        parameter: a side and its parameter in terms of the other side's; None where both are the same, and
            ``"found"`` where a relation is to be looked for.
        only_step: the only step in which parameters are compared; the second rule then starts every step
            at the parameter of the first.
        supposed: conditions that nobody gave, in words.
        case: the case of a proof by cases that this is, in words.
    """

    steps: tuple[Step, Step]
    labels: tuple[str, str]
    values: tuple[Values, Values]
    bases: Mapping[str, Base]
    relations: tuple[Relational, ...] = ()
    gradient: sympy.Expr = GRADIENT
    parameter: tuple[int, sympy.Expr] | str | None = None
    only_step: int | None = None
    given: tuple[str, ...] = ()
    supposed: tuple[str, ...] = ()
    case: tuple[str, ...] = ()

    def state_symbol(self, side: int, name: str) -> sympy.Symbol:
        """The value of a state variable before a step."""
        return sympy.Symbol(f"{self.labels[side]}.{name}", real=True)

    def parameter_symbol(self, side: int) -> sympy.Symbol:
        return PARAMETER if self.parameter is None else sympy.Symbol(f"{self.labels[side]}.p", real=True)

    def with_values(self, change: Callable[[sympy.Expr], sympy.Expr]) -> tuple[Values, Values]:
        """The hyperparameters of both rules, each value changed."""
        first, second = ({k: change(e) for k, e in side.items()} for side in self.values)
        return first, second

    def restricted(self, name: str, zero: bool) -> Claim:
        """The case that one base is zero in all steps, or in none."""
        base = self.bases[name]
        bases = {k: b for k, b in self.bases.items() if k != name}
        new: sympy.Expr = sympy.S.Zero
        if not zero:
            bases[name] = replace(base.with_domain(low_open=True), switch=False)
            new = bases[name].symbol

        def put(e: sympy.Basic):
            return e.xreplace({base.symbol: new})

        parameter = self.parameter
        if isinstance(parameter, tuple):
            parameter = (parameter[0], put(parameter[1]))
        return replace(
            self,
            values=self.with_values(put),
            bases=bases,
            relations=tuple(r for r in map(put, self.relations) if isinstance(r, Relational)),
            gradient=put(self.gradient),
            parameter=parameter,
            case=(*self.case, f"{name} = 0" if zero else f"{name} > 0" if base.low >= 0 else f"{name} not 0"),
        )
