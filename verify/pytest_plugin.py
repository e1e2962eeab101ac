"""The pytest plugin: one item for each cell, by ``pytest --optim-verify=TARGET`` or ``parametrize_with_checks``.

It is registered with pytest when optim-verify is installed, and does nothing until it is asked: nothing else of
this package is imported before.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from verify.testing import Runs

OPTIONS = {
    "rule": "the rule that they claim",
    "dtype": "dtypes to run",
    "device": "devices to run on (default: cpu)",
    "impl": "implementations to run",
    "only": "check ids or globs to run",
    "skip": "check ids or globs to skip",
    "expect": "ID[CELL]=REASON, one failure that is expected",
    "expectations": "a file of expected failures",
    "budget": "quick, standard (default) or thorough",
    "seed": "chooses the programs",
    "reports": "folder for findings",
}
ONCE = ("rule", "expectations", "budget", "seed", "reports")
_runs = pytest.StashKey["Runs"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup(
        "optim-verify", "certify optimizers, one item for each check, dtype, device, implementation"
    )
    text = "certify an optimizer: module.Class or path/to/file.py:Class (may be repeated). Without paths, nothing else is run"
    group.addoption("--optim-verify", action="append", default=[], metavar="TARGET", help=text)
    for name, what in OPTIONS.items():
        several: dict[str, Any] = {} if name in ONCE else {"action": "append", "default": []}
        group.addoption(f"--optim-verify-{name}", metavar=name.upper(), help=what, **several)


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """With targets and without paths on the command line, the project's own tests are left alone."""
    alone = config.option.optim_verify and config.args_source is not pytest.Config.ArgsSource.ARGS
    return True if alone else None


@pytest.hookimpl(tryfirst=True)  # so that -k and its like choose among our items, too
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    for target in config.option.optim_verify:
        collector = _Target.from_parent(session, name=target, nodeid=target)
        items.extend(session.genitems(collector))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    wanted = getattr(metafunc.function, "optim_verify", None)
    if wanted is None:
        return
    checks = [check for subject in wanted.subjects for check in _all(metafunc.config).checks(subject, wanted.plan)]
    metafunc.parametrize("check", [pytest.param(check, id=check.id) for check in checks])


def pytest_unconfigure(config: pytest.Config) -> None:
    runs = config.stash.get(_runs, None)
    if runs is not None:
        runs.close()


def _all(config: pytest.Config) -> Runs:
    from verify.testing import Runs

    return config.stash.setdefault(_runs, Runs())


class _Target(pytest.Collector):
    """One optimizer that the command line names."""

    def collect(self):
        from verify.errors import UsageError
        from verify.subject import Subject

        try:
            subject = Subject(self.name, self.config.option.optim_verify_rule)
            checks = _all(self.config).checks(subject, _plan(self.config.option))
        except UsageError as error:
            raise self.CollectError(str(error)) from None
        for check in checks:
            yield _Item.from_parent(self, name=check.id, nodeid=f"{self.nodeid}::{check.id}", check=check)


class _Item(pytest.Item):
    """One cell."""

    def __init__(self, *, check, **kwargs: Any):
        super().__init__(**kwargs)
        self.check = check

    def runtest(self) -> None:
        self.check()
        ratio = self.check.cell.worst_ratio
        if ratio is not None:
            self.user_properties.append(("worst_ratio", ratio))

    def repr_failure(self, excinfo, style=None):
        from verify.testing import CheckFailed

        return str(excinfo.value) if isinstance(excinfo.value, CheckFailed) else super().repr_failure(excinfo, style)

    def reportinfo(self):
        # pytest would write the dots of a name that is all of this as "::"
        return (
            self.config.rootpath / self.check.run.subject.title,
            None,
            f"{self.name} of {self.check.run.subject.title}",
        )


def _plan(option: Any):
    from verify.certification import Plan
    from verify.errors import UsageError

    def given(name: str) -> Any:
        return getattr(option, f"optim_verify_{name}")

    seed = given("seed") or "0"
    if not seed.isdecimal():
        raise UsageError(f"--optim-verify-seed wants a whole number, not {seed!r}")
    return Plan(
        dtypes=given("dtype"),
        devices=given("device") or ("cpu",),
        implementations=given("impl"),
        only=given("only"),
        skip=given("skip"),
        expect=given("expect"),
        expectations=given("expectations"),
        budget=given("budget") or "standard",
        seed=int(seed),
        reports=Path(given("reports")) if given("reports") else None,
        jobs=1,
    )
