"""Checks as tests: for pytest, and in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from verify.certificate import Cell, Certificate
from verify.certification import Plan, Run, certify
from verify.report.terminal import finding_lines, whole
from verify.report.told import findings_by_cell
from verify.subject import Subject


class CheckFailed(AssertionError):
    """A check of an optimizer failed; the message says what is wrong, as the command line does."""


class NotCertified(AssertionError):
    """An optimizer is not certified; the message is the whole report, ``certificate`` its data."""

    def __init__(self, certificate: Certificate):
        super().__init__("\n".join(["", *whole(certificate)]))
        self.certificate = certificate


def check_optimizer(
    factory: Subject | str | Callable[..., Any], rule: str | None = None, **choices: Any
) -> Certificate:
    """Certify an optimizer in a test or a notebook.

    Args:
        factory: a class, a function that builds the optimizer of its parameters, a name, or a Subject.
        rule: name of the rule that it claims; torch's own classes know theirs.
        choices: fields of :class:`verify.Plan`, such as ``budget="quick"`` or ``dtypes=["float32"]``.

    Returns:
        the certificate.

    Raises:
        NotCertified: it is not certified, or cells were not run.
        UsageError: the subject or the plan cannot be used.
    """
    subject = factory if isinstance(factory, Subject) else Subject(factory, rule)
    certificate = certify(subject, **choices)
    if certificate.interrupted:
        raise KeyboardInterrupt
    if certificate.verdict != "certified":
        raise NotCertified(certificate)
    return certificate


@dataclass(frozen=True)
class _Wanted:
    subjects: tuple[Subject, ...]
    plan: Plan


def parametrize_with_checks(subjects: Iterable[Subject | str | Callable[..., Any]], **choices: Any) -> Callable:
    """Make one pytest item of each check, dtype, device and implementation of each subject.

    The test that is decorated has an argument ``check``, which runs one of them when it is called::

        @verify.parametrize_with_checks(["torch.optim.Adam", verify.Subject("mine.py:Mine", "sgd")])
        def test_optimizer(check):
            check()

    Args:
        subjects: names, classes, functions that build an optimizer, or Subjects.
        choices: fields of :class:`verify.Plan`, such as ``budget="quick"`` or ``dtypes=["float32"]``.
    """
    found = tuple(s if isinstance(s, Subject) else Subject(s) for s in subjects)
    wanted = _Wanted(found, replace(Plan(**choices), jobs=1))

    def mark(test: Callable) -> Callable:
        test.optim_verify = wanted  # type: ignore[attr-defined]
        return test

    return mark


class Check:
    """One cell of a run; calling it runs it. Raises CheckFailed, or skips as pytest does."""

    def __init__(self, run: Run, cell: Cell):
        self.run, self.cell = run, cell
        name = run.subject.title.rpartition(":")[2].rpartition(".")[2]
        self.id = f"{cell.check}[{name}-{cell.dtype}-{cell.device}-{cell.implementation}]"

    def __repr__(self) -> str:
        return self.id

    def __call__(self) -> None:
        import pytest

        __tracebackhide__ = True
        cell = self.cell
        if cell.status == "not-run" and not cell.reason:
            self.run.cells([cell])
        if self.run.certificate.interrupted:
            raise KeyboardInterrupt
        if cell.status == "expected-failure":
            pytest.xfail(cell.reason)
        if cell.status in ("not-applicable", "skipped"):
            pytest.skip(cell.reason)
        if cell.status == "not-run":
            raise CheckFailed(f"{self.id} was not run: {cell.reason}")
        if cell.status == "failed":
            found = findings_by_cell(self.run.certificate).get(cell.key, [])
            lines = [line for finding in found for line in finding_lines(finding)]
            raise CheckFailed("\n".join(lines) or cell.reason)


class Runs:
    """The runs of one pytest session: each keeps its worker until the session ends."""

    def __init__(self) -> None:
        self.open: list[tuple[Subject, Plan, Run]] = []

    def checks(self, subject: Subject, plan: Plan) -> list[Check]:
        """Every cell of a subject, in the order of its certificate.

        Raises:
            UsageError: the subject or the plan cannot be used.
        """
        run = next((r for s, p, r in self.open if s == subject and p == plan), None)
        if run is None:
            run = Run(subject, plan).__enter__()
            self.open.append((subject, plan, run))
        return [Check(run, cell) for cell in run.certificate.cells]

    def close(self) -> None:
        """End all workers."""
        for _, _, run in self.open:
            run.__exit__()
        self.open.clear()
