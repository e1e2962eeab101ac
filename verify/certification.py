"""Plan the cells of one subject, run them isolated, and collect the certificate."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verify import __version__, memory
from verify.certificate import (
    Cell,
    Certificate,
    ExpectedRecord,
    FindingRecord,
    StaleRecord,
    check_writable,
    write_json,
    write_text,
)
from verify.checks import ALL_DTYPES, CAPABILITIES, select
from verify.errors import UsageError, one_line
from verify.expectations import DEVICES, SHIPPED, Expectation, gather, kind
from verify.pool import Limits, Pool
from verify.subject import IMPLEMENTATIONS, Subject

REPLAY_VERSION = 1
# why a check of single steps is not applicable, by the kind of the rule
NO_STEPS = {
    "quasi_newton": "a step of it is no function of one gradient; whole calls are judged, by rule.direction and others"
}
UNFIT = "its program cannot be run"
# how long a cell takes beside others, roughly: long ones go first, so that no worker is left waiting at the end
WEIGHTS = {
    "performance": 10.0,
    "contract.compile": 9.0,
    "determinism.processes": 8.0,
    "rule.power": 9.0,
    "rule.mistakes": 9.0,
    "rule.step": 6.0,
    "precision.step": 6.0,
    "groups.hyperparameters": 6.0,
    "rule.state": 5.0,
    "precision.state": 4.0,
    "rule.counter": 4.0,
    "groups.edits": 4.0,
    "groups.late": 3.0,
    "state": 3.0,
    "determinism": 3.0,
    "parity": 2.0,
    "symmetry": 2.0,
    "groups": 2.0,
    "contract": 0.5,
}


@dataclass(frozen=True)
class Plan:
    """What to run. Empty selections mean everything that applies.

    Args:
        dtypes, devices, implementations: names of cells wanted.
        only, skip: check ids and globs; cells that are skipped are planned and counted.
        seed: chooses the programs; the same seed gives the same run.
        budget: quick, standard or thorough.
        jobs: worker processes.
        reports: folder for finding files, or None to write none.
        expect: failures that are expected, as ``ID[dtype-device-implementation]=reason``.
        expectations: a file of such (see :mod:`verify.expectations`); ``"none"`` expects nothing, not even what is
            shipped for torch's own optimizers.
        database: where failing programs are kept for the next run: a folder, ``module:NAME`` of a Hypothesis
            example database, or ``"none"``.
        cells: if given, only these (check, dtype, device, implementation).
    """

    dtypes: Sequence[str] = ()
    devices: Sequence[str] = ("cpu",)
    implementations: Sequence[str] = ()
    only: Sequence[str] = ()
    seed: int = 0
    budget: str = "standard"
    jobs: int = 0
    reports: Path | None = None
    skip: Sequence[str] = ()
    expect: Sequence[str] = ()
    expectations: Path | str | None = None
    database: str = "none"
    cells: Collection[tuple[str, str, str, str]] | None = None


@dataclass
class Events:
    """What the engine tells whoever shows a run; nothing in the engine prints."""

    started: Callable[[Certificate], None] = lambda certificate: None
    cell_done: Callable[[Cell], None] = lambda cell: None
    found: Callable[[FindingRecord], None] = lambda finding: None
    # with the result that Run.collect takes, as plain data
    collected: Callable[[Cell, dict[str, Any]], None] = lambda cell, result: None


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
    with Run(subject, plan or Plan(**choices), events) as run:
        run.all_cells()
    return run.certificate


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
    select(plan.skip)
    memory.check(plan.database)


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


class Run:
    """The certification of one subject: workers that are kept while cells are run, all or one by one.

    A context manager: entering it starts the workers and plans the cells, leaving it decides the verdict. On
    KeyboardInterrupt within :meth:`all_cells` the cells that are left stay not-run and ``interrupted`` is set.

    Args:
        subject, plan, events: see :func:`certify`.

    Raises:
        UsageError: the subject or the plan cannot be used.
    """

    def __init__(self, subject: Subject, plan: Plan, events: Events | None = None):
        from verify.budgets import BUDGETS

        self.checks = select(plan.only)
        _validate(plan)
        subject = subject.by_name()
        check_sendable(subject)
        _known("capability", subject.lacks, CAPABILITIES)
        file = None if plan.expectations is None else Path(plan.expectations)
        self.subject, self.plan, self.events = subject, plan, events or Events()
        self.expectations: tuple[Expectation, ...] = gather(subject.title, plan.expect, file)
        self.certificate = Certificate(subject.title, subject.rule or "")
        self.probes: dict[tuple[str, str], dict[str, Any]] = {}
        # expectations by index: whose failure was there, whose program passed
        self.there: set[int] = set()
        self.gone: set[int] = set()
        self.split = {"subject": 0.0, "reference": 0.0, "generation": 0.0}
        if plan.reports is not None:
            check_writable(plan.reports / subject.slug, "--reports", folder=True)
        settings = {
            "subject": subject,
            "budget": plan.budget,
            "seed": plan.seed,
            "expectations": self.expectations,
            "database": plan.database,
        }
        budget = BUDGETS[plan.budget]
        self.pool = Pool(settings, plan.jobs or os.cpu_count() or 1, Limits(budget.cell_seconds, budget.call_seconds))
        self._describe_run({})

    def __enter__(self) -> Run:
        self.started = time.perf_counter()
        try:
            description = self.pool.start()
            self._describe(description)
            self._note_stale_without_run(description)
        except KeyboardInterrupt:
            self._interrupt()
            return self
        except BaseException:
            self.pool.stop()
            raise
        self.events.started(self.certificate)
        for cell in self.certificate.cells:
            if cell.status != "not-run":
                self.events.cell_done(cell)
        return self

    def __exit__(self, *exception: object) -> None:
        self.pool.stop()
        self._note_stale()
        memory.hide(self.plan.database)
        self.certificate.seconds = {**self.split, "total": time.perf_counter() - self.started}
        self.certificate.decide()

    def all_cells(self) -> None:
        """Run every cell, long ones first."""
        cells = [c for c in self.certificate.cells if c.status == "not-run"]
        self.cells(sorted(cells, key=lambda cell: -_weight(cell)))

    def cells(self, cells: Sequence[Cell]) -> None:
        """Run some of the certificate's cells."""
        if self.certificate.interrupted:
            return
        try:
            for at, result in self.pool.run([cell.key for cell in cells]):
                self.collect(cells[at], result)
                self.events.collected(cells[at], result)
        except KeyboardInterrupt:
            self._interrupt()

    def _interrupt(self) -> None:
        self.certificate.interrupted = True
        for cell in self.certificate.cells:
            if cell.status == "not-run" and not cell.reason:
                cell.reason = "interrupted"

    def _describe(self, description: dict[str, Any]) -> None:
        certificate, plan = self.certificate, self.plan
        certificate.rule = description["rule"]
        certificate.rule_title = description["rule_title"]
        certificate.rule_source = description["rule_source"]
        certificate.derivation = description["derivation"]
        certificate.location = description["location"]
        self._describe_run(description["environment"])
        self.probes = description["probes"]
        offered = description["implementations"]
        wanted = list(plan.implementations) or list(offered)
        planned = [
            Cell(check, dtype, device, implementation)
            for device in dict.fromkeys(plan.devices)
            for implementation in dict.fromkeys(wanted)
            for dtype in dict.fromkeys(plan.dtypes or ALL_DTYPES)
            for check in self.checks
            if _speaks(description["checks"][check], dtype, implementation)
            and description["checks"][check]["kind"] in ("", description["rule_kind"])
        ]
        certificate.cells += [c for c in planned if plan.cells is None or c.key in plan.cells]
        if not certificate.cells:
            raise UsageError(
                "no cell is left: the checks asked for do not speak of the dtypes or implementations asked for, or of "
                f"rule {certificate.rule!r}"
            )
        skipped = {id: pattern for pattern in plan.skip for id in select([pattern])}
        lacks = self._lacks(description)
        for cell in certificate.cells:
            needs = _needs(description["checks"][cell.check], cell)
            missing = next((name for name in needs if name in lacks), None)
            if cell.implementation not in (*offered, "compiled"):
                cell.status = "not-applicable"
                cell.reason = f"the constructor has no argument {cell.implementation!r}"
            elif cell.check in skipped:
                cell.status, cell.reason = "skipped", f"--skip {skipped[cell.check]}"
            elif "rule" in needs and not description["rule_known"]:
                cell.status, cell.reason = "not-applicable", NO_STEPS.get(description["rule_kind"], "no rule is given")
            elif missing:
                own = missing in description["rule_lacks"] and missing not in self.subject.lacks
                who = f"rule {description['rule']} does without" if own else "declared: it lacks"
                cell.status, cell.reason = "not-applicable", f"{who} {missing!r}"

    def _lacks(self, description: dict[str, Any]) -> set[str]:
        """Capabilities that are declared lacking, but for those that are there all the same."""
        has = [name for name in self.subject.lacks if name in description.get("has", ())]
        self.certificate.notes += [
            f"declared to lack {name!r}, which it has: cells that need it are run" for name in has
        ]
        return set(self.subject.lacks) - set(has) | set(description["rule_lacks"])

    def _note_stale_without_run(self, description: dict[str, Any]) -> None:
        """Expectations that cannot come true: their program does not fit, or their check has no such cell."""
        for index, e in enumerate(self.expectations):
            facts = description["checks"][e.check]
            devices = {*DEVICES, *self.plan.devices, *(p for p in e.cell.split("-") if ":" in p)}
            speaks = any(
                e.speaks_of(e.check, dtype, device, implementation)
                for dtype in ALL_DTYPES
                for implementation in IMPLEMENTATIONS
                for device in devices
                if _speaks(facts, dtype, implementation)
            )
            if not speaks:
                places = ", ".join(facts["dtypes"]) + (
                    f" on {', '.join(facts['implementations'])}" if facts["implementations"] else ""
                )
                raise UsageError(f"{e.origin}: there is no cell {e.name}; {e.check} speaks of {places}")
            if index in description["unfit"] and e.origin != SHIPPED:
                self._stale(e, f"{UNFIT}: {description['unfit'][index]}")

    def _note_stale(self) -> None:
        for index in sorted(self.gone - self.there):
            e = self.expectations[index]
            if e.flaky:
                continue
            self._stale(e, "no longer fails" if e.program else "nothing fails there")

    def _stale(self, e: Expectation, why: str) -> None:
        self.certificate.stale.append(StaleRecord(e.check, e.cell, e.reason, e.issue, e.message, e.origin, why))

    def _describe_run(self, environment: dict[str, Any]) -> None:
        plan = self.plan
        self.certificate.environment = {
            "optim-verify": __version__,
            **environment,
            "seed": plan.seed,
            "budget": plan.budget,
            "devices": list(plan.devices),
        }

    def collect(self, cell: Cell, result: dict[str, Any]) -> None:
        """Take the result of a cell, as a worker has sent it or a journal kept it."""
        for name in (
            "status",
            "reason",
            "worst_ratio",
            "worst_quantity",
            "not_verified",
            "programs",
            "element_steps",
            "notes",
            "curve",
            "bitwise",
            "seconds",
            "as_expected",
            "unseparated",
        ):
            if name in result:
                setattr(cell, name, result[name])
        for name, value in result.get("split", {}).items():
            self.split[name] += value
        if "fault" in result:
            self.certificate.faults.append(result["fault"])
        if result.get("speed"):
            self.certificate.speed = result["speed"]
        if result.get("performance"):
            self.certificate.performance[f"{cell.device}/{cell.implementation}"] = result["performance"]
        if result.get("power"):
            self.certificate.power = result["power"]
        findings, expected = result["findings"], result.get("expected", [])
        if "check" not in result and cell.status == "failed":
            # the process that could tell more has ended
            findings = [{**f, **self.probes.get((cell.dtype, cell.implementation), {})} for f in findings]
            findings, expected = self._end_expected(cell, findings)
        for found in findings:
            record = FindingRecord(*cell.key, found["message"], found["program"])
            self._write_files(record, found)
            self.certificate.findings.append(record)
            self.events.found(record)
        for found in expected:
            self._expected(cell, found)
        self.there |= {found["expectation"] for found in expected}
        self.gone |= set(result.get("stale", ()))
        self.events.cell_done(cell)

    def _end_expected(self, cell: Cell, findings: list[dict[str, Any]]) -> tuple[list, list]:
        """Findings that are expected, of a cell that cost its process."""
        for index, e in enumerate(self.expectations):
            open_ended = e.program is None and not e.message
            told = any(open_ended or kind(e.message) == kind(f["message"]) for f in findings)
            if told and e.speaks_of(*cell.key):
                cell.status, cell.reason = "expected-failure", e.reason
                return [], [{**f, "expectation": index} for f in findings]
        return findings, []

    def _expected(self, cell: Cell, found: dict[str, Any]) -> None:
        e = self.expectations[found["expectation"]]
        record = ExpectedRecord(
            *cell.key,
            e.message or found["message"],
            found["program"],
            cell=e.cell,
            reason=e.reason,
            issue=e.issue,
            origin=e.origin,
            stored=e.program is not None or bool(e.message),
            triggers=found.get("triggers", []),
        )
        self._write_files(record, found)
        self.certificate.expected.append(record)

    def _write_files(self, record: FindingRecord, found: dict[str, Any]) -> None:
        if self.plan.reports is not None and found["script"] is not None:
            self._write_finding(record, found["script"])

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


def check_sendable(subject: Subject) -> None:
    """UsageError for a subject that cannot go to another process."""
    try:
        pickle.dumps(subject)
    except Exception as error:
        raise UsageError(
            f"{subject.title} cannot be sent to a worker process ({one_line(error)}); "
            "give 'module:attribute' or 'path/to/file.py:Class' as the target"
        ) from None


def _speaks(facts: dict[str, Any], dtype: str, implementation: str) -> bool:
    """Whether a check speaks of a dtype and an implementation."""
    return dtype in facts["dtypes"] and (not facts["implementations"] or implementation in facts["implementations"])


def _needs(facts: dict[str, Any], cell: Cell) -> list[str]:
    """What a cell needs of its subject."""
    dtype = ["complex"] if cell.dtype.startswith("complex") else []
    return [*facts["needs"], *dtype, *(["compile"] if cell.implementation == "compiled" else [])]


def _weight(cell: Cell) -> float:
    return WEIGHTS.get(cell.check, WEIGHTS.get(cell.check.partition(".")[0], 1.0))


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
