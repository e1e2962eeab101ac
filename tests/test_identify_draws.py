"""Random optimizers: known rules, their variants, their numbers named or hidden, and rules that nobody knows.

``identify`` may say "none", but it must not give a wrong name. A few draws belong to the suite; all of them:
python -m tests.test_identify_draws [how many] [the first]
"""

from __future__ import annotations

import inspect
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np
import pytest
import torch

from reference import RULES, UpdateRule
from reference.rule import Options
from reference.variants import variants
from reference.walk import Walk
from verify import Filling, Parameter, Program, Step, Subject
from verify.identify import Identity, Match, _Hidden, _loaded, _trial, identify
from verify.subject import resolve

torch.set_num_threads(1)
CLASSES = [name for rule in RULES.values() for name in rule.torch]
SUITE = 4


class Follows(torch.optim.Optimizer):
    """Any rule as an optimizer; ``numbers`` reads its hyperparameters from a group."""

    def __init__(self, params, rule: UpdateRule, options, defaults, numbers: Callable):
        super().__init__(params, defaults)
        self.rule, self.options, self.numbers = rule, options, numbers
        self.walks: dict = {}

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    walk = self.walks.setdefault(p, Walk(self.rule, self.options))
                    p.copy_(torch.from_numpy(walk.step(p.numpy(), p.grad.numpy(), self.numbers(group)).copy()))


def named(rule: UpdateRule, options: Options) -> Callable:
    """A constructor with the usual arguments."""
    defaults: dict = {}
    places: dict[str, tuple[str, int | None]] = {}
    for h in rule.hyperparameters:
        name, _, index = ((*h.arguments, h.name)[0]).rstrip("]").partition("[")
        places[h.name] = (name, int(index) if index else None)
        defaults[name] = (*defaults.get(name, ()), h.default) if index else h.default

    def numbers(group):
        return {h: group[name] if i is None else group[name][i] for h, (name, i) in places.items()}

    def build(params, **given):
        return Follows(params, rule, options, {**defaults, **given}, numbers)

    kind = inspect.Parameter.KEYWORD_ONLY
    arguments = [inspect.Parameter(name, kind, default=x) for name, x in defaults.items()]
    first = inspect.Parameter("params", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    build.__signature__ = inspect.Signature([first, *arguments])
    return build


def hidden(rule: UpdateRule, options: Options, values: dict, renamed: bool) -> Callable:
    """A constructor that says nothing of its hyperparameters, or calls them by names of its own."""
    if not renamed:
        return lambda params: Follows(params, rule, options, {}, lambda group: values)

    size, others = values.get("lr", 1.0), tuple(values.items())

    def build(params, size=size, others=others):
        own = {**dict(others), "lr": size} if "lr" in values else dict(others)
        return Follows(params, rule, options, {}, lambda group: own)

    return build


# -- rules that nobody knows ------------------------------------------------------------------------


class Odd(torch.optim.Optimizer):
    """A step that is in no book; ``kind`` says which."""

    def __init__(self, params, kind: str, lr=0.05, beta=0.9):
        super().__init__(params, dict(lr=lr, beta=beta))
        self.kind = kind

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            lr, beta = group["lr"], group["beta"]
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p] or self.state[p].update(m=p * 0, s=p * 0, t=0) or self.state[p]
                    state["t"] += 1
                    state["m"].mul_(beta).add_((1 - beta) * p.grad)
                    state["s"].mul_(beta).add_((1 - beta) * p.grad.abs())
                    p.sub_(lr * ODD[self.kind](p, p.grad, state["m"], state["s"], state["t"]))


ODD: dict[str, Callable] = {
    "tanh": lambda p, g, m, s, t: torch.tanh(m),
    "cube": lambda p, g, m, s, t: g**3,
    "cube root": lambda p, g, m, s, t: m.sign() * m.abs() ** (1 / 3),
    "by the size of all": lambda p, g, m, s, t: m / (1e-6 + m.norm()),
    "clipped": lambda p, g, m, s, t: g.clamp(-0.1, 0.1) + 0.1 * m,
    "mean of sizes": lambda p, g, m, s, t: m / (s + 1e-6),
    "times the parameter": lambda p, g, m, s, t: g * p.abs(),
    "every other step": lambda p, g, m, s, t: g if t % 2 else 0 * g,
    "logarithm": lambda p, g, m, s, t: g.sign() * torch.log1p(g.abs()),
    "centred": lambda p, g, m, s, t: m - m.mean(),
    "restarted": lambda p, g, m, s, t: m / (1 - 0.9 ** (1 + (t - 1) % 4)),
    "agreeing signs": lambda p, g, m, s, t: torch.where(g * m > 0, g, 0.1 * g),
}


# -- the draws --------------------------------------------------------------------------------


@dataclass
class Draw:
    """A subject and what it is: ``rule`` is empty where nobody knows it, ``variant`` where it is the rule itself."""

    subject: Subject
    about: str
    rule: str = ""
    variant: str = ""


def draw(number: int) -> Draw:
    rng = Random(number)
    kind = rng.choice(["class", "class", "hidden class", "variant", "variant", "hidden variant", "hidden", "odd"])
    if kind == "odd":
        odd, lr, beta = rng.choice(sorted(ODD)), short(rng, 0.01, 0.3), rng.choice([0.5, 0.9, 0.95])
        if rng.random() < 0.5:
            return Draw(Subject(lambda params: Odd(params, odd, lr, beta)), f"odd, hidden: {odd}")
        return Draw(Subject(lambda params, lr=lr, beta1=beta: Odd(params, odd, lr, beta1)), f"odd: {odd}")
    if kind in ("class", "hidden class"):
        name = rng.choice(CLASSES)
        rule = next(r for r in RULES.values() if name in r.torch)
        values, options = numbers_and_options(rng, rule)
        make = resolve(name)
        given = arguments(rule, values) | {k: x for k, x in options.items() if x}
        about = f"{kind} {name} {given}"
        if kind == "hidden class":
            return Draw(Subject(lambda params: make(params, **given)), about, rule.name)
        some = {k: x for k, x in given.items() if rng.random() < 0.3}
        return Draw(Subject(name, arguments=some), f"{kind} {name} {some}", rule.name)
    rule = rng.choice(list(RULES.values()))
    values, options = numbers_and_options(rng, rule)
    followed, sentence = rule, ""
    if "variant" in kind:
        found = rng.choice(variants(rule))
        followed, sentence = found.rule, found.sentence
    about = f"{kind} {rule.name} {values if 'hidden' in kind else ''} {dict(options)} {sentence}"
    if "hidden" in kind:
        make = hidden(followed, options, values, rng.random() < 0.5)
    else:
        make = named(followed, Options({o.name: o.default for o in rule.options}))
    return Draw(Subject(make), about, rule.name, sentence)


def short(rng: Random, low: float, high: float) -> float:
    """A number as people write it."""
    return float(f"{low * (high / low) ** rng.random():.{rng.choice([1, 1, 2, 3])}g}")


def numbers_and_options(rng: Random, rule: UpdateRule) -> tuple[dict[str, float], Options]:
    while True:
        values = {}
        for h in rule.hyperparameters:
            values[h.name] = h.default
            if h.name == "lr":
                values[h.name] = short(rng, 1e-3, 0.5)
            elif h.high <= 1 and h.low == 0 and rng.random() < 0.5:
                values[h.name] = rng.choice([0.3, 0.5, 0.8, 0.9, 0.95, 0.99, 0.123])
            elif rng.random() < 0.3 and h.name in ("eps", "weight_decay", "momentum", "lr_decay", "lambd"):
                values[h.name] = short(rng, 1e-3, 0.5)
        options = Options({o.name: o.default ^ (rng.random() < 0.15) for o in rule.options})
        if rule.constraint(values, options):
            return values, options


def arguments(rule: UpdateRule, values: dict[str, float]) -> dict:
    """Constructor arguments of a torch class."""
    found: dict = {}
    for h in rule.hyperparameters:
        name, _, index = ((*h.arguments, h.name)[0]).rstrip("]").partition("[")
        found[name] = (*found.get(name, ()), values[h.name]) if index else values[h.name]
    return found


# -- the verdict ------------------------------------------------------------------------------


def fresh(groups: tuple[dict, ...] = ({},), options=None) -> list[Program]:
    """Programs that ``identify`` does not use."""
    rng = np.random.default_rng(77)

    def gradients(k: int) -> Filling:
        sizes = 10.0 ** rng.uniform(-4, 1, 64)
        return Filling(values=tuple(sizes * rng.standard_normal(64) * (rng.random(64) > 0.1)))

    return [
        Program(
            "float64",
            groups=groups,
            options=dict(options or {}),
            parameters=(Parameter((64,), 0, Filling(values=tuple(rng.standard_normal(64)))),),
            operations=tuple(Step((gradients(k),)) for k in range(14)),
        )
    ]


def computes_the_same(d: Draw, match: Match) -> bool:
    """Whether what was named goes where the subject goes, also on programs that it was not named by."""
    rule = RULES[match.rule]
    named_rule = next((v.rule for v in variants(rule) if v.sentence == match.variant), rule)
    factory = resolve(d.subject.target) if isinstance(d.subject.target, str) else d.subject.target
    if match.values or match.options:
        box = _Hidden(d.subject, factory, None)
        box.programs = fresh()
        chosen = {o.name: o.default ^ any(o.name == w.split()[-1] for w in match.options) for o in rule.options}
        return box._fits(named_rule, Options(chosen), dict(match.values))
    trial = next(_trial(one, None) for one in _loaded(d.subject, factory) if one.rule.name == rule.name)
    trial.programs = [p for first in trial.programs[:3] for p in fresh(first.groups, first.options)]
    return trial.fits(named_rule)


def verdict(d: Draw, found: Identity) -> str:
    if not found.matches:
        return "none, as it is" if not d.rule else "none"
    if not d.rule:
        return "wrong"
    # what was planted is right, also where it computes nan, which equals nothing
    if not all(
        (not m.values and (m.rule, m.variant) == (d.rule, d.variant)) or computes_the_same(d, m) for m in found.matches
    ):
        return "wrong"
    return "named" if any((m.rule, m.variant) == (d.rule, d.variant) for m in found.matches) else "another name"


@pytest.mark.parametrize("number", range(SUITE))
def test_no_wrong_name(number):
    d = draw(number)
    found = identify(d.subject)
    assert verdict(d, found) != "wrong", (d.about, found.lines())


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    verdicts: Counter = Counter()
    for number in range(first, first + count):
        begin = time.perf_counter()
        d = draw(number)
        found = identify(d.subject)
        verdicts[said := verdict(d, found)] += 1
        print(f"{number:4} {said:<14} {time.perf_counter() - begin:5.1f} s  {d.about}  ->  {' | '.join(found.lines())}")
    print(dict(verdicts))
