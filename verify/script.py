"""Stand-alone scripts: a finding in a few lines that need only torch.

The script prints got and exact and exits 1 while the bug is there, 0 once it is gone.
"""

from __future__ import annotations

import math

from verify.checks.context import Finding
from verify.lanes import DTYPES
from verify.outcome import Mismatch, Sentence, Twin
from verify.program import Copy, Program, Reload
from verify.promises import PROMISES
from verify.quasi_newton.judge import Broken
from verify.quasi_newton.script import tools, verdict
from verify.script_lines import can_be_written, import_lines, number, program_lines, safe
from verify.script_promise import script_for_promise
from verify.subject import LoadedSubject


def script_for(loaded: LoadedSubject, check: str, finding: Finding) -> str:
    """Source of the script that shows a finding."""
    program = finding.program
    assert program is not None
    if check in PROMISES:
        return script_for_promise(loaded, check, finding)
    said = finding.broken or finding.error
    twin = said.twin if isinstance(said, Sentence) else None
    if isinstance(said, Sentence) and said.program is not None:
        program = said.program
    elif isinstance(said, Sentence) and twin is None and not isinstance(said, Broken):
        return _replaying(loaded, check, finding)
    violated = isinstance(said, Broken)
    if (finding.broken is not None and twin is None and not violated) or not can_be_written(program):
        return _replaying(loaded, check, finding)
    minimises = tools(program, wolfe=violated)
    lines = [*_docstring(loaded, check, finding), *(["from __future__ import annotations", ""] if minimises else [])]
    lines += ["import sys", ""]
    lines += [*(_CHILD if finding.ended else []), *_standard_modules((program, twin.other) if twin else (program,))]
    lines += ["import torch", *(_SNAPSHOT if _is_side_effect(finding) else []), *import_lines(loaded), ""]
    lines += [] if _is_side_effect(finding) else ["torch.set_num_threads(1)"]
    if twin is not None:
        return "\n".join([*lines, *_twin_lines(loaded, twin)]) + "\n"
    body = program_lines(loaded, program)
    lines += minimises
    if isinstance(said, Broken):
        lines += [*body, *verdict(said.violation)]
    elif finding.error is not None:
        lines += ["try:", *("    " + b for b in body), "except Exception as error:"]
        lines += ['    print("got  ", type(error).__name__, error)', '    print("exact  no exception")']
        lines += ["    sys.exit(1)", 'print("no exception")', "sys.exit(0)"]
    else:
        lines += body
        lines += _verdict_lines(loaded, program, finding)
    return "\n".join(lines) + "\n"


def _docstring(loaded: LoadedSubject, check: str, finding: Finding) -> list[str]:
    program = finding.program
    assert program is not None
    against = f" against rule {loaded.rule.name}" if loaded.rule.known else ""
    return [
        f'"""{check} on {program.dtype}, {program.implementation}: {safe(loaded.subject.title)}{against}.',
        "",
        *(safe(line) for line in finding.message.splitlines()),
        '"""',
    ]


def _standard_modules(programs: tuple[Program, ...]) -> list[str]:
    """Modules that copies and files need."""
    ways = {op.how for p in programs for op in p.operations if isinstance(op, Reload | Copy)}
    needed = {"deepcopy": "copy", "pickle": "pickle", "file": "io"}
    found = sorted(needed[way] for way in ways if way in needed)
    return [*(f"import {name}" for name in found), *([""] if found else [])]


def _replaying(loaded: LoadedSubject, check: str, finding: Finding) -> str:
    """A script for what cannot be written in a few lines of torch: it runs the replay file beside it."""
    lines = [
        *_docstring(loaded, check, finding),
        "import sys",
        "from pathlib import Path",
        "",
        "from verify.cli import main  # of optim-verify",
        "",
        'if __name__ == "__main__":',
        '    sys.exit(main(["replay", str(Path(__file__).with_suffix(".json"))]))',
    ]
    return "\n".join(lines) + "\n"


def _twin_lines(loaded: LoadedSubject, twin: Twin) -> list[str]:
    """Both runs, and the element in which they must agree."""
    lines = []
    for name, program, parameter, element in (
        ("plain", twin.program, twin.parameter, twin.element),
        ("other", twin.other, twin.other_parameter, twin.other_element),
    ):
        place = f"p{parameter}" if not twin.key else f"optimizer.state[p{parameter}][{twin.key!r}]"
        lines += ["", "", f"def {name}():", *("    " + line for line in program_lines(loaded, program))]
        lines += [f"    found = torch.as_tensor({place}).detach()"]
        if DTYPES[program.dtype].is_complex:
            lines.append("    found = torch.view_as_real(found.resolve_conj()) if found.is_complex() else found")
        lines.append(f"    return found.reshape(-1)[{element}].double().item()")
    moved = "" if twin.factor == 1 else f"{twin.factor!r} * "
    shift = "" if not twin.offset else f" + {twin.offset!r}"
    got = "other()"
    if twin.program == twin.other:
        # two runs of one program differ by chance
        lines += ["", "", "def other_again(due):"]
        lines += ["    runs = (other() for _ in range(100))", "    return next((x for x in runs if x != due), due)"]
        got = "other_again(due)"
    return [
        *lines,
        "",
        "",
        f"due, allowance = {moved}plain(){shift}, {number(twin.allowed)}",
        f"got = {got}",
        'print("got  ", got)',
        'print("due  ", due, " allowance", allowance)',
        "sys.exit(0 if abs(got - due) <= allowance or (got != got and due != due) else 1)",
    ]


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
    return not (finding.mismatches or finding.error is not None or finding.low_state or finding.ended or finding.broken)


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
        f"exact, allowance = {number(m.exact)}, {number(m.allowance)}",
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
