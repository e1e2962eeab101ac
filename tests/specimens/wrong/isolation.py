"""Bad citizens: right descent, and something that no optimizer should do to its process."""

import ctypes
import os
import time

import torch


class _Descent(torch.optim.Optimizer):
    """Right gradient descent; every class says in ``meddle`` what it does besides."""

    def __init__(self, params, lr=1e-3):
        super().__init__(params, dict(lr=lr))

    def step(self, closure=None):
        loss = None if closure is None else closure()
        with torch.no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.sub_(group["lr"] * p.grad)
        self.meddle()
        return loss

    def meddle(self):
        pass


class SetsDefaultDtype(_Descent):
    """step() changes torch's default dtype."""

    def meddle(self):
        torch.set_default_dtype(torch.float64)


class TurnsGradientsOff(_Descent):
    """step() leaves autograd switched off."""

    def meddle(self):
        torch.set_grad_enabled(False)


class SetsThreads(_Descent):
    """step() changes torch's number of threads."""

    def meddle(self):
        torch.set_num_threads(3)


class DrawsRandomNumbers(_Descent):
    """step() draws from torch's global random generator."""

    def meddle(self):
        torch.rand(())


class SeedsRandomNumbers(_Descent):
    """step() seeds torch's global random generator."""

    def meddle(self):
        torch.manual_seed(42)


class Prints(_Descent):
    """step() prints."""

    def meddle(self):
        print("step done")


class PatchesTorch(_Descent):
    """step() replaces a method of torch.Tensor by its own."""

    def meddle(self):
        original = torch.Tensor.add_
        if original.__name__ != "logged_add_":

            def logged_add_(self, *args, **kwargs):
                return original(self, *args, **kwargs)

            torch.Tensor.add_ = logged_add_


class Hangs(_Descent):
    """step() never returns."""

    def meddle(self):
        while True:
            time.sleep(0.1)


class Exits(_Descent):
    """step() ends the process without a word."""

    def meddle(self):
        os._exit(0)


class RaisesSystemExit(_Descent):
    """step() asks the interpreter to stop."""

    def meddle(self):
        raise SystemExit(0)


class Crashes(_Descent):
    """step() reads memory that is not there."""

    def meddle(self):
        ctypes.string_at(0)


class EatsMemory(_Descent):
    """step() takes memory without end."""

    def meddle(self):
        taken = []
        while True:
            taken.append(torch.ones(1 << 26))
