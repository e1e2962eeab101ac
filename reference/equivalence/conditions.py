"""Reading the conditions under which two rules are compared.

The grammar is small, and names are the only thing looked up: an expression is read by Python's own
parser and then walked, never evaluated.
"""

from __future__ import annotations

import ast
import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import sympy
from sympy.core.relational import Relational

from reference.equivalence.claim import DONE, Base, Claim
from reference.rule import GRADIENT, PARAMETER, STEP_COUNT, Hyperparameter, RuleError, UpdateRule

GRAMMAR = (
    "a condition is one of: 'NAME = expression', 'NAME > number' (or <, <=, >=, !=), 'NAME constant', 'NAME varies', "
    "'NAME free', 'OPTION', 'not OPTION', 't = number', 'g negated', 'p shifted', 'a.p = expression'; "
    "NAME is a hyperparameter, 'a.' or 'b.' before it means that of one rule"
)
_FUNCTIONS = {"sqrt": sympy.sqrt, "exp": sympy.exp, "log": sympy.log, "abs": sympy.Abs}
_BINARY = {
    ast.Add: lambda x, y: x + y,
    ast.Sub: lambda x, y: x - y,
    ast.Mult: lambda x, y: x * y,
    ast.Div: lambda x, y: x / y,
    ast.Pow: lambda x, y: x**y,
}
_COMPARISONS = {"<": sympy.Lt, "<=": sympy.Le, ">": sympy.Gt, ">=": sympy.Ge, "!=": sympy.Ne}
_SWITCH = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
# the largest power that a condition may ask for: 9**9**9 would never end
_LARGEST_EXPONENT = 64
_LARGEST_NUMBER = 4096  # bits
Place = tuple[int, str]  # side (0 or 1) and name


def read(a: UpdateRule, b: UpdateRule, given: Sequence[str] = ()) -> Claim:
    """The claim that two rules are equal under conditions.

    Raises:
        RuleError: a condition that cannot be read, or that contradicts another one or a domain.
    """
    given = (given,) if isinstance(given, str) else given
    reader = _Reader((a, b))
    for condition in given:
        for part in re.split(r"\s+and\s+|[,;]", condition):
            reader.read(part)
    return reader.claim(tuple(given))


@dataclass
class _Reader:
    rules: tuple[UpdateRule, UpdateRule]
    options: tuple[dict[str, bool], dict[str, bool]] = field(default_factory=lambda: ({}, {}))
    bindings: dict[Place, sympy.Expr] = field(default_factory=dict)
    constant: dict[Place, bool] = field(default_factory=dict)
    all_constant: bool | None = None
    mentioned: set[Place] = field(default_factory=set)
    relations: list[tuple[str, sympy.Expr, sympy.Expr]] = field(default_factory=list)
    gradient: sympy.Expr = GRADIENT
    parameter: tuple[int, sympy.Expr] | str | None = None
    only_step: int | None = None
    text: str = ""

    # -- names --

    def hyperparameter(self, place: Place) -> Hyperparameter | None:
        side, name = place
        return next((h for h in self.rules[side].hyperparameters if h.name == name), None)

    def has_option(self, side: int, name: str) -> bool:
        return any(o.name == name for o in self.rules[side].options)

    def fail(self, why: str) -> RuleError:
        return RuleError(f"cannot read the condition {self.text!r}: {why}")

    def unknown(self, name: str) -> RuleError:
        words = {"t", "g", "p"}
        for rule in self.rules:
            words |= {h.name for h in rule.hyperparameters} | {o.name for o in rule.options}
            words |= {s.name for s in rule.state}
        near = difflib.get_close_matches(name, sorted(words), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(words))}"
        one, two = self.rules[0].name, self.rules[1].name
        of = f"{one!r} or {two!r}" if one != two else repr(one)
        return self.fail(f"{name!r} is no hyperparameter or option of {of}; {hint}")

    def split(self, dotted: str) -> tuple[tuple[int, ...], str]:
        """The sides that a name speaks of, and the name without them."""
        prefix, dot, name = dotted.rpartition(".")
        if not dot:
            return (0, 1), name
        sides: dict[str, int] = {}
        if self.rules[0].name != self.rules[1].name:
            sides = {self.rules[0].name: 0, self.rules[1].name: 1}
        sides |= {"a": 0, "b": 1}
        if prefix not in sides:
            raise self.fail(f"{prefix!r} is neither of the two rules; write a.{name} or b.{name}")
        return (sides[prefix],), name

    def places(self, dotted: str) -> list[Place]:
        """Where a name is a hyperparameter."""
        sides, name = self.split(dotted)
        places = [(side, name) for side in sides if self.hyperparameter((side, name))]
        if not places:
            raise self.unknown(name if len(sides) == 2 else dotted)
        self.mentioned |= set(places)
        return places

    # -- one condition --

    def read(self, text: str) -> None:
        self.text = text = text.strip()
        words = text.split()
        if not words:
            raise self.fail(GRAMMAR)
        if len(words) == 3 and words[1] in ("is", "are"):
            del words[1]
        if len(words) == 2 and re.fullmatch(r"[\w.]+", words[0]) and re.fullmatch(r"[\w.]+", words[1]):
            self.two_words(*words)
        elif re.fullmatch(r"[\w.]+", text):
            self.choose(text, True)
        elif parts := re.fullmatch(r"([^<>!=]+)(<=|>=|!=|<|>)([^<>!=]+)", text):
            left, kind, right = parts.groups()
            self.relations += [
                (kind, self.expression(left, side, ""), self.expression(right, side, "")) for side in self.sides(text)
            ]
        elif "=" in text:
            equals = [x.strip() for x in re.split("==?", text)]
            if not all(equals) or re.search("[<>!]", text):
                raise self.fail(GRAMMAR)
            for left in equals[:-1]:
                self.equation(left, equals[-1])
        else:
            raise self.fail(GRAMMAR)

    def two_words(self, first: str, second: str) -> None:
        if first in ("not", "no"):
            self.choose(second, False)
        elif (first, second) in (("g", "negated"), ("gradient", "negated")):
            self.gradient = -GRADIENT
        elif (first, second) in (("p", "shifted"), ("parameter", "shifted")):
            self.parameter = "found"
        elif second in ("constant", "varies", "vary", "free"):
            if first in ("all", "everything"):
                self.all_constant = second == "constant"
                return
            for place in self.places(first):
                if second != "free":
                    self.constant[place] = second == "constant"
        else:
            near = difflib.get_close_matches(second, ("constant", "varies", "free", "negated", "shifted"), 1)
            raise self.fail(f"did you mean '{first} {near[0]}'?" if near else GRAMMAR)

    def choose(self, dotted: str, value: bool) -> None:
        sides, name = self.split(dotted)
        sides = tuple(side for side in sides if self.has_option(side, name))
        if not sides:
            raise self.unknown(name)
        for side in sides:
            if self.options[side].get(name, value) != value:
                raise self.fail("it contradicts another condition")
            self.options[side][name] = value

    def sides(self, text: str) -> tuple[int, ...]:
        """A condition without prefixes is meant for both rules, as far as they have its names."""
        names = re.findall(r"[A-Za-z_][\w.]*", text)
        bare = [n for n in names if "." not in n and n not in _FUNCTIONS and n != "t"]
        both = [side for side in (0, 1) if all(self.hyperparameter((side, n)) for n in bare)]
        return tuple(both) or (0,)

    def equation(self, left: str, right: str) -> None:
        if right.lower() in _SWITCH and re.fullmatch(r"[\w.]+", left):
            self.choose(left, _SWITCH[right.lower()])
            return
        if left in ("t", "step") and right.isdigit() and int(right) > 0:
            self.only_step = int(right)
            return
        name = re.compile(r"[A-Za-z_][\w.]*")
        if not name.fullmatch(left) and name.fullmatch(right):
            left, right = right, left
        if not name.fullmatch(left):
            for side in self.sides(f"{left} {right}"):
                self.bind_unknown(left, right, side)
            return
        sides, bare = self.split(left)
        if bare in ("g", "p") and len(sides) == 1:
            self.variable(sides[0], bare, right)
            return
        for side, bare in self.places(left):
            self.bind((side, bare), self.expression(right, side, bare if len(sides) == 1 else ""))

    def bind(self, place: Place, value: sympy.Expr) -> None:
        if self.bindings.get(place, value) != value:
            raise self.fail("it contradicts another condition")
        self.bindings[place] = value

    def bind_unknown(self, left: str, right: str, side: int) -> None:
        """An equation without a name on either side: solved for a name in which it is linear."""
        difference = self.expression(left, side, "") - self.expression(right, side, "")
        for symbol in sorted(difference.free_symbols - {STEP_COUNT}, key=str):
            slope = difference.diff(symbol)
            if slope != 0 and not slope.has(symbol):
                value = sympy.expand(-difference.xreplace({symbol: sympy.S.Zero}) / slope)
                self.bind(_place(symbol), value)
                return
        raise self.fail("write it as NAME = expression")

    def variable(self, side: int, name: str, right: str) -> None:
        if name == "g":
            value = self.expression(right, 1 - side, "", variables=True)
            if side == 0 and value != -GRADIENT:
                raise self.fail("write it as b.g = expression in g")
            if {s.name for s in value.free_symbols if ":" in s.name} - {"0:p"}:
                raise self.fail("a gradient may depend on g, p and hyperparameters")
            self.gradient = value
        else:
            self.parameter = (side, self.expression(right, 1 - side, "", variables=True))

    # -- expressions --

    def expression(self, text: str, side: int, defined: str, variables: bool = False) -> sympy.Expr:
        """An expression over placeholders ``0.name`` and ``1.name``.

        Args:
            side: whose names are meant first where there is no prefix.
            defined: a name that on this side is the one being defined, so that without a prefix the other's is meant.
            variables: whether p, g and state variables may occur.
        """
        try:
            tree = ast.parse(text.replace("^", "**").strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise self.fail(f"{text.strip()!r} is no expression; {GRAMMAR}") from None
        value = self.walk(tree, side, defined, variables)
        if value.has(sympy.nan, sympy.zoo, sympy.oo, sympy.I):
            raise self.fail(f"{text.strip()!r} is no real number")
        return value

    def walk(self, node: ast.AST, side: int, defined: str, variables: bool) -> sympy.Expr:
        def below(child: ast.AST) -> sympy.Expr:
            return self.walk(child, side, defined, variables)

        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
            return sympy.Rational(str(node.value)) if math.isfinite(node.value) else sympy.oo
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            left, right = below(node.left), below(node.right)
            if isinstance(node.op, ast.Pow) and right.is_number and abs(right) > _LARGEST_EXPONENT:
                raise self.fail(f"the exponent {right} is too large")
            value = _BINARY[type(node.op)](left, right)
            if value.is_Rational and value.p.bit_length() + value.q.bit_length() > _LARGEST_NUMBER:
                raise self.fail("a number in it is too large")
            return value
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            value = below(node.operand)
            return -value if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1 and not node.keywords:
            if node.func.id not in _FUNCTIONS:
                raise self.fail(f"{node.func.id!r} is no function that conditions have ({', '.join(_FUNCTIONS)})")
            return _FUNCTIONS[node.func.id](below(node.args[0]))
        if isinstance(node, ast.Name):
            return self.named(node.id, side, defined, variables)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            return self.named(f"{node.value.id}.{node.attr}", side, defined, variables)
        raise self.fail(GRAMMAR)

    def named(self, dotted: str, side: int, defined: str, variables: bool) -> sympy.Expr:
        if dotted == "t":
            return STEP_COUNT
        sides, name = self.split(dotted)
        if variables:
            if name == "g":
                return GRADIENT
            whose = sides[0] if len(sides) == 1 else side
            if name == "p" or any(s.name == name for s in self.rules[whose].state):
                return sympy.Symbol(f"{whose}:{name}", real=True)
        places = self.places(dotted)
        order = (1 - side, side) if name == defined else (side, 1 - side)
        best = min(places, key=lambda place: order.index(place[0]))
        return _placeholder(best)

    # -- the whole --

    def claim(self, given: tuple[str, ...]) -> Claim:
        a, b = self.rules
        labels = (a.name, b.name) if a.name != b.name else ("a", "b")
        supposed = self.absent()
        places = [(side, h.name) for side, rule in enumerate(self.rules) for h in rule.hyperparameters]
        for side, name in places:
            if side == 1 and self.hyperparameter((0, name)) and not {(0, name), (1, name)} & set(self.bindings):
                self.bindings[1, name] = _placeholder((0, name))
        resolved = {place: self.resolve(place) for place in places}
        bases = self.bases(places, resolved)
        named = {_placeholder(place): base.symbol for place, base in bases.items()}
        first, second = (
            {name: resolved[side, name].xreplace(named) for s, name in places if s == side} for side in (0, 1)
        )
        claim = Claim(
            steps=(a.step(self.options[0]), b.step(self.options[1])),
            labels=labels,
            values=(first, second),
            bases={base.symbol.name: base for base in bases.values()},
            gradient=self.final(self.gradient, resolved, named, labels),
            parameter=self.parameter,
            only_step=self.only_step,
            given=given,
            supposed=supposed,
        )
        if isinstance(self.parameter, tuple):
            side, value = self.parameter
            claim = replace(claim, parameter=(side, self.final(value, resolved, named, labels)))
        if claim.parameter is None:
            shared = {sympy.Symbol(f"{label}.p", real=True): PARAMETER for label in labels}
            claim = replace(claim, gradient=claim.gradient.xreplace(shared))
        elif claim.only_step is not None:
            raise RuleError("'t = number' compares single steps from one parameter: p cannot be shifted as well")
        return self.with_relations(claim, resolved, named)

    def final(self, e: sympy.Expr, resolved: Mapping, named: Mapping, labels: tuple[str, str]) -> sympy.Expr:
        """An expression with placeholders replaced by bases, and variables by those of the claim."""
        e = e.xreplace({_placeholder(place): value for place, value in resolved.items()}).xreplace(named)
        variables = {s: s.name.split(":") for s in e.free_symbols if ":" in s.name}
        return e.xreplace({s: sympy.Symbol(f"{labels[int(k)]}.{n}", real=True) for s, (k, n) in variables.items()})

    def absent(self) -> tuple[str, ...]:
        """What only one rule has, and no condition speaks of, has the value of an optimizer without it."""
        supposed = []
        for side, rule in enumerate(self.rules):
            for h in rule.hyperparameters:
                place = (side, h.name)
                if self.hyperparameter((1 - side, h.name)) or place in self.mentioned or h.absent is None:
                    continue
                self.bindings[place] = sympy.Rational(str(h.absent))
                supposed.append(f"{h.name} = {h.absent:g} (only {rule.name} has it)")
        if self.rules[0].lazy != self.rules[1].lazy:
            supposed.append("that every gradient has an entry for every element")
        return tuple(supposed)

    def resolve(self, place: Place, above: tuple[Place, ...] = ()) -> sympy.Expr:
        """The value of a hyperparameter in terms of those that nothing binds."""
        if place in above:
            raise RuleError(f"the conditions define {place[1]!r} by itself")
        if place not in self.bindings:
            return _placeholder(place)
        value = self.bindings[place]
        inner = {s: self.resolve(_place(s), (*above, place)) for s in value.free_symbols if s != STEP_COUNT}
        return value.xreplace(inner)

    def bases(self, places: Iterable[Place], resolved: Mapping[Place, sympy.Expr]) -> dict[Place, Base]:
        places = list(places)
        free = [place for place in places if place not in self.bindings]
        bases: dict[Place, Base] = {}
        for place in free:
            side, name = place
            twin = (1 - side, name) in free
            own = twin or name == DONE.name
            bases[place] = Base(sympy.Symbol(f"{'ab'[side]}.{name}" if own else name, real=True), low=-math.inf)
        for place in places:
            h, value = self.hyperparameter(place), resolved[place]
            assert h is not None
            if value.is_number:
                if not h.contains(float(value)):
                    raise RuleError(f"{place[1]} = {value} is outside its domain {h.domain}")
            elif value.is_Symbol and value != STEP_COUNT:
                bases[_place(value)] = _narrowed(bases[_place(value)], h)
        for place, is_constant in self.constant.items():
            for symbol in resolved[place].free_symbols - {STEP_COUNT}:
                bases[_place(symbol)] = replace(bases[_place(symbol)], constant=is_constant)
        decided = {_place(s) for p in self.constant for s in resolved[p].free_symbols - {STEP_COUNT}}
        for place in bases:
            if place not in decided and self.all_constant:
                bases[place] = replace(bases[place], constant=True)
        needed = {(side, s.needs) for side, rule in enumerate(self.rules) for s in rule.state if s.needs}
        for place in needed & set(resolved):
            for symbol in resolved[place].free_symbols - {STEP_COUNT}:
                base = bases[_place(symbol)]
                if _place(symbol) not in decided or base.constant:
                    bases[_place(symbol)] = replace(base, switch=base.contains(0))
        return bases

    def with_relations(self, claim: Claim, resolved: Mapping, named: Mapping) -> Claim:
        """Inequalities: those of a name and a number narrow its domain."""
        bases = dict(claim.bases)
        rest: list[tuple[str, sympy.Expr, sympy.Expr]] = []
        for kind, *sides in self.relations:
            left, right = (self.final(e, resolved, named, claim.labels) for e in sides)
            if right.is_Symbol and left.is_number:
                kind, left, right = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(kind, kind), right, left
            if left.is_number and right.is_number:
                if not _COMPARISONS[kind](left, right):
                    raise RuleError(f"the conditions contradict each other: {left} {kind} {right} does not hold")
                continue
            if not (left.is_Symbol and right.is_number and left != STEP_COUNT):
                rest.append((kind, left, right))
                continue
            base, number = bases[left.name], float(right)
            if kind == "!=" and number == base.low:
                base = base.with_domain(low_open=True)
            elif kind in (">", ">=") and number >= base.low:
                base = base.with_domain(low=number, low_open=kind == ">" or (base.low_open and number == base.low))
            elif kind in ("<", "<=") and number <= base.high:
                base = base.with_domain(high=number, high_closed=kind == "<=" and number < base.high)
            elif kind == "!=":
                rest.append((kind, left, right))
            bases[left.name] = replace(base, switch=base.switch and base.contains(0))
            if base.low > base.high or (base.low == base.high and (base.low_open or not base.high_closed)):
                raise RuleError(f"the conditions leave no value for {left.name}")
        symbols = {old.symbol: bases[name].symbol for name, old in claim.bases.items()}
        parameter = claim.parameter
        if isinstance(parameter, tuple):
            parameter = (parameter[0], parameter[1].xreplace(symbols))
        relations = [_COMPARISONS[k](x.xreplace(symbols), y.xreplace(symbols)) for k, x, y in rest]
        return replace(
            claim,
            bases=bases,
            values=claim.with_values(lambda e: e.xreplace(symbols)),
            gradient=claim.gradient.xreplace(symbols),
            parameter=parameter,
            relations=tuple(r for r in relations if isinstance(r, Relational)),
            supposed=(
                *claim.supposed,
                *(f"{name} zero in all steps or in none" for name, b in bases.items() if b.switch and not b.constant),
            ),
        )


def _placeholder(place: Place) -> sympy.Symbol:
    return sympy.Symbol(f"{place[0]}.{place[1]}", real=True)


def _place(placeholder: sympy.Symbol) -> Place:
    side, _, name = placeholder.name.partition(".")
    return int(side), name


def _narrowed(base: Base, h: Hyperparameter) -> Base:
    """A base in the domain of one more hyperparameter."""
    low = max(base.low, h.low)
    opened = (base.low_open and base.low == low) or (h.low_open and h.low == low)
    return base.with_domain(
        low=low,
        low_open=opened,
        high=min(base.high, h.high),
        integer=base.integer or h.integer,
        trials=tuple(dict.fromkeys((*base.trials, *h.trials, h.default))),
    )
