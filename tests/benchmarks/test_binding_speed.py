"""What ``watch`` costs. Skipped unless asked for:

    python -m pytest tests/benchmarks/test_binding_speed.py --benchmark-only -n 0

The share of a step is measured in one run: clocks in step hooks before and after those of the watch say how long the watch
took, and the loop around them how long everything did. ``extra_info`` has the result.
"""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

import verify

SIDE, TENSORS = 707, 200  # 100 M parameters
STEPS = 20  # from the second on, which has a full look; later ones have one in 64


def model_and_optimizer(make, device):
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(SIDE, SIDE, bias=False) for _ in range(TENSORS))).to(device)
    return model, make(model.parameters())


def train(model, optimizer, steps):
    x = torch.randn(8, SIDE, device=next(model.parameters()).device)
    for _ in range(steps):
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()
    if x.is_cuda:
        torch.cuda.synchronize()


class Clock:
    """Seconds between hooks registered before and after those of a watch."""

    def __init__(self):
        self.seconds, self._start = 0.0, 0.0

    def start(self, *_):
        self._start = time.perf_counter()

    def stop(self, *_):
        self.seconds += time.perf_counter() - self._start


MAKERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=1e-6),
    "Adam": lambda p: torch.optim.Adam(p, lr=1e-6),
}
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", MAKERS)
def test_share_of_a_step(benchmark, name, device):
    """After the first step; the forward and backward are of 8 rows, so that little hides behind them."""
    model, optimizer = model_and_optimizer(MAKERS[name], device)
    clock = Clock()
    handles = [register_optimizer_step_pre_hook(clock.start), register_optimizer_step_post_hook(clock.start)]
    with verify.watch(model, optimizer, on_finding="raise"):
        handles += [register_optimizer_step_pre_hook(clock.stop), register_optimizer_step_post_hook(clock.stop)]
        train(model, optimizer, 1)
        clock.seconds = 0.0
        benchmark.pedantic(train, args=(model, optimizer, STEPS), rounds=1)
    for handle in handles:
        handle.remove()
    benchmark.extra_info["share"] = clock.seconds / benchmark.stats.stats.total
    benchmark.extra_info["milliseconds_a_step"] = 1e3 * clock.seconds / STEPS


@pytest.mark.parametrize("name", MAKERS)
def test_start(benchmark, name):
    """Before the first step, and once there is state."""
    model, optimizer = model_and_optimizer(MAKERS[name], "cpu")
    started = []
    benchmark.pedantic(
        lambda: started.append(verify.watch(model, optimizer)), teardown=lambda: started.pop().close(), rounds=30
    )
    train(model, optimizer, 1)
    start = time.perf_counter()
    watching = verify.watch(model, optimizer)
    benchmark.extra_info["milliseconds_with_state"] = 1e3 * (time.perf_counter() - start)
    watching.close()
