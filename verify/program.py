"""A program: a sequence of operations on one optimizer, as plain data.

Programs are what Hypothesis draws, what a finding is shrunk to, what a replay file holds and what a
stand-alone script prints. Reading one never runs code.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from verify.errors import UsageError

# Fills are slices of a pool of numbers (see verify.lanes): first TAME ones, whose squares stay inside
# the format, then wild ones up to its ends.
POOL_SIZE = 1 << 17
TAME = POOL_SIZE * 7 // 8
LAYOUTS = ("contiguous", "transposed", "strided", "channels_last", "transposed_gradient")


@dataclass(frozen=True)
class Filling:
    """Initial values or a gradient: a slice of the pool of hostile numbers, or explicit values.

    Args:
        start: where in the pool the slice starts (see :mod:`verify.lanes`).
        values: explicit values (real and imaginary parts in turn for complex tensors), repeated
            over the tensor; they take the place of the pool.
        expanded: a gradient whose elements share one memory cell, as that of ``p.sum()`` does.
    """

    start: int = 0
    values: tuple[float, ...] | None = None
    expanded: bool = False


@dataclass(frozen=True)
class Parameter:
    """One parameter: its shape, group, initial values and memory layout."""

    shape: tuple[int, ...]
    group: int = 0
    initial: Filling = Filling()
    layout: str = "contiguous"


@dataclass(frozen=True)
class Step:
    """Set the gradients (None: the parameter has none) and call ``optimizer.step()``."""

    gradients: tuple[Filling | None, ...]


@dataclass(frozen=True)
class Edit:
    """Set one hyperparameter of one group, by the rule's name for it."""

    group: int
    name: str
    value: float


@dataclass(frozen=True)
class SetCount:
    """Save the state, set every step counter in it to ``count``, and load it back."""

    count: int


@dataclass(frozen=True)
class Repeat:
    """Call ``optimizer.step()`` again on the gradients that are there."""


Operation = Step | Edit | SetCount | Repeat


@dataclass(frozen=True)
class Program:
    """Build an optimizer on fresh parameters, then do the operations in order.

    Args:
        dtype, device, implementation: where and how it runs.
        groups: hyperparameters of each param group, by the rule's names.
        options: options of the rule.
        parameters: in the order in which the optimizer gets them.
        operations: what is done.
        reuse_gradients: write each gradient into the same buffer instead of a new tensor.
    """

    dtype: str = "float32"
    device: str = "cpu"
    implementation: str = "for-loop"
    groups: tuple[Mapping[str, float], ...] = ({},)
    options: Mapping[str, bool] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = (Parameter((1,)),)
    operations: tuple[Operation, ...] = ()
    reuse_gradients: bool = False

    @property
    def size(self) -> int:
        """A measure of how much there is to read."""
        elements = sum(_count(p.shape) for p in self.parameters)
        return 100 * len(self.operations) + 50 * len(self.parameters) + min(elements, 40)

    def with_operations(self, operations) -> Program:
        return replace(self, operations=tuple(operations))


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


# -- JSON -----------------------------------------------------------------------------------

_KINDS = {"step": Step, "edit": Edit, "set_count": SetCount, "repeat": Repeat}


def _number(value: float) -> Any:
    return value if isinstance(value, int) else float(value).hex()


def _filling(f: Filling | None) -> Any:
    if f is None:
        return None
    data: dict[str, Any] = {"start": f.start} if f.values is None else {"values": [_number(float(x)) for x in f.values]}
    return data | ({"expanded": True} if f.expanded else {})


def to_json(program: Program) -> dict[str, Any]:
    """Exact plain data: floats are hexadecimal strings."""
    operations: list[dict[str, Any]] = []
    for op in program.operations:
        if isinstance(op, Step):
            operations.append({"do": "step", "gradients": [_filling(g) for g in op.gradients]})
        elif isinstance(op, Edit):
            operations.append({"do": "edit", "group": op.group, "name": op.name, "value": _number(op.value)})
        elif isinstance(op, SetCount):
            operations.append({"do": "set_count", "count": op.count})
        else:
            operations.append({"do": "repeat"})
    return {
        "dtype": program.dtype,
        "device": program.device,
        "implementation": program.implementation,
        "groups": [{k: _number(v) for k, v in g.items()} for g in program.groups],
        "options": dict(program.options),
        "parameters": [
            {
                "shape": list(p.shape),
                "group": p.group,
                "initial": _filling(p.initial),
                "layout": p.layout,
            }
            for p in program.parameters
        ],
        "operations": operations,
        "reuse_gradients": program.reuse_gradients,
    }


# What is read must be small enough to be run at once.
MOST_ELEMENTS = 1 << 22
MOST_DIMENSIONS = 8
_shown = reprlib.Repr()
_shown.maxstring = _shown.maxother = 40


def _require(test: bool, what: str, *values: Any) -> None:
    if not test:
        raise UsageError(f"not a program: {what}" + "".join(f" {_shown.repr(v)}" for v in values))


def _is_whole(value: Any, least: int = 0, most: int = 1 << 31) -> bool:
    return type(value) is int and least <= value <= most


def _read_number(value: Any) -> float:
    _require(type(value) in (int, float, str), "no number:", value)
    if isinstance(value, str):
        try:
            return float.fromhex(value)
        except (ValueError, OverflowError):
            raise UsageError(f"not a program: no hexadecimal float: {_shown.repr(value)}") from None
    _require(type(value) is float or abs(value) <= 1 << 53, "too large a whole number:", value)
    return value


def _read_switch(data: dict, name: str) -> bool:
    _require(type(data.get(name, False)) is bool, f"{name} must be true or false, not", data.get(name))
    return data.get(name, False)


def _read_filling(data: Any) -> Filling | None:
    if data is None:
        return None
    _require(isinstance(data, dict) and set(data) <= {"start", "values", "expanded"}, "bad filling", data)
    values = data.get("values")
    _require(values is None or (isinstance(values, list) and len(values) > 0), "bad values", values)
    start = data.get("start", 0)
    _require(_is_whole(start), "bad start", start)
    return Filling(
        start,
        None if values is None else tuple(float(_read_number(v)) for v in values),
        _read_switch(data, "expanded"),
    )


def _read_operation(data: Any) -> Operation:
    kind = data.get("do") if isinstance(data, dict) else None
    _require(isinstance(kind, str) and kind in _KINDS, "bad operation", data)
    if kind == "step":
        _require(isinstance(data.get("gradients"), list), "a step without gradients")
        return Step(tuple(_read_filling(g) for g in data["gradients"]))
    if kind == "edit":
        _require(_is_whole(data.get("group")) and isinstance(data.get("name"), str), "bad edit", data)
        return Edit(data["group"], data["name"], _read_number(data.get("value")))
    if kind == "set_count":
        _require(_is_whole(data.get("count"), most=1 << 24), "bad count", data)
        return SetCount(data["count"])
    return Repeat()


def from_json(data: Any) -> Program:
    """Read a program back.

    Raises:
        UsageError: the data is no program; the message names the first thing that is wrong.
    """
    from reference.rounding import PRECISIONS

    _require(isinstance(data, dict), "no object")
    for key in ("dtype", "device", "implementation"):
        _require(isinstance(data.get(key), str), f"{key} is missing")
    for key in ("groups", "parameters", "operations"):
        _require(isinstance(data.get(key), list) and (bool(data[key]) or key == "operations"), f"{key} is missing")
    _require(data["dtype"] in PRECISIONS, "unknown dtype", data["dtype"])
    groups = []
    for group in data["groups"]:
        _require(isinstance(group, dict), "a group is no object")
        groups.append({str(k): _read_number(v) for k, v in group.items()})
    parameters: list[Parameter] = []
    for p in data["parameters"]:
        _require(isinstance(p, dict) and isinstance(p.get("shape"), list), "a parameter without shape")
        shape, layout = tuple(p["shape"]), p.get("layout")
        _require(all(_is_whole(n, most=1 << 62) for n in shape), "bad shape", p["shape"])
        fits = len(shape) <= MOST_DIMENSIONS and _count(tuple(max(n, 1) for n in shape)) <= MOST_ELEMENTS
        _require(fits, "a shape too large to replay:", p["shape"])
        _require(isinstance(layout, str) and layout in LAYOUTS, "unknown layout", layout)
        _require(_is_whole(p.get("group"), most=len(groups) - 1), "a parameter in no group")
        initial = _read_filling(p.get("initial"))
        _require(initial is not None, "a parameter without values")
        assert initial is not None
        parameters.append(Parameter(shape, p["group"], initial, layout))
    _require(sum(_count(p.shape) for p in parameters) <= MOST_ELEMENTS, "parameters too large to replay")
    operations = tuple(_read_operation(op) for op in data["operations"])
    for op in operations:
        if isinstance(op, Step):
            _require(len(op.gradients) == len(parameters), "a step whose gradients do not match the parameters")
        if isinstance(op, Edit):
            _require(0 <= op.group < len(groups), "an edit of a group that does not exist")
    options = data.get("options", {})
    _require(isinstance(options, dict) and all(type(v) is bool for v in options.values()), "bad options", options)
    return Program(
        data["dtype"],
        data["device"],
        data["implementation"],
        tuple(groups),
        options,
        tuple(parameters),
        operations,
        _read_switch(data, "reuse_gradients"),
    )


# -- for people -----------------------------------------------------------------------------


def describe(program: Program) -> str:
    """The program on one line, for the terminal."""
    parts = []
    for index, group in enumerate(program.groups):
        shapes = [_show_values(p) for p in program.parameters if p.group == index]
        numbers = ", ".join(f"{k}={v:g}" for k, v in group.items())
        parts.append(f"[{', '.join(shapes)}] with {numbers}" if numbers else f"[{', '.join(shapes)}]")
    chosen = ", ".join(k for k, v in program.options.items() if v)
    text = "build " + " and ".join(parts) + (f", {chosen}" if chosen else "")
    for op in program.operations:
        if isinstance(op, Step):
            grads = ", ".join(_show_filling(g) for g in op.gradients)
            text += f"; step(grad={grads})"
        elif isinstance(op, Edit):
            text += f"; group {op.group} {op.name}={op.value:g}"
        elif isinstance(op, SetCount):
            text += f"; load step={op.count}"
        else:
            text += "; step() again"
    return text


def _show_values(p: Parameter) -> str:
    if p.initial.values is not None and len(p.initial.values) == 1:
        text = f"{p.initial.values[0]:g}"
    else:
        text = f"tensor{p.shape}"
    return text if p.layout == "contiguous" else f"{text} {p.layout}"


def _show_filling(g: Filling | None) -> str:
    if g is None:
        return "None"
    if g.values is None:
        return f"pool[{g.start}:]"
    return ", ".join(f"{x:g}" for x in g.values[:4]) + (", …" if len(g.values) > 4 else "")
