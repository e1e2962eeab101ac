"""The worker process: imports the subject, runs cells, survives what it can.

The parent talks to it over a pipe. A worker is used for many cells, because importing torch costs more
than a cell; when it hangs, dies or grows without end, the parent replaces it.
"""

from __future__ import annotations

import contextlib
import inspect
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from functools import partial
from typing import Any

from verify.errors import UsageError, one_line
from verify.pool import failed


def serve(connection, shared, settings: dict[str, Any]) -> None:
    """Answer requests until the pipe closes.

    Args:
        connection: receives the fields of a cell; sends ``(kind, payload)``: "imported" with a
            description of the subject, "ready" once it could be built, "cell" with the result of a cell;
            "unusable" with a sentence for the user, "fault" with a traceback. "ready" says which of the
            capabilities that are declared lacking are there all the same.
        shared: one double in shared memory, the time at which the subject was given control (0: it
            has none); the parent's watchdog reads it.
        settings: subject, budget, seed, memory limit, expectations, database.
    """
    enclose()
    # whatever the subject does to pipes and processes, closing this one is for the end
    with contextlib.suppress(OSError):
        _answer(connection, shared, settings)


def _answer(connection, shared, settings: dict[str, Any]) -> None:
    doing = "importing"
    try:
        worker = Worker(shared, settings)
        connection.send(("imported", worker.description()))
        doing = "building"
        connection.send(("ready", worker.probe()))
    except UsageError as error:
        connection.send(("unusable", str(error)))
        return
    except MemoryError:
        connection.send(("unusable", f"{doing} the subject needs more memory than the limit allows"))
        return
    except Exception:
        connection.send(("fault", traceback.format_exc()))
        return
    except BaseException as error:
        # nobody pressed Ctrl-C here: SIGINT is ignored
        connection.send(("unusable", f"{doing} the subject failed with {one_line(error)}"))
        return
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        try:
            result = worker.cell(*request)
        except Exception as error:
            if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
                connection.send(("exhausted", "the subject left too little memory for the check itself"))
                return
            connection.send(("fault", (one_line(error), traceback.format_exc())))
        except BaseException as error:
            connection.send(("cell", failed(f"the subject raised {one_line(error)}")))
        else:
            connection.send(("cell", result))


def enclose() -> None:
    """Cut this process off from the terminal; it ends with its parent and takes its own children along."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):
        os.setpgid(0, 0)  # see pool.end
    silence()
    parent = multiprocessing.parent_process()
    if parent is not None:

        def wait() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=wait, daemon=True).start()


def silence() -> None:
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
        # the hard limit stays, so that this can be called again
        resource.setrlimit(resource.RLIMIT_DATA, (data + bytes_more, resource.getrlimit(resource.RLIMIT_DATA)[1]))


# exceptions by which an optimizer says that it does not support a dtype or an implementation
REFUSALS = ("RuntimeError", "NotImplementedError", "TypeError", "ValueError", "AssertionError")


class Worker:
    """A loaded subject and the checks, in one process."""

    def __init__(self, shared, settings: dict[str, Any]):
        import torch

        from verify.checks import all_checks
        from verify.isolation import Guard
        from verify.memory import open_database
        from verify.subject import load

        torch.set_num_threads(1)
        self.checks = all_checks()
        self.settings = settings
        self.shared = shared
        self.torch = torch
        self.editable: tuple[str, ...] = ()
        # by place: status and reason where nothing can be run, the precision of scalars, side effects
        self.refusals: dict[tuple[str, str, str], tuple[dict[str, str] | None, str, list[str]]] = {}
        self.database = open_database(settings.get("database", "none"))
        limit_memory(settings["memory"])
        with Guard() as guard:
            self.in_subject(True)
            self.loaded = load(settings["subject"])
            self.in_subject(False)
        self.import_changes = list(guard.changes)
        self.unfit = self._unfit()

    def _unfit(self) -> dict[int, str]:
        """Expectations whose programs this subject cannot run, and why."""
        from verify.program_json import from_json
        from verify.triggers import misfit

        found = {}
        for index, expectation in enumerate(self.settings.get("expectations", ())):
            if expectation.program is not None:
                why = misfit(from_json(expectation.program), self.loaded)
                if why:
                    found[index] = why
        return found

    def in_subject(self, inside: bool) -> None:
        self.shared.value = time.monotonic() if inside else 0.0

    def probe(self) -> list[str]:
        """Build the subject once, and see which hyperparameters live in its param groups.

        Returns:
            capabilities that the subject is declared to lack, and has.

        Raises:
            UsageError: the constructor refuses ordinary hyperparameters, or what it makes is no optimizer.
        """
        from verify.driver import SubjectRaised
        from verify.isolation import Guard
        from verify.oracle import LockStep
        from verify.program import Program

        loaded = self.loaded
        program = Program(dtype="float32", groups=(dict(loaded.rule.defaults),), parameters=())
        run = LockStep(loaded, program, in_subject=self.in_subject)
        run.tracks = []
        parameter = self.torch.zeros(loaded.small_shape, requires_grad=True)
        size = "two elements" if len(loaded.small_shape) == 1 else f"shape {loaded.small_shape}"
        with Guard():
            try:
                values = {k: v for k, v in run.values[0].items() if k not in loaded.fixed}
                optimizer = run.call(loaded.build, [{"params": [parameter]}], values, {}, "for-loop")
                step = run.call(getattr, optimizer, "step", None)
                groups = run.call(getattr, optimizer, "param_groups", None)
            except SubjectRaised as error:
                raise UsageError(
                    f"building {loaded.subject.title} for a parameter of {size} with {_shown(values)} failed with "
                    f"{error}; if it needs further arguments, give them as --arg NAME=VALUE"
                ) from None
        if not callable(step):
            raise UsageError(
                f"{loaded.subject.title} built {type(optimizer).__name__}, which has no step(): no optimizer"
            )
        group = groups[0] if isinstance(groups, list) and groups and isinstance(groups[0], dict) else {}
        self.editable = tuple(n for n, a in loaded.hyperparameters.items() if a.name in group)
        has = [name for name in loaded.subject.lacks if self._has(name, optimizer, run)]
        # importing and building may take memory of their own
        limit_memory(self.settings["memory"])
        return has

    def _has(self, capability: str, optimizer, run) -> bool:
        """Whether a capability is seen at a glance."""
        from verify.driver import SubjectRaised
        from verify.isolation import Guard

        def steps(parameter, gradient) -> None:
            values = {k: v for k, v in run.values[0].items() if k not in self.loaded.fixed}
            built = self.loaded.build([{"params": [parameter.requires_grad_(True)]}], values, {}, "for-loop")
            parameter.grad = gradient
            built.step()

        ones = self.torch.ones
        seen = {
            "state_dict": lambda: (optimizer.state_dict, optimizer.load_state_dict),
            "add_param_group": lambda: optimizer.add_param_group,
            "closure": lambda: inspect.signature(optimizer.step).bind(lambda: None),
            "pickle": lambda: pickle.loads(pickle.dumps(optimizer)),
            "complex": lambda: steps(ones(2, dtype=self.torch.complex64), ones(2, dtype=self.torch.complex64)),
            "sparse": lambda: steps(ones(2, 2), ones(2, 2).to_sparse()),
        }
        if capability not in seen:
            return False
        with Guard():
            try:
                run.call(seen[capability])
            except SubjectRaised:
                return False
        return True

    def description(self) -> dict[str, Any]:
        """What the parent plans with."""
        from importlib.metadata import version

        from verify.derived import derived
        from verify.location import location

        rule = self.loaded.rule
        capability = ""
        if self.torch.cuda.is_available():
            capability = self.torch.cuda.get_device_name(0)
        return {
            "rule": rule.name,
            "rule_title": rule.title,
            "rule_source": rule.source,
            "derivation": derived(rule),
            "location": location(self.loaded.factory),
            "implementations": self.loaded.implementations,
            "probes": self._probes(),
            "rule_known": getattr(rule, "known", True),
            "rule_kind": rule.kind,
            "rule_lacks": rule.lacks,
            "unfit": self.unfit,
            "checks": {
                id: {"dtypes": c.dtypes, "implementations": c.implementations, "needs": c.needs, "kind": c.kind}
                for id, c in self.checks.items()
            },
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

    def _probes(self) -> dict[tuple[str, str], dict[str, Any]]:
        """For every dtype and implementation, a small program to show when a cell has ended its process."""
        from verify.budgets import BUDGETS
        from verify.checks import ALL_DTYPES
        from verify.checks.context import Context, Finding
        from verify.program_json import to_json

        probes = {}
        for dtype in ALL_DTYPES:
            for implementation in self.loaded.implementations:
                context = Context(self.loaded, dtype, "cpu", implementation, BUDGETS["quick"], 0)
                program = _small_program(context)
                finding = Finding("the subject did not come back from this program", program, ended=True)
                script = self._script("isolation", finding)
                probes[dtype, implementation] = {"program": to_json(program), "script": script}
        return probes

    def _script(self, check: str, finding) -> str | None:
        """None where the subject has no name that a script could import."""
        from verify.script import script_for

        return script_for(self.loaded, check, finding) if isinstance(self.loaded.subject.target, str) else None

    def cell(self, check: str, dtype: str, device: str, implementation: str) -> dict[str, Any]:
        """Run one cell and return it as plain data."""
        from verify.checks.context import Report
        from verify.isolation import Guard, warm_compiler

        started = time.perf_counter()
        if implementation == "compiled":
            warm_compiler()
        context = self._context(check, dtype, device, implementation)
        report = Report()
        refused, before, broken = self._refusal(context)
        with Guard() as guard:
            try:
                if broken is None:
                    report = refused or self._run(check, context)
            except Exception as error:
                broken = error
        changes = guard.changes + before
        if check == "contract.side_effects":
            changes += self.import_changes
        if broken is not None and not changes:
            raise broken
        if report.status not in ("not-applicable", "not-run"):
            self._report_changes(report, changes)
            self._settle(report, context)
        return self._plain(report, context, check, time.perf_counter() - started)

    def _context(self, check: str, dtype: str, device: str, implementation: str):
        """What a check is given in one cell."""
        from verify.budgets import BUDGETS
        from verify.checks.context import Context
        from verify.expectations import cell_name
        from verify.known import Expected
        from verify.memory import Memory

        place = {"dtype": dtype, "device": device, "implementation": implementation}
        given = [
            (index, e)
            for index, e in enumerate(self.settings.get("expectations", ()))
            if index not in self.unfit and e.speaks_of(check, dtype, device, implementation)
        ]
        name = f"optim-verify {self.loaded.subject.slug} {check} {cell_name(dtype, device, implementation)}"
        return Context(
            self.loaded,
            dtype,
            device,
            implementation,
            BUDGETS[self.settings["budget"]],
            self.settings["seed"],
            self.editable,
            self.in_subject,
            expected=Expected.in_cell(given, self.loaded, place),
            memory=Memory(self.database, name.encode()),
            diagnoses=True,
        )

    def _run(self, check: str, context):
        """Run a check, and what is expected of it."""
        facts = self.checks[check]
        report = facts.run(context)
        if report.status in ("passed", "failed"):
            # a check that judges no programs has not run them
            context.expected.wake(partial(facts.judge, context) if facts.judge else context.run)
        return report

    def _settle(self, report, context) -> None:
        """The status of a cell in which failures are expected."""
        expected = context.expected
        report.findings = expected.settle(report.findings)
        there = [entry for entry in expected.entries if entry.finding is not None]
        if report.findings:
            report.status, report.reason = "failed", report.findings[0].message.splitlines()[0]
        elif there and report.status in ("passed", "failed"):
            report.status = "expected-failure"
            report.reason = "; ".join(dict.fromkeys(e.expectation.reason for e in there))
        if context.memory.fault:
            report.notes.append(context.memory.fault)

    def _report_changes(self, report, changes: list[str]) -> None:
        from verify.checks.context import Finding

        told = {finding.message for finding in report.findings}
        for change in dict.fromkeys(changes):
            if change not in told:
                report.fail(Finding(change))

    def _refusal(self, context):
        """Not applicable where the subject refuses in words; with its side effects, and what broke instead."""
        from verify.checks.context import Report
        from verify.isolation import Guard

        place = (context.dtype, context.device, context.implementation)
        if place not in self.refusals:
            with Guard() as guard:
                try:
                    found, scalars = self._find_refusal(context)
                except Exception as error:
                    return None, guard.changes, error
            self.refusals[place] = found, scalars, guard.changes
        found, context.scalars, changes = self.refusals[place]
        return (Report(**found) if found else None), changes, None

    def _find_refusal(self, context) -> tuple[dict[str, str] | None, str]:
        """Status and reason of cells here, if they cannot be run, and the precision of scalars."""
        from verify.oracle import LockStep, scalar_dtype

        if context.device != "cpu" and not device_present(self.torch, context.device):
            return {"status": "not-run", "reason": f"there is no {context.device} device here"}, "float64"
        if context.dtype.startswith("complex") and self.loaded.rule.dimensions is not None:
            reason = (
                f"rule {self.loaded.rule.name!r} is for real parameters of {self.loaded.rule.dimensions} dimensions"
            )
            return {"status": "not-applicable", "reason": reason}, "float64"
        program = _small_program(context)
        run = LockStep(self.loaded, program, judge="p", in_subject=self.in_subject)
        outcome = run.run()
        # in the dtype of the cell: what another one does to the process is the affair of other cells
        dtype = run.tracks[0].tensor.dtype if run.tracks else None
        if outcome.error and not self.loaded.sparse_alone and run.call(self.loaded.find_sparse_alone, dtype):
            return self._find_refusal(context)
        scalars = "float64"
        if context.implementation in ("differentiable", "capturable"):
            # their scalars are tensors by design
            scalars = scalar_dtype(run) or scalars
        outcome.error = outcome.error or outcome.refused
        plain = context.dtype in ("float32", "float64") and context.implementation == "for-loop"
        refused = outcome.error or ""
        # a package may have an exception of its own for it
        in_words = context.dtype.startswith("complex") and "complex" in refused.lower()
        refuses = in_words or refused.startswith(REFUSALS)
        if refuses and "can't allocate memory" not in refused and not plain:
            return {"status": "not-applicable", "reason": f"the subject refuses: {outcome.error}"}, scalars
        return None, scalars

    def _plain(self, report, context, check: str, seconds: float) -> dict[str, Any]:
        from verify.triggers import name_of

        entries = context.expected.entries
        judged = report.status in ("passed", "failed", "expected-failure")
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
            "curve": context.curve.points(),
            "bitwise": [sum(context.bitwise), len(context.bitwise)],
            "seconds": seconds,
            "as_expected": context.expected.as_expected,
            "unseparated": context.expected.unseparated,
            "findings": [self._plain_finding(check, f) for f in report.findings],
            "expected": [
                {
                    "expectation": e.index,
                    "triggers": sorted(map(name_of, e.triggers)),
                    **self._plain_finding(check, e.finding),
                }
                for e in entries
                if e.finding
            ],
            "stale": [e.index for e in entries if judged and e.finding is None and (e.passed or e.program is None)],
            "split": vars(report.seconds),
            "speed": report.speed,
            "performance": report.performance,
            "power": report.power,
        }

    def _plain_finding(self, check: str, finding) -> dict[str, Any]:
        from verify.program_json import to_json

        if finding.program is None:
            return {"message": finding.message, "program": None, "script": None}
        script = self._script(check, finding)
        return {"message": finding.message, "program": to_json(finding.program), "script": script}


def device_present(torch, device: str) -> bool:
    kind = device.split(":")[0]
    module = getattr(torch, kind, None)
    if not module or not getattr(module, "is_available", lambda: False)():
        return False
    _, colon, number = device.partition(":")
    return not colon or int(number) < module.device_count()


def _shown(values: dict[str, float]) -> str:
    return ", ".join(f"{name}={value:g}" for name, value in values.items()) or "its defaults"


def _small_program(context):
    """One ordinary step of four elements."""
    from verify.checks.programs import first_trials
    from verify.program import Filling, Parameter, Step

    return context.program(
        groups=(first_trials(context),),
        parameters=(Parameter((4,), 0, Filling(values=(1.0, -0.5, 2.0, 0.25, 1.5, -1.0, 0.5, 1.0))),),
        operations=(Step((Filling(values=(0.5, 1.0, -1.0, 2.0, 0.25, 1.0, -2.0, 1.0)),)),),
    )
