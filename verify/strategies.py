"""Hypothesis strategies for hyperparameters, options and programs.

They are public: write your own properties with them, as ``tests/test_torch_optimizers.py`` does. The
structure is drawn by Hypothesis; elements are filled from a pool of hostile numbers, because drawing
thousands of single floats is slow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import assume
from hypothesis import strategies as st

from reference.rule import Hyperparameter, UpdateRule
from verify.program import (
    COPIES,
    INTO,
    POOL_SIZE,
    SPARSE,
    TAME,
    WAYS,
    AddGroup,
    Copy,
    Edit,
    Filling,
    Freeze,
    Operation,
    Parameter,
    Program,
    Reload,
    Repeat,
    Schedule,
    Step,
    ZeroGrad,
)
from verify.shaped import lanes_for, shaped
from verify.sparsely import sparsely

# Sizes around vector registers: 8 and 16 floats, 4 and 8 doubles, and unrolled loops of them.
TAIL_SIZES = (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129)
SMALL_SHAPES = ((1,), (), (3,), (2, 3), (17,), (1, 1), (2, 3, 4), (8, 16), (2, 1, 2, 3))
# one number out of range makes a whole tensor useless, and every step makes some
MOST_STEPS_OF_TENSORS = 6
TAME_STARTS = st.integers(0, TAME - 1)
POOL_STARTS = st.integers(0, POOL_SIZE - 1)


def hyperparameter_values(hyperparameter: Hyperparameter) -> st.SearchStrategy[float]:
    """Values of one hyperparameter: those worth trying first, then any of its domain, on a log scale."""
    h = hyperparameter
    trials = h.trials or tuple(x for x in (0.5, 0.1, 1.0, h.low, h.default) if h.contains(x))
    named = st.sampled_from([x for x in trials if h.contains(x)] or [h.default])
    if h.integer:
        low = int(h.low) + int(h.low_open)
        high = int(min(h.high - 1, low + 10))
        return named | st.integers(low, high)
    if h.low == 0 and h.high == math.inf:
        spread = st.integers(-112, 0).map(lambda k: 2.0 ** (k / 8))
    elif h.high == math.inf or h.low == -math.inf:
        return named
    else:
        spread = st.integers(0, 4095).map(lambda k: h.low + k / 4096 * (h.high - h.low))
    return named | spread.filter(h.contains)


@st.composite
def hyperparameters(draw, rule: UpdateRule, fixed: Mapping[str, float], options) -> dict[str, float]:
    """A value for every hyperparameter that is not fixed, inside the rule's domain."""
    values = {h.name: draw(hyperparameter_values(h)) for h in rule.hyperparameters if h.name not in fixed}
    fitting = _fit(rule, fixed, values, options)
    assume(fitting is not None)
    assert fitting is not None
    return fitting


def _fit(rule: UpdateRule, fixed, values: dict[str, float], options) -> dict[str, float] | None:
    """The values, with as few as possible switched on or off to satisfy the rule's constraint."""
    known = [h for h in rule.hyperparameters if h.name in values]
    off = [{h.name: 0.0} for h in known if 0 in h.trials]
    on = [{h.name: next(x for x in h.trials if x)} for h in known if any(h.trials) and not values[h.name]]
    for change in [{}, *off, *on, *({**x, **y} for x in off for y in on)]:
        if rule.constraint({**fixed, **values, **change}, options):
            return {**values, **change}
    return None


def fillings() -> st.SearchStrategy[Filling]:
    """Gradients: usually a slice of the pool, sometimes all zero or one repeated value."""
    pool = st.builds(Filling, start=POOL_STARTS)
    constant = st.sampled_from([(0.0,), (1.0,), (-0.5,), (1e-3,)]).map(lambda v: Filling(values=v))
    return st.integers(0, 9).flatmap(lambda k: constant if k == 9 else pool)


@st.composite
def _setting(draw, rule: UpdateRule, fixed: Mapping[str, float], switchable) -> tuple[dict, dict]:
    """A choice of options and of hyperparameters that belong together."""
    choices = [o for o in rule.options if not o.of_shape]
    chosen = {o.name: o.default for o in choices}
    for option in choices:
        if switchable is None or option.name in switchable:
            chosen[option.name] = draw(st.booleans())
    return chosen, draw(hyperparameters(rule, fixed, rule.step(chosen).options))


@st.composite
def bulk_programs(
    draw,
    rule: UpdateRule,
    *,
    dtype: str = "float32",
    device: str = "cpu",
    implementation: str = "for-loop",
    fixed: Mapping[str, float] | None = None,
    options: Sequence[str] | None = None,
    lanes: int = 4096,
    steps: int = 24,
    sparse_alone: bool = False,
) -> Program:
    """One parameter of many elements, many steps: each element is an independent trial.

    Few draws make a whole program, for one draw costs as much as a step of the optimizer. For the
    arguments see :func:`programs`.
    """
    chosen, values = draw(_setting(rule, dict(fixed or {}), options))
    start = draw(TAME_STARTS)
    stride = draw(st.sampled_from([4099, 0, 1, 12289]))
    count = draw(st.sampled_from([steps, steps, steps // 2, 3]))
    operations = [Step((Filling((start + (k + 1) * stride) % (TAME - lanes)),)) for k in range(count)]
    if draw(st.integers(0, 5)) == 5:
        operations[-1] = Step((Filling(TAME + start % (POOL_SIZE - TAME)),))
    parameters = [Parameter((lanes_for(rule, lanes),), 0, Filling(start))]
    if not rule.is_elementwise:
        # each of them is one trial
        parameters += [Parameter(shape, 0, Filling(start + lanes * k)) for k, shape in enumerate(SMALL_SHAPES, start=1)]
        operations = [_for_all(op, len(parameters)) for op in operations[:MOST_STEPS_OF_TENSORS]]
    program = Program(
        dtype,
        device,
        implementation,
        (values,),
        chosen,
        tuple(parameters),
        tuple(operations),
        reuse_gradients=draw(st.booleans()),
    )
    program = shaped(program, rule)
    return sparsely(program) if sparse_alone else program


@st.composite
def sparse_programs(draw, rule: UpdateRule, *, lanes: int = 1024, **place) -> Program:
    """A vector or a matrix of many elements and a few steps, whose gradients are sparse in forms of :data:`SPARSE`.

    For the arguments see :func:`programs`.
    """
    program = draw(bulk_programs(rule, lanes=lanes, steps=4, **place))
    width = draw(st.sampled_from([1, 1, 4]))
    shape = (lanes,) if width == 1 else (lanes // width, width)

    # a gradient has entries of one kind in all steps: rows, or single elements
    forms = draw(st.sampled_from([[f for f in SPARSE if f != "elements"]] * 3 + [["elements"]]))

    def sparse(filling: Filling) -> Filling:
        return replace(filling, sparse=draw(st.sampled_from(forms)), start=filling.start + draw(st.integers(0, 2)))

    steps = (Step((sparse(g),)) for op in program.operations if isinstance(op, Step) for g in op.gradients[:1] if g)
    first = replace(program.parameters[0], shape=shape)
    return replace(program, parameters=(first,), operations=tuple(steps), reuse_gradients=False)


def _for_all(step: Step, parameters: int) -> Step:
    """The step with gradients from other places of the pool for further parameters."""
    (first,) = step.gradients
    assert first is not None
    return Step(tuple(Filling((first.start + 8191 * k) % POOL_SIZE) for k in range(parameters)))


@st.composite
def programs(
    draw,
    rule: UpdateRule,
    *,
    dtype: str = "float32",
    device: str = "cpu",
    implementation: str = "for-loop",
    fixed: Mapping[str, float] | None = None,
    options: Sequence[str] | None = None,
    editable: Sequence[str] = (),
    lanes: int = 64,
    most_steps: int = 4,
    most_parameters: int = 3,
    operations: Sequence[str] = ("edit",),
    sparse_alone: bool = False,
) -> Program:
    """Programs with several parameters and groups, edits, late and missing gradients.

    Args:
        rule: the rule the subject claims.
        dtype, device, implementation: where and how it runs.
        fixed: hyperparameters that the subject has no argument for, with the value it uses.
        options: options that may be switched; None means all of them.
        editable: hyperparameters that live in the param groups, so that groups may differ and edits
            between steps must take effect.
        lanes: number of elements of the first parameter.
        most_steps, most_parameters: how long and how wide a program may be.
        operations: what may happen between steps, of :data:`OPERATIONS`.
        sparse_alone: whether every gradient is sparse.
    """
    fixed = dict(fixed or {})
    chosen, first = draw(_setting(rule, fixed, options))
    full = rule.step(chosen).options
    groups = [first]
    count = draw(st.sampled_from([2, 3, 1])) if most_parameters > 1 else 1
    if editable and count > 1 and draw(st.booleans()):
        other = draw(hyperparameters(rule, fixed, full))
        groups.append({k: (v if k in editable else first[k]) for k, v in other.items()})
        assume(rule.constraint({**fixed, **groups[1]}, full))
    parameters = [Parameter((lanes,), 0, Filling(draw(POOL_STARTS)))]
    for index in range(1, count):
        shape = draw(st.sampled_from(SMALL_SHAPES))
        parameters.append(Parameter(shape, index % len(groups), Filling(draw(POOL_STARTS))))
    parameters.sort(key=lambda p: p.group)
    late = range(1, len(groups)) if "add_group" in operations and draw(st.booleans()) else ()
    known = tuple(editable) if "edit" in operations else ()
    done = draw(
        _operations(rule, fixed, full, groups, len(parameters), known, most_steps, tuple(operations), tuple(late))
    )
    program = Program(
        dtype,
        device,
        implementation,
        tuple(groups),
        chosen,
        tuple(parameters),
        tuple(done),
        reuse_gradients=draw(st.booleans()),
        beside="beside" in operations and draw(st.booleans()),
    )
    program = shaped(program, rule)
    return sparsely(program) if sparse_alone else program


@st.composite
def _operations(draw, rule, fixed, options, groups, parameters, editable, most_steps, kinds, late) -> list[Operation]:
    operations: list[Operation] = []
    now = [dict(g) for g in groups]
    waiting = list(late)
    for number in range(draw(st.integers(1, most_steps))):
        kind = draw(st.integers(0, 7)) if number else 0
        if kind == 7:
            operations.append(Repeat())
            continue
        if waiting and (draw(st.booleans()) or number == most_steps - 1):
            operations.append(AddGroup(waiting.pop()))
        present = [g for g in range(len(groups)) if g not in waiting]
        if kind == 6 and editable:
            group = draw(st.sampled_from(present))
            name = draw(st.sampled_from(sorted(editable)))
            value = draw(hyperparameter_values(next(h for h in rule.hyperparameters if h.name == name)))
            changed = {**fixed, **now[group], name: value}
            if rule.constraint(changed, options):
                now[group][name] = value
                operations.append(
                    Edit(group, name, value, tensor=name == "lr" and "tensor" in kinds and draw(st.booleans()))
                )
        if kind in (3, 4, 5) and kinds:
            operations += draw(_further(kinds, parameters, "lr" in editable))
        gradients = []
        for _ in range(parameters):
            absent = parameters > 1 and draw(st.integers(0, 3)) == 3
            gradients.append(None if absent else draw(fillings()))
        operations.append(Step(tuple(gradients), closure="closure" in kinds and draw(st.booleans())))
    return operations + [AddGroup(g) for g in waiting]


@st.composite
def _further(draw, kinds: Sequence[str], parameters: int, scheduled: bool) -> list[Operation]:
    """What a training script does between steps, beside editing."""
    known = [k for k in kinds if k in _FURTHER and (k != "schedule" or scheduled)]
    if not known:
        return []
    kind = draw(st.sampled_from(known))
    if kind == "freeze":
        return [Freeze(draw(st.integers(0, parameters - 1)), draw(st.booleans()))]
    return [draw(_FURTHER[kind])]


_FURTHER: dict[str, st.SearchStrategy] = {
    "schedule": st.just(Schedule(0.5)),
    "zero_grad": st.builds(ZeroGrad, st.booleans()),
    "freeze": st.nothing(),
    "reload": st.builds(Reload, st.sampled_from(WAYS), st.sampled_from(INTO)),
    "copy": st.builds(Copy, st.sampled_from(COPIES)),
}
OPERATIONS = ("edit", "tensor", "closure", "add_group", "beside", *_FURTHER)
