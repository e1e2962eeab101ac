"""What ``watch`` costs. Skipped unless asked for:

    python -m pytest tests/benchmarks/test_binding_speed.py --benchmark-only -n 0

The share of a step is measured in one run: clocks in step hooks before and after those of the watch say how long the watch
took, and one around the loop how long everything did. On CPU, with one thread, they count that thread's own time, which
other processes do not change. ``extra_info`` has the result.
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


class Parallel(nn.Module):
    """All layers on one input, so that no signal dies out."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(SIDE, SIDE, bias=False) for _ in range(TENSORS))

    def forward(self, x):
        return sum(layer(x) for layer in self.layers)


def model_and_optimizer(make, device):
    torch.manual_seed(0)
    model = Parallel().to(device)
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

    def __init__(self, now):
        self.seconds, self.now, self._start = 0.0, now, 0.0

    def start(self, *_):
        self._start = self.now()

    def stop(self, *_):
        self.seconds += self.now() - self._start


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


MAKERS = {
    "SGD": lambda p: torch.optim.SGD(p, lr=1e-6),
    "Adam": lambda p: torch.optim.Adam(p, lr=1e-6),
}
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.usefixtures("one_thread")
def test_share_of_a_step(benchmark, name, device):
    """After the first step; the forward and backward are of 8 rows, so that little hides behind them."""
    model, optimizer = model_and_optimizer(MAKERS[name], device)
    now = time.thread_time if device == "cpu" else time.perf_counter
    clock = Clock(now)
    handles = [register_optimizer_step_pre_hook(clock.start), register_optimizer_step_post_hook(clock.start)]
    with verify.watch(model, optimizer, on_finding="raise"):
        handles += [register_optimizer_step_pre_hook(clock.stop), register_optimizer_step_post_hook(clock.stop)]
        train(model, optimizer, 1)
        clock.seconds, start = 0.0, now()
        benchmark.pedantic(train, args=(model, optimizer, STEPS), rounds=1)
        everything = now() - start
    for handle in handles:
        handle.remove()
    benchmark.extra_info["share"] = clock.seconds / everything
    benchmark.extra_info["milliseconds_a_step"] = 1e3 * clock.seconds / STEPS
    benchmark.extra_info["milliseconds_of_a_step"] = 1e3 * everything / STEPS


@pytest.mark.parametrize("stepped", [False, True], ids=["fresh", "stepped"])
@pytest.mark.usefixtures("one_thread")
def test_start(benchmark, stepped):
    """Before the first step, and once there is state."""
    model, optimizer = model_and_optimizer(MAKERS["Adam"], "cpu")
    if stepped:
        train(model, optimizer, 1)
    started, took = [], []

    def start():
        begin = time.thread_time()
        started.append(verify.watch(model, optimizer))
        took.append(time.thread_time() - begin)

    benchmark.pedantic(start, teardown=lambda: started.pop().close(), rounds=30, warmup_rounds=3)
    benchmark.extra_info["milliseconds_of_its_thread"] = 1e3 * sorted(took)[len(took) // 2]
