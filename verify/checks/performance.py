"""Family ``performance``: what a step costs. Reported; it never fails."""

from __future__ import annotations

import time

import torch

from verify.checks import check
from verify.checks.context import Context, Report
from verify.checks.programs import first_trials
from verify.errors import one_line
from verify.lanes import DTYPES, fill
from verify.program import Filling
from verify.shaped import fitting
from verify.sparse import in_form
from verify.subject import SUBJECT_ERRORS, LoadedSubject, Subject, load

ELEMENTS = (64, 4096, 65_536, 64)
ROUNDS = 9


@check(
    "performance.step",
    "How long a step takes and how many bytes of state it keeps, beside the fastest torch optimizer of the same rule.",
    dtypes=("float32",),
    implementations=("for-loop", "foreach", "fused", "capturable", "compiled"),
)
def step(context: Context) -> Report:
    """Four parameters of 64 to 65,536 elements. The subject and torch's own optimizers of the same rule (every
    implementation that is there) step in turn, so that whatever else the machine does falls on all of them; the
    median of each is compared. Bytes are those of all tensors in the state after a step.

    This is a measurement and no claim: it never fails. On a device it is measured with its kernels finished.
    """
    from pytest_benchmark.stats import Stats

    report = Report()
    try:
        runs = {"subject": _Stepper(context.loaded, context)}
    except SUBJECT_ERRORS as error:
        return report.not_applicable(f"no step to measure: {one_line(error)}")
    rivals = _rivals(context)
    runs |= rivals
    stats = {name: Stats() for name in runs}
    for _ in range(ROUNDS):
        for name, stepper in runs.items():
            stats[name].update(stepper.seconds())
    report.programs = len(runs)
    medians = {name: stats[name].median for name in runs}
    subject = runs["subject"]
    report.performance = {
        "step_seconds": medians["subject"],
        "state_bytes_per_parameter": subject.state_bytes / sum(ELEMENTS),
    }
    text = f"{1e6 * medians['subject']:.0f} µs a step, {report.performance['state_bytes_per_parameter']:.3g} bytes of state"
    if rivals:
        best = min(rivals, key=lambda name: medians[name])
        report.performance |= {
            "rival": best,
            "rival_step_seconds": medians[best],
            "rival_state_bytes_per_parameter": rivals[best].state_bytes / sum(ELEMENTS),
        }
        ratio = medians["subject"] / medians[best]
        text += f" an element: {ratio:.2f} × {best} in time, {_ratio(subject, rivals[best])} in state"
    report.notes.append(text)
    return report


def _ratio(subject: _Stepper, rival: _Stepper) -> str:
    return (
        f"{subject.state_bytes / rival.state_bytes:.2f} ×" if rival.state_bytes else f"{subject.state_bytes} to 0 bytes"
    )


class _Stepper:
    """An optimizer on warm parameters."""

    def __init__(self, loaded: LoadedSubject, context: Context, implementation: str = ""):
        dtype = DTYPES[context.dtype]
        values = {k: v for k, v in {**loaded.rule.defaults, **first_trials(context)}.items() if k not in loaded.fixed}
        self.device = context.device
        self.params = [
            fill(Filling(7 * k), fitting((n,), loaded.rule.dimensions or 1), dtype).to(self.device).requires_grad_(True)
            for k, n in enumerate(ELEMENTS)
        ]
        for k, p in enumerate(self.params):
            gradient = fill(Filling(900 + 31 * k), tuple(p.shape), dtype).to(self.device)
            p.grad = in_form(gradient, "rows") if context.loaded.sparse_alone else gradient
        groups = [{"params": self.params}]
        self.optimizer = loaded.build(groups, values, {}, implementation or context.implementation)
        for _ in range(3):
            self.optimizer.step()
        own = (loaded.own_state(self.optimizer, p).values() for p in self.params)
        tensors = (x for state in own for x in state if isinstance(x, torch.Tensor))
        self.state_bytes = sum(x.numel() * x.element_size() for x in tensors)

    def seconds(self, steps: int = 10) -> float:
        """Seconds of one step."""
        self._finish()
        started = time.perf_counter()
        for _ in range(steps):
            self.optimizer.step()
        self._finish()
        return (time.perf_counter() - started) / steps

    def _finish(self) -> None:
        kind = getattr(torch, self.device.split(":")[0], None)
        if kind is not None and hasattr(kind, "synchronize") and self.device != "cpu":
            kind.synchronize()


def _rivals(context: Context) -> dict[str, _Stepper]:
    """torch's own optimizers of the same rule, in every implementation that runs here."""
    found: dict[str, _Stepper] = {}
    for target in context.loaded.rule.torch:
        loaded = load(Subject(target))
        for implementation in ("for-loop", "foreach", "fused"):
            if implementation in loaded.implementations:
                try:
                    found[f"{target} ({implementation})"] = _Stepper(loaded, context, implementation)
                except (RuntimeError, ValueError):
                    continue  # it is not offered for this dtype or device
    return found
