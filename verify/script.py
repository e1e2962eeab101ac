"""Stand-alone scripts: a finding in a few lines that need only torch.

The script prints got and exact and exits 1 while the bug is there, 0 once it is gone.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from verify.checks.context import Finding
from verify.lanes import DTYPES, as_float64, fill
from verify.outcome import Mismatch
from verify.program import Edit, Filling, Parameter, Program, SetCount, Step
from verify.subject import LoadedSubject


def script_for(loaded: LoadedSubject, check: str, finding: Finding) -> str:
    """Source of the script that shows a finding."""
    program = finding.program
    assert program is not None
    lines = [
        f'"""{check} on {program.dtype}, {program.implementation}: {_safe(loaded.subject.title)} '
        f"against rule {loaded.rule.name}.",
        "",
        *(_safe(line) for line in finding.message.splitlines()),
        '"""',
        "import sys",
        "",
        *(_CHILD if finding.ended else []),
        "import torch",
        *(_SNAPSHOT if _is_side_effect(finding) else []),
        *_import_lines(loaded),
        "",
        *([] if _is_side_effect(finding) else ["torch.set_num_threads(1)"]),
        f"dtype = torch.{program.dtype}",
    ]
    for index, p in enumerate(program.parameters):
        lines += _parameter_lines(index, p, program)
    body = _build_lines(loaded, program) + _operation_lines(loaded, program)
    if finding.error is not None:
        lines += ["try:", *("    " + b for b in body), "except Exception as error:"]
        lines += ['    print("got  ", type(error).__name__, error)', '    print("exact  no exception")']
        lines += ["    sys.exit(1)", 'print("no exception")', "sys.exit(0)"]
    else:
        lines += body
        lines += _verdict_lines(loaded, program, finding)
    return "\n".join(lines) + "\n"


# the rest of the script runs in a child, which may hang, die or run out of memory
_CHILD = [
    "import resource",
    "import subprocess",
    "",
    "if len(sys.argv) == 1:",
    "    try:",
    '        child = subprocess.run([sys.executable, __file__, "child"], stdout=subprocess.PIPE, timeout=60)',
    '        got = "finished" if child.stdout.endswith(b"finished\\n") else f"ended with exit code {child.returncode}"',
    "    except subprocess.TimeoutExpired:",
    '        got = "did not return within 60 s"',
    '    print("got  ", got)',
    '    print("exact finished")',
    '    sys.exit(0 if got == "finished" else 1)',
    "resource.setrlimit(resource.RLIMIT_DATA, (6 << 30, 6 << 30))",
    "",
]
# what a subject must leave as it is; the random state last, for it is long
_SNAPSHOT = [
    "import contextlib",
    "import io",
    "",
    "",
    "def settings():",
    "    functions = {(o, k): v for o in (torch, torch.Tensor, torch.optim.Optimizer) for k, v in vars(o).items() if callable(v)}",
    "    plain = torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()",
    "    return *plain, torch.are_deterministic_algorithms_enabled(), functions, torch.get_rng_state().tolist()",
    "",
    "",
    "torch.set_num_threads(1)",
    "torch.optim.SGD([torch.zeros(1)]).step()  # torch imports parts of itself at the first optimizer",
    "before, printed = settings(), io.StringIO()",
    "sys.stdout, terminal = printed, sys.stdout",
]
_COMPARISON = [
    "sys.stdout = terminal",
    "after = settings()",
    'print("got   ", "printed:", repr(printed.getvalue()), " settings:", after[:4])',
    'print("exact ", "printed: \'\'", " settings:", before[:4])',
    "changed = [(o, k) for o, k in before[4].keys() | after[4].keys() if before[4].get((o, k)) is not after[4].get((o, k))]",
    "functions = [f'{o.__name__}.{k}' for o, k in changed]",
    'print("replaced functions:", functions, " random numbers drawn:", before[5] != after[5])',
    "sys.exit(1 if printed.getvalue() or functions or before[:4] != after[:4] or before[5] != after[5] else 0)",
]


def _is_side_effect(finding: Finding) -> bool:
    return not (finding.mismatches or finding.error is not None or finding.low_state or finding.ended)


def _safe(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"""', "'''")


def _import_lines(loaded: LoadedSubject) -> list[str]:
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


def _numbers(filling: Filling, shape: tuple[int, ...], dtype: str) -> str:
    values = as_float64(fill(filling, shape, DTYPES[dtype]))
    return "[" + ", ".join(_literal(float(x)) for x in values) + "]"


def _literal(x: float) -> str:
    return repr(x) if math.isfinite(x) else f'float("{x}")'


def _tensor(filling: Filling, shape: tuple[int, ...], dtype: str) -> str:
    if DTYPES[dtype].is_complex:
        real = "torch." + str(DTYPES[dtype].to_real()).removeprefix("torch.")
        numbers = _numbers(filling, shape, dtype)
        return f"torch.view_as_complex(torch.tensor({numbers}, dtype=torch.float64).to({real}).reshape({(*shape, 2)}))"
    if filling.values is not None and len(filling.values) == 1 and shape != (1,):
        return f"torch.full({shape}, {_literal(filling.values[0])}, dtype=torch.float64).to(dtype)"
    return f"torch.tensor({_numbers(filling, shape, dtype)}, dtype=torch.float64).to(dtype).reshape({shape})"


def _laid_out(text: str, layout: str, shape: tuple[int, ...]) -> str:
    if layout == "transposed" and len(shape) >= 2:
        return f"{text}.mT.contiguous().mT"
    if layout == "strided" and len(shape) >= 1:
        return f"torch.stack([x := {text}, torch.zeros_like(x)], -1).flatten(-2)[..., ::2]"
    if layout == "channels_last" and len(shape) == 4:
        return f"{text}.contiguous(memory_format=torch.channels_last)"
    return text


def _parameter_lines(index: int, p: Parameter, program: Program) -> list[str]:
    text = _laid_out(_tensor(p.initial, p.shape, program.dtype), p.layout, p.shape)
    lines = [f"p{index} = {text}.to({program.device!r}).detach().requires_grad_(True)"]
    if program.implementation == "differentiable":
        lines += [f"p{index} = p{index}.clone()", f"p{index}.retain_grad()"]
    return lines


def _build_lines(loaded: LoadedSubject, program: Program) -> list[str]:
    first = {k: v for k, v in program.groups[0].items()}
    arguments: dict[str, Any] = {
        **loaded.constructor_arguments(first, program.options),
        **loaded.switches(program.implementation),
        **loaded.subject.arguments,
    }
    members = [[f"p{i}" for i, p in enumerate(program.parameters) if p.group == g] for g in range(len(program.groups))]
    if len(program.groups) == 1:
        params = f"[{', '.join(members[0])}]"
    else:
        own = [loaded.constructor_arguments(g, {}) if i else {} for i, g in enumerate(program.groups)]
        entries = [
            "{" + ", ".join([f'"params": [{", ".join(m)}]', *(f"{k!r}: {v!r}" for k, v in o.items())]) + "}"
            for m, o in zip(members, own, strict=True)
        ]
        params = f"[{', '.join(entries)}]"
    keywords = "".join(f", {k}={v!r}" for k, v in arguments.items())
    lines = [f"optimizer = Optimizer({params}{keywords})"]
    if program.implementation == "compiled":
        lines.append("optimizer.step = torch.compile(optimizer.step)")
    return lines


def _operation_lines(loaded: LoadedSubject, program: Program) -> list[str]:
    lines: list[str] = []
    for op in program.operations:
        if isinstance(op, Step):
            for i, (g, p) in enumerate(zip(op.gradients, program.parameters, strict=True)):
                lines.append(_gradient_line(i, g, p, program))
        if isinstance(op, Edit):
            lines += _edit_lines(loaded, op)
        elif isinstance(op, SetCount):
            key = loaded.subject.state_keys.get("step", "step")
            lines += [
                "saved = optimizer.state_dict()",
                'for state in saved["state"].values():',
                f"    old = state[{key!r}]",
                f"    state[{key!r}] = torch.full_like(old, {op.count}) if torch.is_tensor(old) else {op.count}",
                "optimizer.load_state_dict(saved)",
            ]
        else:
            lines.append("optimizer.step()")
    return lines


def _gradient_line(index: int, g: Filling | None, p: Parameter, program: Program) -> str:
    if g is None:
        return f"p{index}.grad = None"
    if g.expanded:
        text = f"{_tensor(g, (), program.dtype)}.expand({p.shape})"
    else:
        layout = "transposed" if p.layout == "transposed_gradient" else p.layout
        text = _tensor(g, p.shape, program.dtype)
        if layout in ("strided", "channels_last") or p.layout == "transposed_gradient":
            text = _laid_out(text, layout, p.shape)
    text = f"{text}.to({program.device!r})"
    if program.reuse_gradients:
        return f"p{index}.grad = {text} if p{index}.grad is None else p{index}.grad.copy_({text})"
    return f"p{index}.grad = {text}"


def _edit_lines(loaded: LoadedSubject, op: Edit) -> list[str]:
    argument = loaded.hyperparameters.get(op.name)
    if argument is None:
        return []
    place = f"optimizer.param_groups[{op.group}][{argument.name!r}]"
    if argument.index is None:
        return [f"{place} = {op.value!r}"]
    return [f"entries = list({place})", f"entries[{argument.index}] = {op.value!r}", f"{place} = tuple(entries)"]


def _verdict_lines(loaded: LoadedSubject, program: Program, finding: Finding) -> list[str]:
    if finding.ended:
        return ['print("finished")']
    if finding.low_state:
        return [
            f"found = optimizer.state[p0][{finding.low_state!r}].dtype",
            'print("parameter", dtype, " state", found)',
            "sys.exit(1 if torch.finfo(found).eps > torch.finfo(dtype).eps else 0)",
        ]
    if not finding.mismatches:
        return list(_COMPARISON)
    m: Mismatch = finding.mismatches[0]
    target = f"p{m.parameter}"
    if math.isnan(m.got) and math.isnan(m.exact):
        # another kind of tensor in the place of the parameter
        wanted = f"(dtype, {program.parameters[m.parameter].shape})"
        return [
            f"found = {target}.dtype, tuple({target}.shape)",
            'print("got  ", *found)',
            f'print("exact", *{wanted})',
            f"sys.exit(0 if found == {wanted} else 1)",
        ]
    if m.quantity != "p":
        key = _state_key(loaded, m.quantity)
        target = f"optimizer.state[p{m.parameter}][{key!r}]"
    lines = [f"found = torch.as_tensor({target}).detach()"]
    if DTYPES[program.dtype].is_complex:
        lines.append("found = torch.view_as_real(found.resolve_conj()) if found.is_complex() else found")
    lines += [
        f"got = found.reshape(-1)[{m.element}].double().item()",
        f"exact, allowance = {_literal(m.exact)}, {_literal(m.allowance)}",
        'print("got  ", got)',
        'print("exact", exact, " allowance", allowance)',
        "sys.exit(0 if abs(got - exact) <= allowance else 1)",
    ]
    return lines


def _state_key(loaded: LoadedSubject, quantity: str) -> str:
    if quantity in loaded.subject.state_keys:
        return loaded.subject.state_keys[quantity]
    for variable in loaded.rule.state:
        if variable.name == quantity and variable.keys:
            return variable.keys[0]
    return quantity
