"""The worker process: imports the subject, runs cells, survives what it can.

The parent talks to it over a pipe. A worker is used for many cells, because importing torch costs more
than a cell; when it hangs, dies or grows without end, the parent replaces it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from typing import Any

from verify.errors import UsageError


def serve(connection, shared, settings: dict[str, Any]) -> None:
    """Answer requests until the pipe closes.

    Args:
        connection: receives ``("describe",)`` and ``("cell", index, fields)``, sends
            ``(kind, payload)``.
        shared: one double in shared memory, the time at which the subject was given control (0: it
            has none); the parent's watchdog reads it.
        settings: subject, budget, seed, memory limit.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _silence()
    try:
        worker = Worker(shared, settings)
    except UsageError as error:
        connection.send(("unusable", str(error)))
        return
    except MemoryError:
        connection.send(("unusable", "importing the subject needs more memory than the limit allows"))
        return
    except BaseException:
        connection.send(("fault", traceback.format_exc()))
        return
    connection.send(("ready", worker.description()))
    while True:
        try:
            request = connection.recv()
        except (EOFError, OSError):
            return
        try:
            connection.send(("cell", worker.cell(*request)))
        except BaseException:
            connection.send(("fault", traceback.format_exc()))


def _silence() -> None:
    """Nothing that a subject prints, from Python or from C, reaches the terminal."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    sys.stdin = open(os.devnull)  # noqa: SIM115 - kept open for the life of the process


def limit_memory(bytes_more: int) -> None:
    """Let this process allocate so much more than it has now (where the system can say so)."""
    with contextlib.suppress(ImportError, ValueError, OSError, AttributeError):
        import resource

        with open("/proc/self/status") as file:
            data = next(int(x.split()[1]) * 1024 for x in file if x.startswith("VmData"))
        resource.setrlimit(resource.RLIMIT_DATA, (data + bytes_more, data + bytes_more))


class Worker:
    """A loaded subject and the checks, in one process."""

    def __init__(self, shared, settings: dict[str, Any]):
        import torch

        from verify.checks import all_checks
        from verify.isolation import Guard
        from verify.subject import load

        torch.set_num_threads(1)
        self.checks = all_checks()
        self.settings = settings
        self.shared = shared
        self.torch = torch
        with Guard() as guard:
            self.in_subject(True)
            self.loaded = load(settings["subject"])
            self.in_subject(False)
        self.import_changes = list(guard.changes)
        self.editable, self.refused = self._probe()
        if settings.get("memory"):
            limit_memory(settings["memory"])

    def in_subject(self, inside: bool) -> None:
        self.shared.value = time.monotonic() if inside else 0.0

    def _probe(self) -> tuple[tuple[str, ...], str]:
        """Hyperparameters that live in the param groups; the constructor must accept ordinary ones."""
        from verify.isolation import Guard
        from verify.oracle import LockStep, SubjectRaised
        from verify.program import Program

        loaded = self.loaded
        program = Program(dtype="float32", groups=(dict(loaded.rule.defaults),), parameters=())
        run = LockStep(loaded, program, in_subject=self.in_subject)
        run.tracks = []
        parameter = self.torch.zeros(2, requires_grad=True)
        with Guard():
            try:
                values = {k: v for k, v in run.values[0].items() if k not in loaded.fixed}
                optimizer = run._call(loaded.build, [{"params": [parameter]}], values, {}, "for-loop")
            except SubjectRaised as error:
                if "TypeError" in str(error):
                    raise UsageError(
                        f"building {loaded.subject.title} failed with {error}; give further constructor "
                        "arguments with --arg NAME=VALUE"
                    ) from None
                return (), str(error)
        if not callable(getattr(optimizer, "step", None)):
            raise UsageError(
                f"{loaded.subject.title} built {type(optimizer).__name__}, which has no step(): no optimizer"
            )
        groups = getattr(optimizer, "param_groups", None)
        group = groups[0] if isinstance(groups, list) and groups else {}
        return tuple(n for n, a in loaded.hyperparameters.items() if a.name in group), ""

    def description(self) -> dict[str, Any]:
        """What the parent plans with."""
        from importlib.metadata import version

        rule = self.loaded.rule
        capability = ""
        if self.torch.cuda.is_available():
            capability = self.torch.cuda.get_device_name(0)
        return {
            "rule": rule.name,
            "rule_title": rule.title,
            "rule_source": rule.source,
            "implementations": self.loaded.implementations,
            "checks": {id: {"dtypes": c.dtypes, "implementations": c.implementations} for id, c in self.checks.items()},
            "environment": {
                "torch": self.torch.__version__,
                "python": sys.version.split()[0],
                "platform": sys.platform,
                "sympy": version("sympy"),
                "python-flint": version("python-flint"),
                "cpu": self.torch.backends.cpu.get_cpu_capability(),
                "cuda": capability,
            },
        }

    def cell(self, check: str, dtype: str, device: str, implementation: str) -> dict[str, Any]:
        """Run one cell and return it as plain data."""
        from verify.budgets import BUDGETS
        from verify.checks.context import Context
        from verify.isolation import Guard

        started = time.perf_counter()
        context = Context(
            self.loaded,
            dtype,
            device,
            implementation,
            BUDGETS[self.settings["budget"]],
            self.settings["seed"],
            self.editable,
            self.in_subject,
        )
        refused = self._refusal(context)
        if refused:
            report = refused
        else:
            with Guard() as guard:
                report = self.checks[check].run(context)
            self._report_changes(report, check, guard.changes)
        if check == "contract.side_effects":
            self._report_changes(report, check, self.import_changes)
        return self._plain(report, context, check, time.perf_counter() - started)

    def _report_changes(self, report, check: str, changes: list[str]) -> None:
        from verify.checks.context import Finding

        for change in changes:
            report.fail(Finding(change))

    def _refusal(self, context):
        """Not applicable when the subject refuses this dtype or implementation in words."""
        from verify.checks.context import Report
        from verify.checks.programs import first_trials
        from verify.oracle import LockStep, scalar_dtype
        from verify.program import Filling, Parameter, Step

        if context.device != "cpu" and not _device_present(self.torch, context.device):
            return Report(status="not-run", reason=f"there is no {context.device} device here")
        program = context.program(
            groups=(first_trials(context),),
            parameters=(Parameter((4,), 0, Filling(values=(1.0, -0.5, 2.0, 0.25, 1.5, -1.0, 0.5, 1.0))),),
            operations=(Step((Filling(values=(0.5, 1.0, -1.0, 2.0, 0.25, 1.0, -2.0, 1.0)),)),),
        )
        run = LockStep(self.loaded, program, judge="p", in_subject=self.in_subject)
        outcome = run.run()
        if context.implementation in ("differentiable", "capturable"):
            # their scalars are tensors by design
            context.scalars = scalar_dtype(run) or "float64"
        plain = context.dtype in ("float32", "float64") and context.implementation == "for-loop"
        if outcome.error and not plain:
            return Report(status="not-applicable", reason=f"the subject refuses: {outcome.error}")
        return None

    def _plain(self, report, context, check: str, seconds: float) -> dict[str, Any]:
        from verify.program import to_json
        from verify.script import script_for

        findings = []
        for finding in report.findings:
            program = script = None
            if finding.program is not None:
                program = to_json(finding.program)
                script = script_for(self.loaded, check, finding)
            findings.append({"message": finding.message, "program": program, "script": script})
        return {
            "check": check,
            "dtype": context.dtype,
            "device": context.device,
            "implementation": context.implementation,
            "status": report.status,
            "reason": report.reason,
            "worst_ratio": report.worst_ratio,
            "worst_quantity": report.worst_quantity,
            "not_verified": report.not_verified,
            "programs": report.programs,
            "element_steps": report.element_steps,
            "notes": report.notes,
            "seconds": seconds,
            "findings": findings,
            "split": vars(report.seconds),
            "speed": report.speed,
        }


def _device_present(torch, device: str) -> bool:
    kind = device.split(":")[0]
    module = getattr(torch, kind, None)
    return bool(module and getattr(module, "is_available", lambda: False)())
