"""Plan the cells of one subject, run them isolated, and collect the certificate."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from verify import __version__
from verify.certificate import Cell, Certificate, FindingRecord, check_writable, write_json, write_text
from verify.checks import ALL_DTYPES, select
from verify.errors import UsageError
from verify.pool import Limits, Pool
from verify.subject import IMPLEMENTATIONS, Subject

REPLAY_VERSION = 1
DEVICES = ("cpu", "cuda", "mps", "xpu", "hpu")


@dataclass(frozen=True)
class Plan:
    """What to run. Empty selections mean everything that applies.

    Args:
        dtypes, devices, implementations: names of cells wanted.
        only: check ids and globs.
        seed: chooses the programs; the same seed gives the same run.
        budget: quick, standard or thorough.
        jobs: worker processes.
        reports: folder for finding files, or None to write none.
    """

    dtypes: Sequence[str] = ()
    devices: Sequence[str] = ("cpu",)
    implementations: Sequence[str] = ()
    only: Sequence[str] = ()
    seed: int = 0
    budget: str = "standard"
    jobs: int = 0
    reports: Path | None = None


@dataclass
class Events:
    """What the engine tells whoever shows a run; nothing in the engine prints."""

    started: Callable[[Certificate], None] = lambda certificate: None
    cell_done: Callable[[Cell], None] = lambda cell: None
    found: Callable[[FindingRecord], None] = lambda finding: None


def certify(subject: Subject | str, plan: Plan | None = None, events: Events | None = None, **choices) -> Certificate:
    """Certify an optimizer against its rule.

    Args:
        subject: a :class:`verify.Subject`, or its target with ``rule=`` among the choices.
        plan: what to run; or give its fields as keyword arguments.
        events: told about progress.

    Returns:
        the certificate, with its verdict decided. On KeyboardInterrupt what was done is returned with
        ``interrupted`` set.

    Raises:
        UsageError: the subject or the plan cannot be used.
    """
    if not isinstance(subject, Subject):
        subject = Subject(subject, rule=choices.pop("rule", None))
    plan = plan or Plan(**choices)
    events = events or Events()
    checks = select(plan.only)
    _validate(plan)
    return _Run(subject, plan, events, checks).go()


def _validate(plan: Plan) -> None:
    from verify.budgets import BUDGETS

    _known("dtype", plan.dtypes, ALL_DTYPES)
    _known("implementation", plan.implementations, IMPLEMENTATIONS)
    for device in plan.devices:
        check_device(device)
    _known("budget", [plan.budget], tuple(BUDGETS))
    if plan.jobs < 0:
        raise UsageError(f"--jobs must be at least 1, not {plan.jobs}")
    if plan.seed < 0:
        raise UsageError(f"--seed must be 0 or more, not {plan.seed}")


def check_device(device: str) -> None:
    """UsageError for what cannot be the name of a device, present or not."""
    kind, colon, number = device.partition(":")
    _known("device", [kind if kind in DEVICES else device], DEVICES)
    if colon and not (number.isdecimal() and len(number) < 4):
        raise UsageError(f"no device is called {device!r}; write {kind}, or {kind}:0 for the first one")


def _known(what: str, names: Iterable[str], known: Sequence[str]) -> None:
    import difflib

    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
            raise UsageError(f"no {what} is called {name!r}{hint}")


@dataclass
class _Run:
    subject: Subject
    plan: Plan
    events: Events
    checks: list[str]
    certificate: Certificate = field(init=False)
    probes: dict[tuple[str, str], dict[str, Any]] = field(init=False, default_factory=dict)

    def go(self) -> Certificate:
        from verify.budgets import BUDGETS

        started = time.perf_counter()
        if not isinstance(self.subject.target, str):
            raise UsageError(
                "certify runs the subject in worker processes and needs a name it can import there; "
                "give 'module:attribute' or 'path/to/file.py:Class' as the target"
            )
        if self.plan.reports is not None:
            check_writable(self.plan.reports / self.subject.slug, "--reports", folder=True)
        budget = BUDGETS[self.plan.budget]
        settings = {"subject": self.subject, "budget": self.plan.budget, "seed": self.plan.seed}
        jobs = self.plan.jobs or os.cpu_count() or 1
        pool = Pool(settings, jobs, Limits(budget.cell_seconds, budget.call_seconds))
        self.certificate = Certificate(self.subject.title, self.subject.rule or "")
        self._describe_run({})
        split = {"subject": 0.0, "reference": 0.0, "generation": 0.0}
        try:
            description = pool.start()
            self._describe(description)
            self.events.started(self.certificate)
            cells = self.certificate.cells
            order = sorted(
                (i for i, c in enumerate(cells) if c.status == "not-run"),
                key=lambda i: cells[i].check == "rule.counter",
            )
            for cell in cells:
                if cell.status != "not-run":
                    self.events.cell_done(cell)
            for at, result in pool.run([cells[i].key for i in order]):
                self._collect(cells[order[at]], result, split)
        except KeyboardInterrupt:
            self.certificate.interrupted = True
            for cell in self.certificate.cells:
                if cell.status == "not-run" and not cell.reason:
                    cell.reason = "interrupted"
        finally:
            pool.stop()
        self.certificate.seconds = {**split, "total": time.perf_counter() - started}
        self.certificate.decide()
        return self.certificate

    def _describe(self, description: dict[str, Any]) -> None:
        certificate, plan = self.certificate, self.plan
        certificate.rule = description["rule"]
        certificate.rule_title = description["rule_title"]
        certificate.rule_source = description["rule_source"]
        self._describe_run(description["environment"])
        self.probes = description["probes"]
        offered = description["implementations"]
        wanted = list(plan.implementations) or list(offered)
        for device in dict.fromkeys(plan.devices):
            for implementation in dict.fromkeys(wanted):
                for dtype in dict.fromkeys(plan.dtypes or ALL_DTYPES):
                    for check in self.checks:
                        facts = description["checks"][check]
                        if dtype not in facts["dtypes"]:
                            continue
                        if facts["implementations"] and implementation not in facts["implementations"]:
                            continue
                        cell = Cell(check, dtype, device, implementation)
                        if implementation not in (*offered, "compiled"):
                            cell.status = "not-applicable"
                            cell.reason = f"the constructor has no argument {implementation!r}"
                        certificate.cells.append(cell)
        if not certificate.cells:
            raise UsageError(
                "no cell is left: the checks asked for do not speak of the dtypes or implementations asked for"
            )

    def _describe_run(self, environment: dict[str, Any]) -> None:
        plan = self.plan
        self.certificate.environment = {
            "optim-verify": __version__,
            **environment,
            "seed": plan.seed,
            "budget": plan.budget,
            "devices": list(plan.devices),
        }

    def _collect(self, cell: Cell, result: dict[str, Any], split: dict[str, float]) -> None:
        for name in (
            "status",
            "reason",
            "worst_ratio",
            "worst_quantity",
            "not_verified",
            "programs",
            "element_steps",
            "notes",
            "seconds",
        ):
            if name in result:
                setattr(cell, name, result[name])
        for name, value in result.get("split", {}).items():
            split[name] += value
        if "fault" in result:
            self.certificate.faults.append(result["fault"])
        if result.get("speed"):
            self.certificate.speed = result["speed"]
        for found in result["findings"]:
            if "check" not in result:
                # the process that could tell more has ended
                found = {**found, **self.probes.get((cell.dtype, cell.implementation), {})}
            record = FindingRecord(
                cell.check, cell.dtype, cell.device, cell.implementation, found["message"], found["program"]
            )
            if self.plan.reports is not None and found["program"] is not None:
                self._write_finding(record, found["script"])
            self.certificate.findings.append(record)
            self.events.found(record)
        self.events.cell_done(cell)

    def _write_finding(self, record: FindingRecord, script: str) -> None:
        assert self.plan.reports is not None
        text = json.dumps([record.program, record.implementation, record.dtype], sort_keys=True)
        name = f"{record.check}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"
        folder = self.plan.reports / self.subject.slug
        data = replay_data(self.subject, self.certificate.rule, record)
        if _is_json(data["arguments"]):
            write_json(folder / f"{name}.json", data)
            record.replay = str(folder / f"{name}.json")
        write_text(folder / f"{name}.py", script)
        record.script = str(folder / f"{name}.py")


def replay_data(subject: Subject, rule: str, record: FindingRecord) -> dict[str, Any]:
    """The content of a replay file."""
    return {
        "schema": "optim-verify-replay",
        "version": REPLAY_VERSION,
        "subject": subject.target,
        "rule": subject.rule or rule,
        "arguments": dict(subject.arguments),
        "names": dict(subject.names),
        "state_keys": dict(subject.state_keys),
        "low_precision_state": list(subject.low_precision_state),
        "check": record.check,
        "message": record.message,
        "program": record.program,
    }


def _is_json(arguments: Any) -> bool:
    """Whether constructor arguments can be kept in a replay file: numbers, text, lists and the like can."""
    try:
        json.dumps(arguments, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
