"""Stand-alone scripts for broken promises: the promise itself, pasted below the subject it was tried on.

The script needs only torch. It prints what is broken and exits 1 while the bug is there, and 0 once it is gone.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import types
from collections.abc import Callable
from typing import Any

import torch

from verify.checks.context import Finding
from verify.driver import SubjectRaised, Unsupported
from verify.program import Program
from verify.promise_case import case_for
from verify.promises import PROMISES
from verify.promises.case import Broken, Case, NotOffered
from verify.script_lines import import_lines, safe
from verify.subject import LoadedSubject
from verify.traced import compiled_slack


def script_for_promise(loaded: LoadedSubject, check: str, finding: Finding) -> str:
    """Source of the script for a finding of a check that tries a promise."""
    program = finding.program
    assert program is not None
    slack = 0.0
    if check == "contract.compile":
        with contextlib.suppress(SubjectRaised, Unsupported):
            slack = compiled_slack(loaded, program) or 0.0
    return promise_script(loaded, check, program, PROMISES[check], finding.message, slack)


def promise_script(
    loaded: LoadedSubject,
    check: str,
    program: Program,
    promise: Callable[[Case], None],
    message: str = "",
    slack: float = 0.0,
) -> str:
    """Source of the script that shows a broken promise.

    Args:
        check: id of the check.
        program: what shows it.
        promise: a function of :mod:`verify.promises`.
        message: the finding, for the docstring.
        slack: see :class:`verify.promises.case.Case`.
    """
    case = case_for(loaded, program)
    case.slack = slack
    modules, sources = _closed(promise)
    head = [
        f'"""{check} on {program.dtype}, {program.implementation}: {safe(loaded.subject.title)}.',
        "",
        *(safe(line) for line in message.splitlines()),
        '"""',
        "from __future__ import annotations",
        "",
    ]
    # what the subject's import needs comes first, as in every script of a finding
    imports = [f"import {name}" for name in sorted({"sys", "torch", "types", *modules} - {"torch"})]
    body = [*imports, "", "import torch", *import_lines(loaded), "", "torch.set_num_threads(1)", ""]
    return "\n".join([*head, *body, "", *sources, *_case_lines(case), *_verdict(promise)]) + "\n"


def _verdict(promise: Callable[[Case], None]) -> list[str]:
    return [
        "try:",
        f"    {promise.__name__}(case)",
        "except Broken as sentence:",
        '    print("broken:", sentence)',
        "    sys.exit(1)",
        "except NotOffered as reason:",
        '    print("not offered:", reason)',
        "except Exception as error:",
        '    print("raised:", type(error).__name__, error)',
        "    sys.exit(1)",
        "else:",
        '    print("the promise is kept")',
    ]


def _case_lines(case: Case) -> list[str]:
    return [
        "case = types.SimpleNamespace(",
        "    factory=Optimizer,",
        f"    arguments={source(case.arguments)},",
        f"    groups={source(case.groups)},",
        "    parameters=[",
        *(f"        {source(p)}," for p in case.parameters),
        "    ],",
        "    gradients=[",
        *(f"        {source(row)}," for row in case.gradients),
        "    ],",
        f"    other={source(case.other)},",
        f"    names={source(case.names)},",
        f"    required={source(case.required)},",
        "    wrong=[",
        *(f"        {source(entry)}," for entry in case.wrong),
        "    ],",
        f"    slack={source(case.slack)},",
        ")",
        "",
    ]


def source(value: Any) -> str:
    """A Python expression for numbers, text, containers and small tensors."""
    if isinstance(value, torch.Tensor) and value.is_sparse:
        entries = f"{source(value._indices())}, {source(value._values())}, {tuple(value.shape)}"
        made = f"torch.sparse_coo_tensor({entries}, check_invariants=True)"
        return f"{made}.coalesce()" if value.is_coalesced() else made
    if isinstance(value, torch.Tensor):
        made = f"torch.tensor({source(value.tolist())}, dtype={value.dtype}, device={str(value.device)!r})"
        if value.is_contiguous():
            return made if value.numel() else f"{made}.reshape({tuple(value.shape)})"
        strides = f"{tuple(value.shape)}, {value.stride()}, dtype={value.dtype}, device={str(value.device)!r}"
        return f"torch.empty_strided({strides}).copy_({made})"
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{source(k)}: {source(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(source, value)) + "]"
    if isinstance(value, tuple):
        return "(" + "".join(f"{source(v)}, " for v in value).removesuffix(" " if len(value) == 1 else ", ") + ")"
    return repr(value)


def _closed(promise: Callable[[Case], None]) -> tuple[set[str], list[str]]:
    """Modules that a promise needs, and the source of it and of everything of the project that it calls."""
    modules: set[str] = set()
    found: dict[str, Any] = {}
    constants: dict[str, str] = {}

    def visit(thing: Any) -> None:
        if thing.__name__ in found:
            return
        found[thing.__name__] = thing
        for code in _codes(thing):
            for name in code.co_names:
                other = inspect.unwrap(thing).__globals__.get(name) if inspect.isfunction(thing) else None
                if isinstance(other, types.ModuleType):
                    modules.add(other.__name__)
                elif getattr(other, "__module__", "").startswith("verify.promises"):
                    visit(other)
                elif isinstance(other, tuple | float):
                    constants[name] = f"{name} = {source(other)}"
                elif isinstance(other, type):
                    constants[name] = f"from {other.__module__} import {name}"

    for thing in (Broken, NotOffered, promise):
        visit(thing)
    texts = [inspect.getsource(thing).rstrip() for thing in found.values()]
    pasted = [line for text in texts for line in (*text.splitlines(), "", "")]
    return modules, [*sorted(constants.values()), "", "", *pasted]


def _codes(thing: Any) -> list[types.CodeType]:
    """The code of a function and of the functions inside it."""
    if not inspect.isfunction(thing):
        return []
    codes = [thing.__code__]
    for code in codes:
        codes += [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return codes
