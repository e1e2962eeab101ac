"""Every scene, by ``audit`` and by ``watch``: exactly the findings that are expected, and none in a benign one."""

import pytest

import verify
from tests.binding.registry import SCENES
from tests.binding.scenes import Unseen


def subjects(yielded):
    model, optimizers, *schedulers = yielded
    return model, optimizers, schedulers[0] if schedulers else ()


def severities(findings):
    """The worst severity of every code."""
    order = ("info", "warning", "error")
    found = {}
    for finding in findings:
        found[finding.code] = max(found.get(finding.code, "info"), finding.severity, key=order.index)
    return found


def expected(what):
    return {} if isinstance(what, Unseen) else what


@pytest.fixture(params=SCENES, ids=lambda scene: scene.id)
def scene(request):
    return request.param


def test_audit(scene):
    *_, last = scene.play()
    model, optimizers, schedulers = subjects(last)
    found = verify.audit(model, optimizers, schedulers=schedulers)
    assert severities(found) == expected(scene.audit), "\n".join(map(str, found))


def test_watch(scene):
    playing = scene.play()
    model, optimizers, schedulers = subjects(next(playing))
    with verify.watch(model, optimizers, schedulers=schedulers, on_finding="collect") as watching:
        for _ in playing:
            pass
    assert severities(watching.findings) == expected(scene.watch), "\n".join(map(str, watching.findings))
