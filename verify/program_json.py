"""Programs as JSON: exact plain data. Reading one never runs code."""

from __future__ import annotations

import reprlib
from dataclasses import MISSING, fields
from typing import Any

from verify.errors import UsageError
from verify.program import (
    COPIES,
    INTO,
    LAYOUTS,
    OBJECTIVES,
    SPARSE,
    WAYS,
    AddGroup,
    Copy,
    Edit,
    Filling,
    Freeze,
    LoadFrom,
    Minimise,
    Operation,
    Parameter,
    Program,
    Reload,
    Repeat,
    Schedule,
    SetCount,
    Step,
    ZeroGrad,
    element_count,
)

_KINDS: dict[str, Any] = {
    "step": Step,
    "repeat": Repeat,
    "zero_grad": ZeroGrad,
    "edit": Edit,
    "schedule": Schedule,
    "add_group": AddGroup,
    "freeze": Freeze,
    "reload": Reload,
    "copy": Copy,
    "load_from": LoadFrom,
    "set_count": SetCount,
    "minimise": Minimise,
}


def _number(value: float) -> Any:
    return value if isinstance(value, int) else float(value).hex()


def _filling(f: Filling | None) -> Any:
    if f is None:
        return None
    data: dict[str, Any] = {"start": f.start} if f.values is None else {"values": [_number(float(x)) for x in f.values]}
    data |= {"expanded": True} if f.expanded else {}
    return data | ({"sparse": f.sparse} if f.sparse else {}) | ({"spectrum": True} if f.spectrum else {})


def to_json(program: Program) -> dict[str, Any]:
    """Exact plain data: floats are hexadecimal strings."""
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
                **({"dtype": p.dtype} if p.dtype else {}),
            }
            for p in program.parameters
        ],
        "operations": [_operation(op) for op in program.operations],
        "reuse_gradients": program.reuse_gradients,
        "beside": program.beside,
    }


def _operation(op: Operation) -> dict[str, Any]:
    """``do`` names the kind; what is at its default is left out."""
    data: dict[str, Any] = {"do": next(name for name, kind in _KINDS.items() if isinstance(op, kind))}
    for f in fields(op):
        value = getattr(op, f.name)
        if f.name == "gradients":
            data["gradients"] = [_filling(g) for g in value]
        elif f.name == "coefficients":
            data["coefficients"] = [_number(c) for c in value]
        elif value != f.default:
            data[f.name] = _number(value) if f.name in ("value", "factor") else value
    return data


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
    known = {"start", "values", "expanded", "sparse", "spectrum"}
    _require(isinstance(data, dict) and set(data) <= known, "bad filling", data)
    values = data.get("values")
    _require(values is None or (isinstance(values, list) and len(values) > 0), "bad values", values)
    start = data.get("start", 0)
    _require(_is_whole(start), "bad start", start)
    sparse = data.get("sparse", "")
    _require(sparse in ("", *SPARSE), f"a sparse gradient is one of {', '.join(SPARSE)}, not", sparse)
    _require(not (sparse and data.get("expanded")), "a gradient that is sparse and expanded", data)
    return Filling(
        start,
        None if values is None else tuple(float(_read_number(v)) for v in values),
        _read_switch(data, "expanded"),
        sparse,
        _read_switch(data, "spectrum"),
    )


def _read_operation(data: Any) -> Operation:
    kind = data.get("do") if isinstance(data, dict) else None
    _require(isinstance(kind, str) and kind in _KINDS, "bad operation", data)
    assert isinstance(kind, str)
    known = {f.name: f for f in fields(_KINDS[kind])}
    given = {name: _read_field(name, value, data) for name, value in data.items() if name != "do"}
    _require(set(given) <= set(known), "bad operation", data)
    for name, f in known.items():
        _require(name in given or f.default is not MISSING, f"a {kind} without {name}")
    return _KINDS[kind](**given)


_CHOICES = {"how": (*WAYS,), "into": INTO}
_WHOLE = {"group": 1 << 10, "parameter": 1 << 20, "count": 1 << 24}
_SWITCHES = ("closure", "tensor", "set_to_none", "frozen")


def _read_field(name: str, value: Any, data: Any) -> Any:
    """The value of one field of an operation."""
    if name == "gradients":
        _require(isinstance(value, list), "a step without gradients")
        return tuple(_read_filling(g) for g in value)
    if name == "coefficients":
        _require(isinstance(value, list) and bool(value), "an objective without coefficients")
        return tuple(float(_read_number(c)) for c in value)
    if name in ("value", "factor"):
        return _read_number(value)
    if name == "unused":
        _require(type(value) is int and value >= -1, "bad unused", value)
    elif name in _WHOLE:
        _require(_is_whole(value, most=_WHOLE[name]), f"bad {name}", value)
    elif name in _SWITCHES:
        _require(type(value) is bool, f"{name} must be true or false, not", value)
    elif name in _CHOICES:
        _require(isinstance(value, str) and value in _CHOICES[name], f"bad {name}", value)
    else:
        _require(isinstance(value, str), "bad operation", data)
    return value


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
        groups.append({str(k): v if isinstance(v, bool) else _read_number(v) for k, v in group.items()})
    parameters: list[Parameter] = []
    for p in data["parameters"]:
        _require(isinstance(p, dict) and isinstance(p.get("shape"), list), "a parameter without shape")
        shape, layout = tuple(p["shape"]), p.get("layout")
        _require(all(_is_whole(n, most=1 << 62) for n in shape), "bad shape", p["shape"])
        fits = len(shape) <= MOST_DIMENSIONS and element_count(tuple(max(n, 1) for n in shape)) <= MOST_ELEMENTS
        _require(fits, "a shape too large to replay:", p["shape"])
        _require(isinstance(layout, str) and layout in LAYOUTS, "unknown layout", layout)
        _require(_is_whole(p.get("group"), most=len(groups) - 1), "a parameter in no group")
        initial = _read_filling(p.get("initial"))
        _require(initial is not None, "a parameter without values")
        assert initial is not None
        _require(not initial.sparse, "a parameter that is sparse")
        dtype = p.get("dtype", "")
        _require(isinstance(dtype, str) and (not dtype or dtype in PRECISIONS), "unknown dtype", dtype)
        parameters.append(Parameter(shape, p["group"], initial, layout, dtype))
    _require(sum(element_count(p.shape) for p in parameters) <= MOST_ELEMENTS, "parameters too large to replay")
    operations = tuple(_read_operation(op) for op in data["operations"])
    _check_operations(operations, len(parameters), len(groups))
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
        _read_switch(data, "beside"),
    )


def _check_operations(operations: tuple[Operation, ...], parameters: int, groups: int) -> None:
    """Whether what the operations name is there when they are done."""
    from reference.rounding import PRECISIONS

    late = {op.group for op in operations if isinstance(op, AddGroup)}
    present = set(range(groups)) - late
    _require(0 in present, "the first group must be there from the start")
    for op in operations:
        match op:
            case Step():
                _require(len(op.gradients) == parameters, "a step whose gradients do not match the parameters")
            case AddGroup():
                _require(op.group < groups and op.group not in present, "a group that cannot be added:", op.group)
                present.add(op.group)
            case Edit():
                _require(op.group in present, "an edit of a group that does not exist")
            case Freeze():
                _require(op.parameter < parameters, "no parameter to freeze:", op.parameter)
            case Minimise():
                _require(op.objective in OBJECTIVES, "unknown objective", op.objective)
                _require(op.unused < parameters and parameters > (op.unused >= 0), "no such parameter:", op.unused)
            case LoadFrom():
                _require(op.dtype in PRECISIONS, "unknown dtype", op.dtype)
            case Copy():
                _require(op.how in COPIES, "bad how", op.how)
