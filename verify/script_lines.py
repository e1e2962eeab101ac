"""The lines of a stand-alone script that import a subject and run a program on it, with torch alone."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from verify.driver import STEPS_ASIDE, numbers
from verify.lanes import DTYPES, as_float64, fill
from verify.program import (
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
    Schedule,
    SetCount,
    Step,
    ZeroGrad,
)
from verify.quasi_newton.script import lines_of
from verify.sparse import in_form
from verify.sparsely import sparsely
from verify.subject import LoadedSubject


def can_be_written(program: Program) -> bool:
    """Whether a program can be written in a few lines that need only torch."""
    return not program.beside and not any(isinstance(op, LoadFrom) for op in program.operations)


def safe(text: str) -> str:
    """Text as it may stand in a docstring."""
    return text.replace("\\", "\\\\").replace('"""', "'''")


def import_lines(loaded: LoadedSubject) -> list[str]:
    """Import the subject under the name ``Optimizer``."""
    target = loaded.subject.target
    assert isinstance(target, str)
    file, colon, attribute = target.rpartition(":")
    if colon and file.endswith(".py"):
        path = Path(file)
        return [
            "import importlib.util",
            "from pathlib import Path",
            "",
            f"path = Path({str(path.resolve())!r})",
            "sys.path.insert(0, str(path.parent))",
            'spec = importlib.util.spec_from_file_location("subject", path)',
            "module = importlib.util.module_from_spec(spec)",
            'sys.modules["subject"] = module',
            "spec.loader.exec_module(module)",
            f"Optimizer = module.{attribute}",
        ]
    module, _, attribute = (file, colon, attribute) if colon else target.rpartition(".")
    return [
        "import importlib",
        "",
        'sys.path.insert(0, "")',
        f"Optimizer = importlib.import_module({module!r}).{attribute}",
    ]


def program_lines(loaded: LoadedSubject, program: Program) -> list[str]:
    """Make the parameters ``p0``, ``p1``, ..., build ``optimizer`` and do every operation."""
    writer = _Writer(loaded, program)
    return [*parameter_lines(writer.program), *writer.lines()]


def parameter_lines(program: Program) -> list[str]:
    """Make the parameters."""
    lines = [f"dtype = torch.{program.dtype}"]
    for index, p in enumerate(program.parameters):
        lines += _parameter_lines(index, p, program)
    return lines


class _Writer:
    """Writes building and operations, and knows which groups are there and what is frozen."""

    def __init__(self, loaded: LoadedSubject, program: Program):
        self.loaded, self.program = loaded, sparsely(program) if loaded.sparse_alone else program
        self.present = [g for g in range(len(program.groups)) if g not in program.late_groups]
        self.frozen: set[int] = set()
        self.scheduled = False

    def lines(self) -> list[str]:
        written = self._build()
        for op in self.program.operations:
            written += self._operation(op)
        return written

    def _members(self, group: int) -> str:
        return ", ".join(f"p{i}" for i, p in enumerate(self.program.parameters) if p.group == group)

    def _group(self, group: int) -> str:
        own = _own_arguments(self.loaded, self.program, group) if group else {}
        return (
            "{" + ", ".join([f'"params": [{self._members(group)}]', *(f"{k!r}: {v!r}" for k, v in own.items())]) + "}"
        )

    def _build(self) -> list[str]:
        loaded, program = self.loaded, self.program
        arguments: dict[str, Any] = {
            **loaded.constructor_arguments(numbers(program.groups[0]), loaded.chosen(program.options_of(0))),
            **loaded.switches(program.implementation),
            **loaded.subject.arguments,
        }
        params = f"[{self._members(0)}]"
        if len(self.present) > 1:
            params = f"[{', '.join(map(self._group, self.present))}]"
        keywords = "".join(f", {k}={v!r}" for k, v in arguments.items())
        lines = [f"optimizer = Optimizer({params}{keywords})"]
        if program.implementation == "compiled":
            lines.append("optimizer.step = torch.compile(optimizer.step)")
        return lines

    def _operation(self, op: Operation) -> list[str]:
        match op:
            case Step():
                return self._step(op)
            case ZeroGrad():
                return [f"optimizer.zero_grad(set_to_none={op.set_to_none})"]
            case Edit():
                return self._edit(op)
            case Schedule():
                made = [f"scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, {op.factor!r})"]
                made, self.scheduled = [] if self.scheduled else made, True
                return [*made, "scheduler.step()"]
            case AddGroup():
                self.present.append(op.group)
                return [f"optimizer.add_param_group({self._group(op.group)})"]
            case Freeze():
                (self.frozen.add if op.frozen else self.frozen.discard)(op.parameter)
                return [f"p{op.parameter}.requires_grad_({not op.frozen})", f"p{op.parameter}.grad = None"]
            case Reload():
                return self._reload(op)
            case Copy():
                return self._copy(op)
            case SetCount():
                return self._set_count(op)
            case Minimise():
                return lines_of(op, len(self.program.parameters))
        return ["optimizer.step()"]

    def _step(self, op: Step) -> list[str]:
        gradients = [
            _gradient_line(i, None if i in self.frozen else g, p, self.program)
            for i, (g, p) in enumerate(zip(op.gradients, self.program.parameters, strict=True))
        ]
        if not op.closure:
            return [*gradients, "optimizer.step()"]
        body = (f"    {line}" for line in (*gradients, "return torch.tensor(0.5)"))
        return ["def closure():", *body, "optimizer.step(closure)"]

    def _edit(self, op: Edit) -> list[str]:
        where = f"optimizer.param_groups[{self.present.index(op.group)}]"
        if op.name in self.loaded.options:
            return [
                f"{where}[{self.loaded.options[op.name]!r}] = {self.loaded.option_value(op.name, bool(op.value))!r}"
            ]
        argument = self.loaded.hyperparameters.get(op.name)
        if argument is None:
            return []
        place = f"{where}[{argument.name!r}]"
        value = f"torch.tensor({op.value!r}, dtype=torch.float64)" if op.tensor else repr(self._number(op))
        if argument.index is None:
            return [f"{place} = {value}"]
        return [f"entries = list({place})", f"entries[{argument.index}] = {value}", f"{place} = tuple(entries)"]

    def _number(self, op: Edit) -> float:
        whole = any(h.name == op.name and h.integer for h in self.loaded.rule.hyperparameters)
        return int(op.value) if whole else op.value

    def _reload(self, op: Reload) -> list[str]:
        lines = ["saved = optimizer.state_dict()"]
        if op.how == "deepcopy":
            lines.append("saved = copy.deepcopy(saved)")
        elif op.how == "pickle":
            lines.append("saved = pickle.loads(pickle.dumps(saved))")
        elif op.how == "file":
            lines += ["file = io.BytesIO()", "torch.save(saved, file)", "file.seek(0)"]
            lines.append("saved = torch.load(file, weights_only=True)")
        if op.lacking:
            lines += ["for group in saved['param_groups']:", f"    group.pop({op.lacking!r}, None)"]
        if op.into != "same":
            lines += self._build()
            self.scheduled = False
        if op.into == "stepped":
            names = [f"p{i}" for i in range(len(self.program.parameters))]
            lines += [
                f"kept = [(p, p.detach().clone(), p.grad) for p in ({', '.join(names)},)]",
                "for p, values, grad in kept:",
                "    p.grad = torch.ones_like(p)" + (".to_sparse(1)" if self.loaded.sparse_alone else ""),
                f"for _ in range({STEPS_ASIDE}):",
                "    optimizer.step()",
                "for p, values, grad in kept:",
                "    p.data.copy_(values)",
                "    p.grad = grad",
            ]
        return [*lines, "optimizer.load_state_dict(saved)"]

    def _copy(self, op: Copy) -> list[str]:
        names = [f"p{i}" for i in range(len(self.program.parameters))]
        whole = f"(({', '.join(names)},), optimizer)"
        copied = f"copy.deepcopy({whole})" if op.how == "deepcopy" else f"pickle.loads(pickle.dumps({whole}))"
        self.scheduled = False
        return [f"({', '.join(names)},), optimizer = {copied}", *(f"{name}.grad = None" for name in names)]

    def _set_count(self, op: SetCount) -> list[str]:
        key = self.loaded.subject.state_keys.get("step", "step")
        return [
            "saved = optimizer.state_dict()",
            'for state in saved["state"].values():',
            f"    old = state[{key!r}]",
            f"    state[{key!r}] = torch.full_like(old, {op.count}) if torch.is_tensor(old) else {op.count}",
            "optimizer.load_state_dict(saved)",
        ]


def _own_arguments(loaded: LoadedSubject, program: Program, group: int) -> dict[str, Any]:
    """What a later group holds beside its parameters: where it differs from the constructor's arguments."""
    own, common = (loaded.constructor_arguments(numbers(program.groups[g]), program.options_of(g)) for g in (group, 0))
    return {k: v for k, v in own.items() if v != common.get(k)}


def _parameter_lines(index: int, p: Parameter, program: Program) -> list[str]:
    text = _laid_out(_tensor(p.initial, p.shape, program.dtype_of(p)), p.layout, p.shape)
    lines = [f"p{index} = {text}.to({program.device!r}).detach().requires_grad_(True)"]
    if program.implementation == "differentiable":
        lines += [f"p{index} = p{index}.clone()", f"p{index}.retain_grad()"]
    return lines


def _gradient_line(index: int, g: Filling | None, p: Parameter, program: Program) -> str:
    if g is None:
        return f"p{index}.grad = None"
    if g.sparse:
        text = _sparse(g, p, program.dtype_of(p))
    elif g.expanded:
        text = f"{_tensor(g, (), program.dtype_of(p))}.expand({p.shape})"
    else:
        layout = "transposed" if p.layout == "transposed_gradient" else p.layout
        text = _tensor(g, p.shape, program.dtype_of(p))
        if layout in ("strided", "channels_last") or p.layout == "transposed_gradient":
            text = _laid_out(text, layout, p.shape)
    text = f"{text}.to({program.device!r})"
    if program.reuse_gradients:
        return f"p{index}.grad = {text} if p{index}.grad is None else p{index}.grad.copy_({text})"
    return f"p{index}.grad = {text}"


def _sparse(g: Filling, p: Parameter, dtype: str) -> str:
    """A sparse gradient, by its entries in their order."""
    made = in_form(fill(g, p.shape, DTYPES[dtype]), g.sparse)
    values, indices = made._values(), made._indices()
    entries = f"torch.zeros({tuple(values.shape)}, dtype=torch.{dtype})"
    if values.numel():
        entries = _tensor(Filling(values=tuple(map(float, as_float64(values)))), tuple(values.shape), dtype)
    where = f"torch.tensor({indices.tolist()}, dtype=torch.int64).reshape({tuple(indices.shape)})"
    text = f"torch.sparse_coo_tensor({where}, {entries}, {p.shape}, check_invariants=True)"
    return f"{text}.coalesce()" if made.is_coalesced() else text


def _numbers(filling: Filling, shape: tuple[int, ...], dtype: str) -> str:
    values = as_float64(fill(filling, shape, DTYPES[dtype]))
    return "[" + ", ".join(number(float(x)) for x in values) + "]"


def number(x: float) -> str:
    """A float as Python source."""
    return repr(x) if math.isfinite(x) else f'float("{x}")'


def _tensor(filling: Filling, shape: tuple[int, ...], dtype: str) -> str:
    if DTYPES[dtype].is_complex:
        real = "torch." + str(DTYPES[dtype].to_real()).removeprefix("torch.")
        numbers = _numbers(filling, shape, dtype)
        return f"torch.view_as_complex(torch.tensor({numbers}, dtype=torch.float64).to({real}).reshape({(*shape, 2)}))"
    if filling.values is not None and len(filling.values) == 1 and shape != (1,):
        return f"torch.full({shape}, {number(filling.values[0])}, dtype=torch.float64).to(torch.{dtype})"
    return f"torch.tensor({_numbers(filling, shape, dtype)}, dtype=torch.float64).to(torch.{dtype}).reshape({shape})"


def _laid_out(text: str, layout: str, shape: tuple[int, ...]) -> str:
    if layout == "transposed" and len(shape) >= 2:
        return f"{text}.mT.contiguous().mT"
    if layout == "strided" and len(shape) >= 1:
        return f"torch.stack([x := {text}, torch.zeros_like(x)], -1).flatten(-2)[..., ::2]"
    if layout == "channels_last" and len(shape) == 4:
        return f"{text}.contiguous(memory_format=torch.channels_last)"
    return text
