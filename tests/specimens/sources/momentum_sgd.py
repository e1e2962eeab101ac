"""Source 1: a hand-written momentum optimizer, with the velocity's lr inside it, as a tutorial has it."""

import torch
from torch.optim import Optimizer


class MomentumSGD(Optimizer):
    """delta = -lr * gradient + momentum * delta; parameter = parameter + delta. All its defects are the tutorial's."""

    def __init__(self, params, lr=0.001, momentum=0.9):
        if lr < 0.0:
            raise ValueError(f"lr must not be negative, and is {lr}")
        if momentum < 0.0:
            raise ValueError(f"momentum must not be negative, and is {momentum}")
        super().__init__(params, dict(lr=lr, momentum=momentum))
        self.state = {}
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p] = dict(velocity=torch.zeros_like(p.data))

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                velocity = self.state[p]["velocity"]
                velocity = -group["lr"] * p.grad.data + group["momentum"] * velocity
                p.data = p.data + velocity
                self.state[p]["velocity"] = velocity


class LossLost(MomentumSGD):
    """Its closure is run, and the loss goes nowhere."""

    def step(self, closure=None):
        if closure is not None:
            with torch.enable_grad():
                closure()
        super().step()
