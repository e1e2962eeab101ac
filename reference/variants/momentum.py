"""Momentum buffers, dampening, Nesterov's look-ahead, and where the step size stands."""

from __future__ import annotations

from collections.abc import Iterator

import sympy
from sympy import Eq, Piecewise

from reference.rule import PARAMETER, STEP_COUNT, unset_symbol
from reference.variants.equations import Edit, Equations
from reference.variants.roles import Inflow, increments, inflows, step_sizes
from reference.variants.words import spoken


def momentum_edits(e: Equations) -> Iterator[Edit]:
    """Every other momentum."""
    buffers = [i for i in inflows(e) if i.is_own and not i.is_average and i.keep != 1]
    yield from _all_buffers(e, buffers)
    for i in inflows(e):
        if i in buffers:
            yield from _buffer(e, i)
            yield from _dampening(e, i)
            yield from _unused(e, i)
        if i.is_own:
            yield from _look_ahead(e, i)
            yield from _divided_first(e, i)
    yield from _running_means(e)


def step_size_edits(e: Equations) -> Iterator[Edit]:
    """The step size twice, not at all, with the wrong sign, or elsewhere."""
    moving = increments(e)
    rest = e["p"] - sympy.Add(*moving)
    yield Edit(
        "step.wrong_sign",
        "the step has the wrong sign: the parameter moves uphill",
        e.define("p", rest - sympy.Add(*moving)),
    )
    yield Edit(
        "step.upside_down", "the whole step, decay and all, has the wrong sign", e.define("p", 2 * PARAMETER - e["p"])
    )
    yield Edit("step.doubled", "the step is doubled", e.define("p", rest + sympy.Add(*(2 * t for t in moving))))
    yield Edit("step.halved", "the step is halved", e.define("p", rest + sympy.Add(*(t / 2 for t in moving))))
    for key, text, factor in (
        ("root_of_count", "the root of t", 1 / sympy.sqrt(STEP_COUNT)),
        ("count", "t", 1 / STEP_COUNT),
    ):
        fading = e.define("p", rest + sympy.Add(*(_times(t, factor) for t in moving)))
        yield Edit(f"step.over_{key}", f"the step is divided by {text}, the step count", fading)
    for rate in step_sizes(e):
        text = spoken(rate)
        for key, sentence, factor in (
            ("twice", f"the step is multiplied by {text} twice", rate),
            ("missing", f"the step is not multiplied by {text}", 1 / rate),
            ("divides", f"{text} divides the step", 1 / rate**2),
            ("root", f"the step is multiplied by the root of {text}", 1 / sympy.sqrt(rate)),
        ):
            yield Edit(
                f"step.{key}.{text}", sentence, e.define("p", rest + sympy.Add(*(_times(t, factor) for t in moving)))
            )
        yield from _inside(e, rate)
    yield from _outside(e)


def _times(term: sympy.Expr, factor: sympy.Expr) -> sympy.Expr:
    """A product with a factor, which goes into the branches."""
    factors = sympy.Mul.make_args(term)
    branches = next((f for f in factors if isinstance(f, Piecewise)), None)
    if branches is None:
        return term * factor
    rest = sympy.Mul(*[f for f in factors if f is not branches])
    return rest * Piecewise(*((_times(v, factor), c) for v, c in branches.args), evaluate=False)


def _moved_by(e: Equations, symbol: sympy.Symbol) -> bool:
    """Whether the step is made of terms, or branches, that are proportional to a symbol."""
    return any(symbol in sympy.Mul.make_args(t) for t in _leaves(e))


def _leaves(e: Equations) -> Iterator[sympy.Expr]:
    for term in increments(e):
        factors = sympy.Mul.make_args(term)
        found = next((f for f in factors if isinstance(f, Piecewise)), None)
        if found is None:
            yield term
        else:
            yield from (v for v, _ in found.args)


def _inside(e: Equations, rate: sympy.Symbol) -> Iterator[Edit]:
    """The step size inside a buffer, or inside an intermediate quantity, and not outside."""
    for i in inflows(e):
        new = e.new(i.name)
        if not i.is_own or not _moved_by(e, new) or rate in i.node.free_symbols:
            continue
        fed = e.swap({i.node: i.made(i.keep, i.gain * rate)}, [i.name])
        for first in _first_values(e, i):
            fed = fed.define(i.name, _with_branch(fed[i.name], first, first * rate))
        if rate in e.scalars:
            text = spoken(rate)
            twice = f"{text} is inside {i.name}, and multiplies the step once more"
            yield Edit(f"step.inside_too.{i.name}", twice, fed)
            sentence = f"{text} is inside {i.name} and not outside, so that an edit of it acts late"
            yield Edit(f"step.inside.{i.name}", sentence, _replaced(fed, new, rate))
    for a in e.assignments:
        if a.name in e.states or a.name == "p" or e.is_scalar(a.expression) or len(e.users(a.symbol)) < 2:
            continue
        if _moved_by(e, a.symbol) and a.symbol != e.gradient:
            scaled = e.define(a.name, a.expression * rate)
            sentence = f"{spoken(rate)} is inside {a.name}, so that whatever takes that in sees it"
            yield Edit(f"step.inside.{a.name}", sentence, _replaced(scaled, a.symbol, rate))


def _replaced(e: Equations, symbol: sympy.Symbol, rate: sympy.Symbol) -> Equations:
    """The step without its step size wherever a symbol is a factor."""

    def plain(term: sympy.Expr) -> sympy.Expr:
        factors = sympy.Mul.make_args(term)
        found = next((f for f in factors if isinstance(f, Piecewise)), None)
        if found is not None:
            rest = sympy.Mul(*[f for f in factors if f is not found])
            return rest * Piecewise(*((plain(v), c) for v, c in found.args), evaluate=False)
        return term / rate if symbol in factors else term

    return e.define("p", sympy.Add(*(plain(t) for t in sympy.Add.make_args(e["p"]))))


def _outside(e: Equations) -> Iterator[Edit]:
    """A step size that the rule has inside its buffer."""
    for i in inflows(e):
        for rate in (*sympy.Mul.make_args(i.gain), *sympy.Mul.make_args(i.fresh)):
            is_size = rate in e.hyperparameters.values() or (rate.is_Symbol and e.is_common(rate))
            if not i.is_own or not is_size or not _moved_by(e, e.new(i.name)):
                continue
            new, text = e.new(i.name), spoken(rate)
            again = e.define("p", e["p"].xreplace({new: rate * new}))
            yield Edit(
                f"step.again.{i.name}",
                f"{i.name}, which has {text} inside it, is multiplied by {text} once more",
                again,
            )
            moved = again.swap({i.node: i.made(i.keep, i.gain / rate)}, [i.name])
            yield Edit(f"step.outside.{i.name}", f"{text} multiplies {i.name} and is not inside it", moved)


# -- buffers -------------------------------------------------------------------------------


def _first_values(e: Equations, i: Inflow) -> list[sympy.Expr]:
    """What a buffer is when it is first assigned, where the rule treats that apart."""
    unset = unset_symbol(i.state)
    return [v for n in e.nodes(i.name, Piecewise) for v, c in n.args if unset in c.free_symbols]


def _with_branch(e: sympy.Expr, old: sympy.Expr, new: sympy.Expr) -> sympy.Expr:
    """A Piecewise with another value in the branches that had one."""
    assert isinstance(e, Piecewise)
    return Piecewise(*((new if v == old else v, c) for v, c in e.args), evaluate=False)


def _buffer(e: Equations, i: Inflow) -> Iterator[Edit]:
    keep, name = spoken(i.keep), i.name
    forms = {
        "average": (f"{name} is an average: what is new enters with 1 - {keep}", i.made(i.keep, i.gain * (1 - i.keep))),
        "swapped": (
            f"{keep} weighs what is new in {name}, and 1 - {keep} what is old",
            i.made(1 - i.keep, i.gain * i.keep),
        ),
        "on_fresh": (f"{keep} multiplies what is new and not {name}, which never decays", i.made(1, i.gain * i.keep)),
        "on_both": (f"{keep} multiplies what is new as well as {name}", i.made(i.keep, i.gain * i.keep)),
        "forgotten": (f"{name} has no memory: it is what is new", i.gain * i.fresh),
        "undecayed": (f"{name} is not multiplied by {keep}: it never decays", i.made(1, i.gain)),
        "subtracted": (f"what is new is subtracted in {name}", i.made(i.keep, -i.gain)),
        "old_subtracted": (f"the old {name} is subtracted", i.made(-i.keep, i.gain)),
        "squared": (f"{name} is multiplied by {keep} twice", i.made(i.keep**2, i.gain)),
    }
    for key, (sentence, node) in forms.items():
        yield Edit(f"momentum.{key}.{name}", sentence, e.swap({i.node: node}, [name]))
    for first in _first_values(e, i):
        starts = {
            "first_dampened": (f"{name} is dampened at the first step too", i.gain * i.fresh),
            "first_zero": (f"{name} is zero at the first step", sympy.S.Zero),
            "first_times_momentum": (f"{name} is multiplied by {keep} at the first step too", i.keep * first),
            "first_average": (f"{name} starts as the average of zero and what is new", (1 - i.keep) * first),
        }
        for key, (sentence, value) in starts.items():
            yield Edit(f"momentum.{key}.{name}", sentence, e.define(name, _with_branch(e[name], first, value)))


def _all_buffers(e: Equations, buffers: list[Inflow]) -> Iterator[Edit]:
    """The same in every buffer."""
    if len(buffers) < 2:
        return
    averages = {i.node: i.made(i.keep, i.gain * (1 - i.keep)) for i in buffers}
    sentence = "all buffers are averages: what is new enters with 1 minus what the old is weighed with"
    yield Edit("momentum.average", sentence, e.swap(averages))
    undecayed = {i.node: i.made(1, i.gain) for i in buffers}
    yield Edit("momentum.undecayed", "no buffer ever decays", e.swap(undecayed))


def _dampening(e: Equations, i: Inflow) -> Iterator[Edit]:
    """A factor 1 - d of what is new, which is not the weight of an average."""
    for factor in sympy.Mul.make_args(i.gain):
        d = 1 - factor
        if d not in e.hyperparameters.values():
            continue
        text, name, rest = spoken(d), i.name, i.gain / factor
        forms = {
            "never": (f"{text} is not used: what is new enters {name} whole", i.made(i.keep, rest)),
            "on_momentum": (f"{text} reduces the old {name} and not what is new", i.made(i.keep * factor, rest)),
            "on_both": (f"{text} reduces the old {name} as well as what is new", i.made(i.keep * factor, i.gain)),
            "complement": (f"what is new enters {name} with {text} and not with 1 - {text}", i.made(i.keep, rest * d)),
            "wrong_sign": (f"what is new enters {name} with 1 + {text}", i.made(i.keep, rest * (1 + d))),
            "of_keep": (
                f"what is new enters {name} with 1 - {spoken(i.keep)} and not with 1 - {text}",
                i.made(i.keep, rest * (1 - i.keep)),
            ),
        }
        for key, (sentence, node) in forms.items():
            yield Edit(f"dampening.{key}.{name}", sentence, e.swap({i.node: node}, [name]))
        yield from _dampened_alone(e, i, factor, text)


def _unused(e: Equations, i: Inflow) -> Iterator[Edit]:
    """The step is always taken as it is without momentum."""
    new = e.new(i.name)
    for node in e.nodes("p", Piecewise):
        plain = next((v for v, _ in node.args if new not in v.free_symbols), None)
        if plain is not None and new in node.free_symbols:
            sentence = f"{i.name} is kept and not used: the step is taken as without {spoken(i.keep)}"
            yield Edit(f"momentum.unused.{i.name}", sentence, e.swap({node: plain}, ["p"]))


def _dampened_alone(e: Equations, i: Inflow, factor: sympy.Expr, text: str) -> Iterator[Edit]:
    new = e.new(i.name)
    for node in e.nodes("p", Piecewise):
        branches = [(v if new in v.free_symbols else v * factor, c) for v, c in node.args]
        changed = e.swap({node: Piecewise(*branches, evaluate=False)}, ["p"])
        yield Edit(
            f"dampening.without_momentum.{i.name}", f"{text} reduces the gradient where there is no momentum", changed
        )


def _look_ahead(e: Equations, i: Inflow) -> Iterator[Edit]:
    """Nesterov's step: what is new, and the buffer multiplied by its momentum."""
    new, keep = e.new(i.name), spoken(i.keep)
    direct = [t for t in sympy.Add.make_args(e["p"]) if e.gradient in sympy.Mul.make_args(t)]
    ahead = [t for t in sympy.Add.make_args(e["p"]) if {new, i.keep} <= set(sympy.Mul.make_args(t))]
    if direct and ahead and not i.is_average:
        (g,), (b,) = direct[:1], ahead[:1]
        forms = {
            "without_gradient": (f"nesterov steps along {keep} times {i.name} and leaves the gradient out", -g),
            "twice": (f"nesterov multiplies {i.name} by {keep} twice", b * i.keep - b),
            "without_momentum": (f"nesterov does not multiply {i.name} by {keep}", b / i.keep - b),
            "ignored": (f"nesterov steps along {i.name} alone", b / i.keep - b - g),
            "old": (
                f"nesterov looks ahead with {i.name} as it was before this step",
                b.xreplace({new: _before(e, i)}) - b,
            ),
            "doubled": ("nesterov counts the gradient twice", g),
            "on_gradient": (
                f"nesterov multiplies the gradient by {keep} and not {i.name}",
                g * i.keep - g + b / i.keep - b,
            ),
        }
        for key, (sentence, by) in forms.items():
            yield Edit(f"nesterov.{key}.{i.name}", sentence, e.define("p", e["p"] + by))
    elif i.keep != 1 and _moved_by(e, new):
        looking = e.define("p", e["p"].xreplace({new: i.keep * new + i.gain * i.fresh}))
        yield Edit(f"nesterov.uncalled.{i.name}", f"the step looks ahead with {i.name} as Nesterov does", looking)


def _before(e: Equations, i: Inflow) -> sympy.Expr:
    """A buffer before the step; at its first step, where it is not there yet, what it becomes."""
    if not e.states[i.state].unset_at_first:
        return i.old
    return Piecewise((e.new(i.name), Eq(unset_symbol(i.state), 1)), (i.old, True), evaluate=False)


def _divided_first(e: Equations, i: Inflow) -> Iterator[Edit]:
    """Division before the momentum or after it."""
    divisors = [f for f in sympy.Mul.make_args(i.fresh) if isinstance(f, sympy.Pow) and f.exp == -1]
    new = e.new(i.name)
    if divisors and _moved_by(e, new):
        divisor = divisors[0]
        raw = e.swap({i.node: i.made(i.keep, i.gain, i.fresh / divisor)}, [i.name])
        changed = raw.define("p", e["p"].xreplace({new: new * divisor}))
        sentence = f"{i.name} takes in what is not divided yet, and the newest divisor divides it all"
        yield Edit(f"momentum.before_division.{i.name}", sentence, changed)
        yield Edit(f"momentum.undivided.{i.name}", f"{i.name} takes in what is never divided", raw)
        return
    for term in increments(e):
        below = [
            f for f in sympy.Mul.make_args(term) if isinstance(f, sympy.Pow) and f.exp == -1 and not e.is_scalar(f)
        ]
        if len(below) != 1 or new not in sympy.Mul.make_args(term) or new in below[0].free_symbols:
            continue
        fed = e.swap({i.node: i.made(i.keep, i.gain, i.fresh * below[0])}, [i.name])
        changed = fed.define("p", e["p"].xreplace({term: term / below[0]}))
        yield Edit(f"momentum.after_division.{i.name}", f"{i.name} takes in what is divided already", changed)


def _running_means(e: Equations) -> Iterator[Edit]:
    """x + w (y - x) with something left out."""
    for name in e.states:
        old = e.old(name)
        for node in e.nodes(name, sympy.Mul):
            sums = [f for f in node.args if isinstance(f, sympy.Add) and -old in f.args]
            if not sums or node + old != e[name]:
                continue
            weight, fresh = node / sums[0], sums[0] + old
            grows = old + weight * fresh
            yield Edit(f"moment.grows.{name}", f"{name} forgets to subtract itself", e.define(name, grows))
            apart = Piecewise((fresh, Eq(weight, 1)), (grows, True), evaluate=False)
            sentence = f"{name} forgets to subtract itself, but where its weight is 1"
            yield Edit(f"moment.grows_apart.{name}", sentence, e.define(name, apart))
            yield Edit(
                f"moment.complement.{name}",
                f"{name} is averaged with 1 - {spoken(weight)}",
                e.define(name, old + (1 - weight) * sums[0]),
            )
