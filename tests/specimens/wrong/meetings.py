"""Mistakes that show when two things meet that each go well alone, or in what nobody chooses."""

import torch
from _faithful import SGD, Adam


class EditsAfterLoadIgnored(SGD):
    """Once a file has been loaded, the learning rates in it are used for good."""

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        self.resumed = [group["lr"] for group in self.param_groups]

    def walk(self):
        for group, lr in zip(self.param_groups, getattr(self, "resumed", ()), strict=False):
            group["lr"] = lr
        super().walk()


class LateGroupAfterLoadClearsState(SGD):
    """A group that is added after a load takes the state of the others away."""

    loaded = False

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        self.loaded = True

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        if self.loaded:
            self.state.clear()


class SavingRoundsTensorLr(SGD):
    """A learning rate that is a tensor is saved, and goes on, in bfloat16."""

    def state_dict(self):
        for group in self.param_groups:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"] = group["lr"].bfloat16().double()
        return super().state_dict()


class MaximizeOfFirstGroup(SGD):
    """Every group climbs or descends as the first one does."""

    def gradient(self, p, group):
        return super().gradient(p, self.param_groups[0])


class DecayForgottenByDefault(Adam):
    """Where nobody chooses an implementation, the decay is left out."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, foreach=None):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        self.chosen = foreach

    def move(self, p, g, state, group):
        if self.chosen is None:
            group = {**group, "weight_decay": 0.0}
        super().move(p, g, state, group)
