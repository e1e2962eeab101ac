"""What a subject may have done instead of its rule's step: the same step with other inputs.

A step that is outside its allowance has often used the right equations on the wrong numbers: those of another
group or parameter, of before an edit, of the step before. Each hypothesis puts such numbers in the place of the
right ones and has a sentence for it; verify.cause tries them. They are listed from most to least likely.
"""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch

from reference.rule import Step, unset_symbol
from verify.lanes import DTYPES
from verify.program import Copy, LoadFrom, Operation, Reload
from verify.scene import Hypothesis, Scene, differing, differs, in_domain

# a step count at which no bias correction is left
ENDLESS = 1 << 30


class _Family(Protocol):
    def __call__(self, scene: Scene) -> Iterator[Hypothesis]: ...


def hypotheses(scene: Scene, kinds: Container[str] | None = None) -> Iterator[Hypothesis]:
    """All that can be told from the right step, from most to least likely; or those of some kinds."""
    families: tuple[_Family, ...] = (
        _nothing,
        _entries,
        _changed_gradient,
        _edits,
        _live,
        _of_other_groups,
        _counts,
        _lost_state,
        _other_state,
        _ignored_options,
        _other_gradients,
        _odd_values,
        _whole_groups,
        _factors,
        _halves,
        _in_last_equation,
        _other_options,
        _lagging,
        _live_fact,
        _shared,
    )
    if scene.absent:
        families = (_absent_gradients, _shared)
    if scene.counter is not None:
        families = (_counter, _counts)
    for h in itertools.chain.from_iterable(family(scene) for family in families):
        if kinds is not None and h.kind not in kinds:
            continue
        if scene.counter is not None and h.inputs.get("t") != scene.counter:
            continue
        odd = h.fact or h.kept or h.twice or h.step or h.moved_again is not None
        if odd or (differs(h.inputs, scene.v) and in_domain(h.inputs, scene)):
            yield h


def _listed(names: Iterable[Any]) -> str:
    words = [str(n) for n in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _loading(op: Operation) -> str:
    match op:
        case Reload():
            targets = {"same": "load", "fresh": "load into a fresh instance", "stepped": "load into another instance"}
            return targets[op.into]
        case Copy():
            return "deep copy" if op.how == "deepcopy" else "pickled copy"
        case LoadFrom():
            return f"load of the state of a {op.dtype} run"
    return "load"


# -- from most likely to least ---------------------------------------------------------------


def _shared(scene: Scene) -> Iterator[Hypothesis]:
    for text in scene.shared:
        yield Hypothesis("shared", text, fact=True)


def _nothing(scene: Scene) -> Iterator[Hypothesis]:
    why = ""
    if scene.taken:
        why = ", for the step before had left p.grad None"
    elif not np.any(scene.v["g"]):
        why = ", in which its gradient is zero"
    elif scene.wild:
        why = f", in which the gradient of parameter {scene.wild[0]} is not finite"
    elif scene.idle:
        several = len(scene.idle) > 1
        why = f", in which parameter{'s' * several} {_listed(scene.idle)} {'have' if several else 'has'} no gradient"
    elif scene.late is not None:
        why = f"; its group was added in operation {scene.late}"
    text = "the parameter and its state stayed as they were" if scene.state else "the parameter stayed as it was"
    yield Hypothesis("nothing", f"nothing was done: {text} in this step{why}", kept=(*scene.state, "p"))


def _changed_gradient(scene: Scene) -> Iterator[Hypothesis]:
    left, g = scene.left, scene.v["g"]
    if left is not None and left.shape == g.shape:
        how = "another one"
        if np.array_equal(left, -g):
            how = "minus the gradient"
        elif not left.any():
            how = "zero"
        elif scene.earlier and "weight_decay" in scene.earlier:
            decay = scene.earlier["weight_decay"] * scene.earlier["p"]
            # adding was rounded once, in the subject's dtype
            if np.all(np.abs(left - g - decay) <= scene.unit * (np.abs(g) + np.abs(decay))) and np.any(decay):
                how = "the gradient plus weight_decay times the parameter"
        text = f"the step before had changed p.grad, which was {how} when this step used it"
        yield Hypothesis("gradient left", text, {"g": left})
    if scene.now is not None:
        for name in scene.state:
            text = f"{name} was the gradient itself and not a copy of it, and changed with p.grad"
            yield Hypothesis("state is gradient", text, {name: g, f"e_{name}": 0.0})


def _entries(scene: Scene) -> Iterator[Hypothesis]:
    """Several entries of one element, and not added up."""
    for text, g in scene.readings.items():
        yield Hypothesis(f"entries/{text}", text, {"g": g})


def _edits(scene: Scene) -> Iterator[Hypothesis]:
    group, v = scene.group, scene.v
    for name in scene.names:
        own = [c for c in scene.changes if c.group == group and c.name == name]
        seen: set[float] = {v[name]}
        for change in reversed(own):
            if change.old in seen:
                continue
            seen.add(change.old)
            used = f"{change.old:g} was used instead of {v[name]:g}"
            load = scene.load
            if load and load[0] > change.operation:
                text = (
                    f"{name} of group {group} was not restored by operation {load[0]} ({_loading(load[1])}): "
                    f"the value before its edit, {used}"
                )
                yield Hypothesis(f"not restored/{name}", text, {name: change.old})
            elif change is not own[-1]:
                text = f"the edits of {name} in group {group} had no effect: the old value {used}"
                yield Hypothesis(f"edit/{name}", text, {name: change.old})
            elif change.scheduled:
                text = f"the scheduler's {name} had no effect in group {group}: the old value {used}"
                yield Hypothesis(f"edit/{name}", text, {name: change.old})
            else:
                text = f"the edit of {name} in group {group} had no effect: the old value {used}"
                yield Hypothesis(f"edit/{name}", text, {name: change.old})


def _live(scene: Scene) -> Iterator[Hypothesis]:
    for values in scene.live:
        for name in scene.names:
            if name in values:
                text = f"the optimizer itself changed {name} of group {scene.group} from {scene.v[name]:g} to {values[name]:g}"
                yield Hypothesis(f"live/{name}", text, {name: values[name]})


def _live_fact(scene: Scene) -> Iterator[Hypothesis]:
    for h in _live(scene):
        yield replace(h, fact=True, inputs={})


def _of_other_groups(scene: Scene) -> Iterator[Hypothesis]:
    for name in scene.names:
        for other, values in enumerate(scene.values):
            if other != scene.group:
                text = f"{name} of group {other} was used for group {scene.group}"
                yield Hypothesis(f"group/{name}", text, {name: values[name]}, source=other)
    for name in scene.names:
        text = f"the constructor's {name} was used for group {scene.group}"
        yield Hypothesis(f"constructor/{name}", text, {name: scene.constructor[name]})


def _counter(scene: Scene) -> Iterator[Hypothesis]:
    t = scene.v["t"]
    text = "the step counter in the state was not advanced in this step"
    yield Hypothesis("count/still", text, {"t": t - 1}, fact=True)


def _counts(scene: Scene) -> Iterator[Hypothesis]:
    if not scene.counts:
        return
    t, index = scene.v["t"], scene.parameter
    text = f"no bias correction was left: the step was as if after very many steps, where this is step {t}"
    yield Hypothesis("count/endless", text, {"t": ENDLESS})
    if scene.since_load is not None:
        text = f"the step count started again after a load: it was {scene.since_load} instead of {t}"
        yield Hypothesis("count/load", text, {"t": scene.since_load})
    for other in scene.others:
        for count in dict.fromkeys(other.counts):
            text = f"the step counter of parameter {other.index} ({count}) was used for parameter {index} ({t})"
            yield Hypothesis("count/parameter", text, {"t": count}, source=other.index)
    if scene.count_dtype:
        kept = float(torch.tensor(float(t)).to(DTYPES[scene.count_dtype]))
        text = f"the step count was {kept:g}, which is what {scene.count_dtype}, in which it is kept, makes of {t}"
        yield Hypothesis("count/dtype", text, {"t": kept})
    for what, count in scene.counters.items():
        text = f"the step count was {count}, {what}, where this parameter has taken {_steps(t)}"
        yield Hypothesis(f"count/{what}", text, {"t": count}, "" if what.startswith("one too") else what)


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"


def _initial(scene: Scene, name: str) -> tuple[dict[str, Any], str]:
    variable = next(s for s in scene.step.state if s.name == name)
    start = variable.initial
    number = float(scene.v[start] if isinstance(start, str) else start)
    value = number if variable.scalar else np.full(len(scene.v["p"]), number)
    inputs = {name: value, f"e_{name}": 0.0}
    if variable.unset_at_first:
        return {**inputs, unset_symbol(name).name: 1}, ""
    return inputs, f" from {number:g}"


def _lost_state(scene: Scene) -> Iterator[Hypothesis]:
    where = f" after operation {scene.load[0]} ({_loading(scene.load[1])})" if scene.load else ""
    lost = "the state before the load was lost: " if scene.load else ""
    choices: list[tuple[str, ...]] = [*((n,) for n in scene.state if len(scene.state) > 1), scene.state]
    for names in choices if scene.state else ():
        found = [_initial(scene, n) for n in names]
        inputs = {k: x for own, _ in found for k, x in own.items()}
        start = found[0][1] if len({words for _, words in found}) == 1 else ""
        restarted = f"{_listed(names)} started again{start}{where}"
        yield Hypothesis(f"state lost/{names}", f"{lost}{restarted}", inputs)
        if scene.counts and names == scene.state:
            whole = "the state and the step count before the load were lost: " if scene.load else ""
            text = f"{whole}{restarted}, and the step count from {scene.v['t']} to 1"
            yield Hypothesis("state lost/with count", text, {**inputs, "t": 1})
    if scene.aside and scene.load:
        own = {k: x for k, x in scene.aside.items() if k == "t" or k in scene.state}
        own |= {unset_symbol(n).name: 0 for n in scene.state if unset_symbol(n).name in scene.v}
        text = f"operation {scene.load[0]} ({_loading(scene.load[1])}) left the state that the instance had of its own"
        yield Hypothesis("state aside", text, own)
        yield Hypothesis("state aside", text, {k: x for k, x in own.items() if k != "t"})


def _other_state(scene: Scene) -> Iterator[Hypothesis]:
    state, index = scene.state, scene.parameter
    choices: list[tuple[str, ...]] = [state, *((n,) for n in state if len(state) > 1)]
    for names, other in itertools.product(choices if state else (), scene.others):
        for found in other.states:
            inputs = {k: found[k] for n in names for k in (n, f"e_{n}", unset_symbol(n).name) if k in found}
            verb = "was" if len(names) == 1 else "were"
            text = f"{_listed(names)} of parameter {other.index} {verb} used for parameter {index}"
            yield Hypothesis(f"state parameter/{names}", text, inputs, source=other.index)
    for names in choices if state else ():
        what = "the state" if len(names) == len(state) else _listed(names)
        if scene.earlier:
            inputs = {n: scene.earlier[n] for n in names if n in scene.earlier}
            text = f"{what} of the step before was used (the update lags by one step)"
            yield Hypothesis(f"state earlier/{names}", text, inputs)
        for dtype in ("float32", "float16", "bfloat16"):
            inputs = {n: _rounded(scene.v[n], dtype) for n in names if isinstance(scene.v[n], np.ndarray)}
            where = f" by operation {scene.load[0]} ({_loading(scene.load[1])})" if scene.load else ""
            text = f"{_listed(names)} had been rounded to {dtype}{where}"
            yield Hypothesis(f"state rounded/{names}", text, inputs)
    for name in state:
        unset = unset_symbol(name).name
        if scene.v.get(unset) == 1:
            value = scene.v[name]
            text = f"{name} was taken as {np.ravel(value)[0] if np.size(value) else 0:g} where it had no value yet"
            yield Hypothesis(f"state set/{name}", text, {unset: 0})


def _rounded(x: np.ndarray, dtype: str) -> np.ndarray:
    return torch.from_numpy(x.copy()).to(DTYPES[dtype]).double().numpy()


def _other_gradients(scene: Scene) -> Iterator[Hypothesis]:
    g = scene.v["g"]
    for other in scene.others:
        if other.gradient is not None:
            text = f"the gradient of parameter {other.index} was used for parameter {scene.parameter}"
            yield Hypothesis("gradient parameter", text, {"g": other.gradient}, source=other.index)
    if scene.earlier:
        yield Hypothesis("gradient earlier", "the gradient of the step before was used", {"g": scene.earlier["g"]})
        text = "the gradient of the step before was added to this one"
        yield Hypothesis("gradient added", text, {"g": g + scene.earlier["g"]})
    yield Hypothesis("gradient negated", "minus the gradient was used", {"g": -g})
    yield Hypothesis("gradient zero", "the step was that of a zero gradient", {"g": np.zeros_like(g)})
    yield Hypothesis("gradient doubled", "the gradient was applied twice", {"g": 2 * g})
    if scene.now is not None:
        text = "this step changed p.grad, and used what is in it now"
        yield Hypothesis("gradient now", text, {"g": scene.now})


def _odd_values(scene: Scene) -> Iterator[Hypothesis]:
    known = {h.name: h for h in scene.step.rule.hyperparameters}
    for name in scene.names:
        ignored = known[name].absent == 0
        text = f"{name} was ignored" if ignored else f"{name} was taken as 0"
        yield Hypothesis(f"zero/{name}", text, {name: 0.0})
    for name in scene.names:
        default = scene.signature.get(name)
        if default is not None:
            text = f"the constructor's default {default:g} was used for {name} of group {scene.group}"
            yield Hypothesis(f"default/{name}", text, {name: default})
    for one, two in itertools.combinations(scene.names, 2):
        if one[:-1] == two[:-1]:
            text = f"{one} and {two} were exchanged"
            yield Hypothesis(f"exchanged/{one}", text, {one: scene.v[two], two: scene.v[one]})


def _whole_groups(scene: Scene) -> Iterator[Hypothesis]:
    for other, values in enumerate(scene.values):
        changed = [n for n in scene.names if values[n] != scene.v[n]]
        if other == scene.group or len(changed) < 2:
            continue
        inputs = {n: values[n] for n in changed}
        text = f"all hyperparameters of group {other} were used for group {scene.group}"
        yield Hypothesis("group/all", text, inputs, source=other)
        for pair in itertools.combinations(changed, 2):
            text = f"{_listed(pair)} of group {other} were used for group {scene.group}"
            yield Hypothesis(f"group/{pair}", text, {n: values[n] for n in pair}, source=other)
    if scene.group:
        given = {n: scene.constructor[n] for n in scene.names}
        text = f"all hyperparameters of the constructor were used for group {scene.group}"
        yield Hypothesis("constructor/all", text, given)
    first: dict[str, float] = {}
    for change in scene.changes:
        if change.group == scene.group and change.name in scene.names:
            first.setdefault(change.name, change.old)
    if first:
        text = f"no edit had an effect in group {scene.group}: the values at its construction were used"
        load = scene.load
        if load and load[0] > max(c.operation for c in scene.changes if c.group == scene.group):
            text = (
                f"operation {load[0]} ({_loading(load[1])}) did not restore the hyperparameters of group {scene.group}"
            )
        yield Hypothesis("edit/all", text, first)


def _factors(scene: Scene) -> Iterator[Hypothesis]:
    v, group = scene.v, scene.group
    for change in scene.changes:
        if change.group != group and change.old and change.name in scene.names:
            value = v[change.name] * change.new / change.old
            text = (
                f"the edit of {change.name} in group {change.group} reached group {group} too: "
                f"{value:g} was used instead of {v[change.name]:g}"
            )
            yield Hypothesis(f"edit reaches/{change.name}", text, {change.name: value}, source=change.group)
    if {"lr", "weight_decay"} <= set(scene.names) and v["lr"]:
        for change in scene.changes:
            if change.group == group and change.name == "lr":
                text = f"the edit of lr in group {group} did not reach lr times weight_decay, which was the old product"
                yield Hypothesis("product", text, {"weight_decay": v["weight_decay"] * change.old / v["lr"]})
    if "lr" in scene.names:
        for what, size in scene.sizes.items():
            if size > 1:
                text = f"lr was divided by {size}, {what}"
                yield Hypothesis(f"divided/{what}", text, {"lr": v["lr"] / size}, what)


def _halves(scene: Scene) -> Iterator[Hypothesis]:
    if scene.state:
        yield Hypothesis("kept/p", "the parameter stayed as it was, though its state moved", kept=("p",))
        for name in scene.state:
            text = f"{name} stayed as it was, though the parameter moved by the rule"
            yield Hypothesis(f"kept/{name}", text, kept=(name,))
        if len(scene.state) > 1:
            text = f"{_listed(scene.state)} stayed as they were, though the parameter moved by the rule"
            yield Hypothesis("kept/state", text, kept=scene.state)
    yield Hypothesis("twice", "the step was taken twice", twice=True)
    for other in scene.others if scene.state else ():
        if other.gradient is not None and other.gradient.shape == scene.v["g"].shape:
            text = f"the step of parameter {other.index} moved the state of parameter {scene.parameter}"
            yield Hypothesis("state moved", text, source=other.index, moved_again=other.gradient)


def _ignored_options(scene: Scene) -> Iterator[Hypothesis]:
    chosen = scene.step.options
    for option in scene.step.rule.options:
        if chosen[option.name] and not option.default and not option.of_shape:
            other = scene.step.rule.step({**chosen, option.name: False})
            yield Hypothesis(f"option/{option.name}", f"{option.name} was ignored", step=other)


def _other_options(scene: Scene) -> Iterator[Hypothesis]:
    chosen = scene.step.options
    for option in scene.step.rule.options:
        if (not chosen[option.name] or option.default) and not option.of_shape:
            value = not chosen[option.name]
            other = scene.step.rule.step({**chosen, option.name: value})
            yield Hypothesis(f"option/{option.name}", f"the step was that of {option.name}={value}", step=other)


@lru_cache(maxsize=64)
def _divided(step: Step) -> Step:
    """The step with hyperparameters of their own, ``name + "_p"``, in the parameter's equation."""
    own = {h.symbol: replace(h, name=f"{h.name}_p") for h in step.rule.hyperparameters}
    rule = replace(step.rule, hyperparameters=(*step.rule.hyperparameters, *own.values()), _steps={})
    renamed = {symbol: h.symbol for symbol, h in own.items()}
    assignments = tuple(
        replace(a, expression=a.expression.xreplace(renamed)) if a.name == "p" else a for a in step.assignments
    )
    return replace(step, rule=rule, assignments=assignments)


@lru_cache(maxsize=64)
def _old_used(step: Step, name: str) -> Step:
    """The step whose other equations read a state variable as it was before."""
    old = next(s.symbol for s in step.state if s.name == name)
    replaced = {step.new_symbol(name): old}
    assignments = tuple(
        a if a.name == name else replace(a, expression=a.expression.xreplace(replaced)) for a in step.assignments
    )
    return replace(step, assignments=assignments)


def _lagging(scene: Scene) -> Iterator[Hypothesis]:
    for name in scene.state:
        text = f"the parameter was moved by {name} of the step before: the update lags by one step"
        yield Hypothesis(f"lag/{name}", text, step=_old_used(scene.step, name))


def _in_last_equation(scene: Scene) -> Iterator[Hypothesis]:
    if len(scene.step.assignments) < 2:
        return
    step = _divided(scene.step)
    names = differing(scene.step, scene.names, "p")
    # those that the subject has no argument for stand in the equation, too
    present = {f"{h.name}_p": scene.v[h.name] for h in scene.step.rule.hyperparameters}
    for other, values in enumerate(scene.values):
        changed = [n for n in names if values[n] != scene.v[n]]
        sets = [c for size in (1, 2, len(changed)) for c in itertools.combinations(changed, size) if c]
        for chosen in dict.fromkeys(sets) if other != scene.group else ():
            verb = "was" if len(chosen) == 1 else "were"
            text = f"in the equation of the parameter {_listed(chosen)} of group {other} {verb} used for group {scene.group}"
            inputs = {**present, **{f"{n}_p": values[n] for n in chosen}}
            yield Hypothesis(f"group/last {chosen}", text, inputs, source=other, step=step)


# -- a parameter that must not move ----------------------------------------------------------


def _absent_gradients(scene: Scene) -> Iterator[Hypothesis]:
    given = scene.v["g"]
    if np.any(given):
        yield Hypothesis(
            "early group", "it was moved as if its group had been added already", {"g": given}, step=scene.step
        )
        return
    moved = "it was moved as if it had"
    zero = "it was moved as if its gradient were zero"
    yield Hypothesis("absent zero", zero, {"g": np.zeros_like(given)}, step=scene.step)
    if scene.earlier:
        text = f"{moved} the gradient of the step before"
        yield Hypothesis("absent earlier", text, {"g": scene.earlier["g"]})
    for other in scene.others:
        if other.gradient is not None:
            text = f"{moved} the gradient of parameter {other.index}"
            yield Hypothesis("absent parameter", text, {"g": other.gradient}, source=other.index)
