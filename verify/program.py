"""A program: a sequence of operations on one optimizer, as plain data.

Programs are what Hypothesis draws, what a finding is shrunk to, what a replay file holds and what a
stand-alone script prints (as JSON: verify.program_json).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

# Fills are slices of a pool of numbers (see verify.lanes): first TAME ones, whose squares stay inside
# the format, then wild ones up to its ends.
POOL_SIZE = 1 << 17
TAME = POOL_SIZE * 7 // 8
LAYOUTS = ("contiguous", "transposed", "strided", "channels_last", "transposed_gradient")
# Sparse forms of a gradient (see verify.sparse). All of them have the same values: what is zero has no entry.
SPARSE = ("rows", "elements", "stored", "twice", "parts")


@dataclass(frozen=True)
class Filling:
    """Initial values or a gradient: a slice of the pool of hostile numbers, or explicit values.

    Args:
        start: where in the pool the slice starts (see :mod:`verify.lanes`).
        values: explicit values (real and imaginary parts in turn for complex tensors), repeated
            over the tensor; they take the place of the pool.
        expanded: a gradient whose elements share one memory cell, as that of ``p.sum()`` does.
        sparse: the form of a gradient that is a sparse tensor, of :data:`SPARSE`; empty for a dense one. Such a slice
            of the pool has no entries in a third of its rows.
        spectrum: a matrix with chosen singular values, which ``start`` chooses, in the place of a slice.
    """

    start: int = 0
    values: tuple[float, ...] | None = None
    expanded: bool = False
    sparse: str = ""
    spectrum: bool = False


@dataclass(frozen=True)
class Parameter:
    """One parameter: its shape, group, initial values and memory layout; ``dtype`` where it is not the program's."""

    shape: tuple[int, ...]
    group: int = 0
    initial: Filling = Filling()
    layout: str = "contiguous"
    dtype: str = ""


@dataclass(frozen=True)
class Step:
    """Set the gradients (None: the parameter has none) and call ``optimizer.step()``.

    With ``closure`` the gradients are set by a closure that is passed to ``step``.
    """

    gradients: tuple[Filling | None, ...]
    closure: bool = False


@dataclass(frozen=True)
class Repeat:
    """Call ``optimizer.step()`` again on the gradients that are there."""


@dataclass(frozen=True)
class ZeroGrad:
    """Call ``optimizer.zero_grad(set_to_none)``."""

    set_to_none: bool = True


@dataclass(frozen=True)
class Edit:
    """Set one hyperparameter or option of one group, by the rule's name for it; as a 0-d tensor if ``tensor``."""

    group: int
    name: str
    value: float
    tensor: bool = False


@dataclass(frozen=True)
class Schedule:
    """One step of ``ExponentialLR``: every group's lr is multiplied by ``factor``.

    All schedules of one program share the factor of the first.
    """

    factor: float


@dataclass(frozen=True)
class AddGroup:
    """Add a group with ``optimizer.add_param_group``; the constructor does not get it then."""

    group: int


@dataclass(frozen=True)
class Freeze:
    """Set ``requires_grad`` of one parameter; a frozen one gets no gradients."""

    parameter: int
    frozen: bool = True


@dataclass(frozen=True)
class Reload:
    """Save the state dict and load it.

    Args:
        how: the way it takes in between: passed on as it is (``"direct"``), ``"deepcopy"``, ``"pickle"``, or
            ``"file"`` (``torch.save``, and ``torch.load`` with ``weights_only=True``).
        into: the ``"same"`` instance, a ``"fresh"`` one, or a fresh one that has already ``"stepped"``.
        lacking: key of the groups that the file does not have, as one written before there was that key.
    """

    how: str = "direct"
    into: str = "same"
    lacking: str = ""


@dataclass(frozen=True)
class Copy:
    """Go on with a copy of parameters and optimizer, made together by ``"deepcopy"`` or ``"pickle"``."""

    how: str = "deepcopy"


@dataclass(frozen=True)
class LoadFrom:
    """Load the state that the operations so far make with parameters of another dtype."""

    dtype: str


@dataclass(frozen=True)
class SetCount:
    """Save the state, set every step counter in it to ``count``, and load it back."""

    count: int


@dataclass(frozen=True)
class Minimise:
    """Call ``optimizer.step`` with a closure that computes an objective (see :mod:`verify.quasi_newton.objectives`).

    Args:
        objective: its name.
        coefficients: its shape, repeated over all elements.
        unused: the place of a parameter that it does not depend on, which gets no gradient; -1 for none.
    """

    objective: str
    coefficients: tuple[float, ...] = (1.0,)
    unused: int = -1


Operation = (
    Step | Repeat | ZeroGrad | Edit | Schedule | AddGroup | Freeze | Reload | Copy | LoadFrom | SetCount | Minimise
)
# of verify.quasi_newton.objectives
OBJECTIVES = (
    "quadratic",
    "rosenbrock",
    "himmelblau",
    "quartic",
    "waves",
    "linear",
    "absolute",
    "constant",
    "logarithm",
)
WAYS = ("direct", "deepcopy", "pickle", "file")
INTO = ("same", "fresh", "stepped")
COPIES = ("deepcopy", "pickle")


@dataclass(frozen=True)
class Program:
    """Build an optimizer on fresh parameters, then do the operations in order.

    Args:
        dtype, device, implementation: where and how it runs.
        groups: hyperparameters of each param group, by the rule's names; options in which it differs, as booleans.
        options: options of the rule.
        parameters: in the order in which the optimizer gets them.
        operations: what is done.
        reuse_gradients: write each gradient into the same buffer instead of a new tensor.
        beside: another optimizer of the class, with parameters of its own, does the same at the same time.
    """

    dtype: str = "float32"
    device: str = "cpu"
    implementation: str = "for-loop"
    groups: tuple[Mapping[str, float], ...] = ({},)
    options: Mapping[str, bool] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = (Parameter((1,)),)
    operations: tuple[Operation, ...] = ()
    reuse_gradients: bool = False
    beside: bool = False

    @property
    def late_groups(self) -> frozenset[int]:
        """Groups that the constructor does not get."""
        return frozenset(op.group for op in self.operations if isinstance(op, AddGroup))

    @property
    def size(self) -> int:
        """A measure of how much there is to read."""
        elements = sum(element_count(p.shape) for p in self.parameters)
        return 100 * len(self.operations) + 50 * len(self.parameters) + min(elements, 40)

    def options_of(self, group: int) -> dict[str, bool]:
        """The options of one group."""
        own = {k: v for k, v in self.groups[group].items() if isinstance(v, bool)}
        return {**self.options, **own}

    def dtype_of(self, parameter: Parameter) -> str:
        return parameter.dtype or self.dtype

    def with_operations(self, operations) -> Program:
        return replace(self, operations=tuple(operations))


def element_count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def describe(program: Program) -> str:
    """The program on one line, for the terminal."""
    parts = []
    for index, group in enumerate(program.groups):
        shapes = [_show_values(p) for p in program.parameters if p.group == index]
        numbers = ", ".join(f"{k}={v}" if isinstance(v, bool) else f"{k}={v:g}" for k, v in group.items())
        parts.append(f"[{', '.join(shapes)}] with {numbers}" if numbers else f"[{', '.join(shapes)}]")
    chosen = ", ".join(k for k, v in program.options.items() if v)
    text = "build " + " and ".join(parts) + (f", {chosen}" if chosen else "")
    for op in program.operations:
        if isinstance(op, Step):
            grads = ", ".join(_show_filling(g) for g in op.gradients)
            text += f"; step({'closure, ' if op.closure else ''}grad={grads})"
        else:
            text += f"; {_show_operation(op)}"
    return text + ("; beside another one" if program.beside else "")


def _show_operation(op: Operation) -> str:
    match op:
        case Edit():
            return f"group {op.group} {op.name}={f'tensor({op.value:g})' if op.tensor else f'{op.value:g}'}"
        case Schedule():
            return f"ExponentialLR({op.factor:g}).step()"
        case AddGroup():
            return f"add_param_group(group {op.group})"
        case Freeze():
            return f"{'freeze' if op.frozen else 'thaw'} parameter {op.parameter}"
        case ZeroGrad():
            return f"zero_grad(set_to_none={op.set_to_none})"
        case Reload():
            way = {"direct": "", "file": " through a file"}.get(op.how, f" through {op.how}")
            target = {"same": "itself", "fresh": "a fresh instance", "stepped": "one that has stepped"}[op.into]
            return f"save{way} and load into {target}" + (f", without {op.lacking!r}" if op.lacking else "")
        case Copy():
            return f"go on with a {'deep copy' if op.how == 'deepcopy' else 'pickled copy'}"
        case LoadFrom():
            return f"load the state of a {op.dtype} run"
        case SetCount():
            return f"load step={op.count}"
        case Minimise():
            numbers = ", ".join(f"{c:g}" for c in op.coefficients)
            without = "" if op.unused < 0 else f" without parameter {op.unused}"
            return f"step on {op.objective}({numbers}){without}"
    return "step() again"


def _show_values(p: Parameter) -> str:
    if p.initial.values is not None and len(p.initial.values) == 1 and element_count(p.shape):
        text = f"{p.initial.values[0]:g}"
    else:
        text = f"tensor{p.shape}"
    text = text if p.layout == "contiguous" else f"{text} {p.layout}"
    return f"{text} in {p.dtype}" if p.dtype else text


def _show_filling(g: Filling | None) -> str:
    if g is None:
        return "None"
    if g.values is None:
        text = f"matrix {g.start}" if g.spectrum else f"pool[{g.start}:]"
    else:
        text = ", ".join(f"{x:g}" for x in g.values[:4]) + (", …" if len(g.values) > 4 else "")
    return f"sparse {g.sparse} of {text}" if g.sparse else text
