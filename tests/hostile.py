"""Subjects that misbehave: right gradient descent, and something no optimizer should do besides.

Every process that imports this file adds its id to the file that ``HOSTILE_PIDS`` names.
"""

import ctypes
import os
import sys
import time

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

if "HOSTILE_PIDS" in os.environ:
    with open(os.environ["HOSTILE_PIDS"], "a") as pids:
        pids.write(f"{os.getpid()}\n")


class Descent(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3):
        super().__init__(params, dict(lr=lr))
        self.begin()

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.data.sub_(group["lr"] * p.grad)
                    self.meddle(p)

    def begin(self):
        pass

    def meddle(self, p):
        pass


class EachDtypeItsOwn(Descent):
    """What becomes of step() depends on the dtype."""

    def meddle(self, p):
        if p.dtype == torch.float64:
            time.sleep(1e6)
        elif p.dtype == torch.float32:
            os._exit(7)
        elif p.dtype == torch.complex64:
            ctypes.string_at(0)
        elif p.dtype == torch.float16:
            taken = []
            while True:
                taken.append(torch.ones(1 << 25))


class HangsInFloat64(Descent):
    def meddle(self, p):
        if p.dtype == torch.float64:
            while True:
                pass


class HangsWhenBuilt(Descent):
    def begin(self):
        time.sleep(1e6)


class Unprintable(Exception):
    def __str__(self):
        raise ValueError("no text")


def _raising(error):
    class Raises(Descent):
        def meddle(self, p):
            raise error

    return Raises


RaisesSystemExit = _raising(SystemExit(0))
RaisesGeneratorExit = _raising(GeneratorExit())
RaisesKeyboardInterrupt = _raising(KeyboardInterrupt())
RaisesUnprintable = _raising(Unprintable())
RaisesSurrogates = _raising(ValueError("\ud800" + "x" * 1000))


class HidesState(Descent):
    """Right, and its state cannot be read."""

    @property
    def state(self):
        raise RuntimeError("not yours")

    @state.setter
    def state(self, value):
        pass


class OddGroups(Descent):
    def begin(self):
        self.param_groups = [7]


class ReplacesParameter(Descent):
    def meddle(self, p):
        p.data = torch.zeros(3, dtype=p.dtype)


def _meddling(does):
    class Meddles(Descent):
        def meddle(self, p):
            does()

    return Meddles


def _patch(owner, name, value):
    return _meddling(lambda: setattr(owner, name, value))


def _close_stdout():
    print("bye")
    sys.stdout.close()


def _deceive():
    torch.equal = lambda *args: True
    torch.get_default_dtype = lambda: torch.float32
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)


SetsDefaultDtype = _meddling(lambda: torch.set_default_dtype(torch.float64))
SetsDefaultDevice = _meddling(lambda: torch.set_default_device("meta"))
SetsThreads = _meddling(lambda: torch.set_num_threads(3))
TurnsGradientsOff = _meddling(lambda: torch.autograd.grad_mode.set_grad_enabled(False))
Flushes = _meddling(lambda: torch.set_flush_denormal(True))
Seeds = _meddling(lambda: torch.manual_seed(1))
Draws = _meddling(lambda: torch.rand(()))
Prints = _meddling(lambda: print("one\ntwo"))
ClosesStdout = _meddling(_close_stdout)
PatchesTensor = _patch(torch.Tensor, "mul_", lambda self, other: self)
PatchesAdd = _patch(torch, "add", lambda *args: 1 / 0)
PatchesReshape = _patch(torch.Tensor, "reshape", lambda *args: 1 / 0)
PatchesOptimizer = _patch(torch.optim.Optimizer, "zero_grad", lambda self: None)
LeavesHook = _meddling(lambda: register_optimizer_step_post_hook(lambda *args: None))
Deceives = _meddling(_deceive)
