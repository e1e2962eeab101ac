"""Broken manners: right alone, and wrong after a checkpoint, beside another optimizer, or in what they keep alive."""

import torch
from _faithful import SGD, Adam, Lion

# -- schedulers that go on -------------------------------------------------------------------


class LoadsKnownKeys(SGD):
    """Loading keeps the hyperparameters that it knows, and a scheduler's initial_lr is lost."""

    def load_state_dict(self, state_dict):
        known = {*self.defaults, "params", "param_names"}
        groups = [{k: v for k, v in group.items() if k in known} for group in state_dict["param_groups"]]
        super().load_state_dict({**state_dict, "param_groups": groups})


class SavesKnownKeys(Adam):
    """The state dict has the hyperparameters of the constructor alone, and a scheduler's initial_lr is lost."""

    def state_dict(self):
        saved = super().state_dict()
        known = {*self.defaults, "params", "param_names"}
        saved["param_groups"] = [{k: v for k, v in g.items() if k in known} for g in saved["param_groups"]]
        return saved


# -- neighbours ------------------------------------------------------------------------------


class DefaultsOfClass(SGD):
    """The defaults are one dict for all of the class, and a group added later takes those of the newest."""

    shared = {}  # noqa: RUF012

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
        super().__init__(params, lr, momentum, dampening, weight_decay)
        self.shared.update(self.defaults)
        self.defaults = self.shared


class VelocityOnTensor(SGD):
    """The velocity is noted on the parameter too, and another optimizer begins with it."""

    def move(self, p, g, state, group):
        if "momentum_buffer" not in state and hasattr(p, "velocity_of_sgd"):
            state["momentum_buffer"] = p.velocity_of_sgd.clone()
        super().move(p, g, state, group)
        if "momentum_buffer" in state:
            p.velocity_of_sgd = state["momentum_buffer"].clone()

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for p in self.held():
            p.__dict__.pop("velocity_of_sgd", None)


class SharedByUsers(Lion):
    """lr is divided by the number of optimizers that have moved the parameter."""

    def move(self, p, g, state, group):
        users = p.__dict__.setdefault("users_of_lion", [])
        if not any(user is self for user in users):
            users.append(self)
        super().move(p, g, state, {**group, "lr": float(group["lr"]) / len(users)})


# -- memory ----------------------------------------------------------------------------------


class LossKept(SGD):
    """The last loss is kept with its graph, and so are all activations."""

    def evaluate(self, closure):
        self.last_loss = super().evaluate(closure)
        return self.last_loss


class GradientsKept(Adam):
    """The gradients of the last step are kept in an attribute, and zero_grad frees nothing."""

    def walk(self):
        self.last_gradients = [p.grad for p in self.held()]
        super().walk()


class LogGrows(SGD):
    """Every update is logged, in a list that nobody empties."""

    def velocity(self, g, state, group):
        g = super().velocity(g, state, group)
        self.__dict__.setdefault("log", []).append(g.abs().sum())
        return g


class LogOfClass(SGD):
    """The class logs the velocities of all its instances."""

    log = []  # noqa: RUF012

    def velocity(self, g, state, group):
        g = super().velocity(g, state, group)
        self.log.append(g.detach().clone())
        return g


class MomentsFromEmpty(Adam):
    """The moments begin as memory that nobody wrote, multiplied by zero."""

    def start(self, p, state):
        super().start(p, state)
        for name in ("exp_avg", "exp_avg_sq"):
            state[name] = torch.empty_like(p).mul_(0)
