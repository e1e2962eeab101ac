"""What has changed since the baseline, and why that matters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from verify.certificate import Certificate
from verify.gate.baseline import VERDICTS, Entry, Known, entry
from verify.gate.required import absent_device
from verify.gate.settings import Settings
from verify.report.told import cell_name

# from worst to least; what comes from "better" on is no reason to fail
KINDS = ("verdict", "new subject", "failed", "gone", "bitwise", "margin", "slower", "better", "said")


@dataclass(frozen=True)
class Change:
    """One difference: its kind, where, what, and why it matters.

    Args:
        weight: of two of a kind the one that weighs more is told first.
    """

    kind: str
    subject: str
    text: str
    why: str = ""
    weight: float = 0.0

    @property
    def fails(self) -> bool:
        return KINDS.index(self.kind) < KINDS.index("better")


def compare(baseline: Mapping[str, Entry], certificates: Sequence[Certificate], settings: Settings) -> list[Change]:
    """All changes, the worst first."""
    changes = [change for c in certificates for change in _of_subject(baseline.get(c.subject), c, settings)]
    here = {c.subject for c in certificates}
    for name in baseline.keys() - here:
        changes.append(
            Change("gone", name, "it is in the baseline, and no longer among the subjects", "nothing checks it now")
        )
    return sorted(changes, key=lambda c: (KINDS.index(c.kind), -c.weight, c.subject, c.text))


def _of_subject(old: Entry | None, certificate: Certificate, settings: Settings) -> Iterator[Change]:
    subject, new = certificate.subject, entry(certificate)
    if old is None:
        if certificate.verdict == "certified":
            yield Change("said", subject, "it is new, and certified", "gate --update takes it into the baseline")
        else:
            yield Change(
                "new subject", subject, f"it is new, and {certificate.verdict}", "what is new must be certified"
            )
        return
    differing = [
        k for k in ("torch", "cpu", "cuda", "budget", "seed") if old.environment.get(k) != new.environment.get(k)
    ]
    for name in differing:
        yield Change(
            "said",
            subject,
            f"{name} is {new.environment[name] or 'none'!s}, in the baseline it was {old.environment.get(name) or 'none'}",
            "numbers may differ for that alone",
        )
    if VERDICTS.index(new.verdict) > VERDICTS.index(old.verdict) and not _only_absent(certificate):
        yield Change(
            "verdict", subject, f"it is {new.verdict}, and was {old.verdict}", "it no longer does what it claims"
        )
    elif VERDICTS.index(new.verdict) < VERDICTS.index(old.verdict):
        yield Change("better", subject, f"it is {new.verdict}, and was {old.verdict}", "gate --update keeps it so")
    messages = {cell_name(f): f.message.splitlines()[0] for f in reversed(certificate.findings) if f.message}
    absent = {cell_name(c) for c in certificate.cells if absent_device(c)}
    for name, before in old.cells.items():
        yield from _of_cell(
            subject, name, before, new.cells.get(name), messages.get(name, ""), name in absent, settings
        )
    for name in new.cells.keys() - old.cells.keys():
        if new.cells[name].status == "failed":
            text = f"{name} is new, and failed: {messages.get(name, '')}"
            yield Change("failed", subject, text, "it shows a mistake that no cell of the baseline looked for")
    for place, before_time in old.times.items():
        now = new.times.get(place)
        if now is not None and before_time > 0 and now > before_time * (1 + settings.slower):
            yield Change(
                "slower",
                subject,
                f"{place}: a step takes {now:.2f} times that of torch's own, and took {before_time:.2f} times",
                f"more than {settings.slower:.0%} slower, beside the same torch step in the same run",
                now / before_time,
            )


def _of_cell(
    subject: str, name: str, before: Known, now: Known | None, message: str, absent: bool, settings: Settings
) -> Iterator[Change]:
    ran = ("passed", "failed", "expected-failure")
    if absent:
        if before.status in ran:
            yield Change(
                "said", subject, f"{name} was not run: its device is not here", "--require makes that incomplete"
            )
        return
    if before.status in ran and (now is None or now.status not in ran):
        what = "is not planned any more" if now is None else f"is {now.status}"
        yield Change("gone", subject, f"{name} {what}, and was {before.status}", "nothing looks there now")
        return
    if now is None:
        return
    if now.status == "failed" and before.status != "failed":
        yield Change(
            "failed", subject, f"{name} failed, and was {before.status}: {message}", "a claim that held is refuted"
        )
    if now.status == "passed" and before.status == "failed":
        yield Change("better", subject, f"{name} passed, and had failed", "gate --update keeps it so")
    if before.bitwise and now.bitwise is False:
        text = f"{name} is no longer equal bit for bit to the for-loop"
        yield Change("bitwise", subject, text, "results differ with the implementation that is chosen")
    if before.ratio is not None and now.ratio is not None and now.ratio > settings.margin * before.ratio:
        grown = now.ratio / before.ratio if before.ratio else float("inf")
        yield Change(
            "margin",
            subject,
            f"{name}: the worst ratio of error to allowance is {now.ratio:.3g}, and was {before.ratio:.3g}",
            f"more than {settings.margin:g} times: something computes less exactly than it did",
            grown,
        )


def _only_absent(certificate: Certificate) -> bool:
    """Whether a verdict is incomplete for want of devices alone."""
    left = [c for c in certificate.cells if c.status == "not-run"]
    return certificate.verdict == "incomplete" and bool(left) and all(absent_device(c) for c in left)


def lines(changes: Sequence[Change]) -> list[str]:
    """The changes as text, the worst first."""
    told = []
    for change in changes:
        mark = "✗" if change.fails else " "
        told += [f"{mark} {change.kind:<11} {change.subject}: {change.text}", f"{'':<14}{change.why}"]
    return told
