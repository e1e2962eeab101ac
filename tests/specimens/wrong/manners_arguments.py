"""Broken manners: right numbers, and wrong with groups added later, frozen parameters, kinds of lr, or zero_grad."""

import torch
from _faithful import SGD, Adam

# -- groups and frozen parameters ------------------------------------------------------------


class LateSharedTaken(SGD):
    """A group that is added later is not searched for parameters that are there already."""

    def add_param_group(self, param_group):
        if not self.param_groups:
            super().add_param_group(param_group)
            return
        aside, self.param_groups = self.param_groups, []
        try:
            super().add_param_group(param_group)
        finally:
            self.param_groups = aside + self.param_groups


class LateTensorIterated(SGD):
    """add_param_group walks along what it is given, so that a bare tensor falls into its rows."""

    def add_param_group(self, param_group):
        params = param_group["params"]
        kept = params if isinstance(params, set) else list(params)
        super().add_param_group({**param_group, "params": kept})


class LateSetTaken(SGD):
    """A set is taken in a group that is added later, in whatever order it has."""

    def add_param_group(self, param_group):
        if self.param_groups and isinstance(param_group["params"], set):
            param_group = {**param_group, "params": list(param_group["params"])}
        super().add_param_group(param_group)


class LateNonLeafTaken(SGD):
    """A group added after the first step may hold tensors that are no leaves, which never get a gradient."""

    def add_param_group(self, param_group):
        before = self.defaults
        self.defaults = {**before, "differentiable": bool(self.state)}
        try:
            super().add_param_group(param_group)
        finally:
            self.defaults = before
        self.param_groups[-1].pop("differentiable", None)


class RefusedGroupStays(SGD):
    """A group added later that is refused leaves an empty group behind."""

    def add_param_group(self, param_group):
        if not self.param_groups:
            super().add_param_group(param_group)
            return
        try:
            super().add_param_group(param_group)
        except (TypeError, ValueError):
            self.param_groups.append({**self.defaults, "params": []})
            raise


class FrozenLeftOut(SGD):
    """A parameter that does not require grad at construction is left out for good."""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        group["params"] = [p for p in group["params"] if p.requires_grad]


class FrozenRefused(SGD):
    """A parameter that does not require grad at construction is an error."""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        if not all(p.requires_grad for p in self.param_groups[-1]["params"]):
            raise ValueError("a parameter does not require grad")


# -- zero_grad -------------------------------------------------------------------------------


class ZeroGradOfFirstList(SGD):
    """zero_grad walks a list of parameters that was made in the constructor."""

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
        super().__init__(params, lr, momentum, dampening, weight_decay)
        self.all_params = self.held()

    def zero_grad(self, set_to_none=True):
        for p in self.all_params:
            if p.grad is not None:
                p.grad = None if set_to_none else p.grad.detach_().zero_()

    def __setstate__(self, state):
        super().__setstate__(state)
        self.all_params = self.held()


class ZeroGradSparesFrozen(SGD):
    """zero_grad passes over parameters that are frozen now, whose old gradients count when they are thawed."""

    def zero_grad(self, set_to_none=True):
        for p in self.held():
            if p.requires_grad and p.grad is not None:
                p.grad = None if set_to_none else p.grad.detach_().zero_()


class ZeroGradOnGraph(SGD):
    """zero_grad(set_to_none=False) multiplies by zero and leaves a gradient with a graph in its graph."""

    def zero_grad(self, set_to_none=True):
        for p in self.held():
            if p.grad is not None:
                p.grad = None if set_to_none else p.grad.mul_(0)


class ZeroGradResetsVelocity(SGD):
    """zero_grad(set_to_none=False) zeroes the velocity as well."""

    def zero_grad(self, set_to_none=True):
        super().zero_grad(set_to_none)
        if not set_to_none:
            for state in self.state.values():
                for x in state.values():
                    x.zero_()


class ZeroGradForgets(SGD):
    """zero_grad drops the state of parameters that have no gradient."""

    def zero_grad(self, set_to_none=True):
        for p in self.held():
            if p.grad is None:
                self.state.pop(p, None)
        super().zero_grad(set_to_none)


# -- kinds of lr -----------------------------------------------------------------------------


class IntLrRefused(Adam):
    """The constructor takes no int for lr."""

    def validate(self, defaults):
        super().validate(defaults)
        if isinstance(defaults["lr"], int):
            raise TypeError("lr must be a float")


class IntLrTruncates(Adam):
    """The step size is rounded to the type that lr has, so that with an int it is a whole number."""

    def rate(self, t, group):
        rate = super().rate(t, group)
        return float(int(rate)) if isinstance(group["lr"], int) else rate


class OnlyFloatsCount(SGD):
    """An lr that is neither a float nor a tensor is taken for missing, and the default is used."""

    def move(self, p, g, state, group):
        known = isinstance(group["lr"], float | torch.Tensor)
        super().move(p, g, state, group if known else {**group, "lr": 1e-3})


class TensorLrRemembered(SGD):
    """The number in a tensor lr is remembered for that tensor, and what is filled in later is not seen."""

    def move(self, p, g, state, group):
        lr, seen = group["lr"], self.__dict__.setdefault("seen", {})
        if isinstance(lr, torch.Tensor):
            # with the tensor, so that no other one can have its id
            lr = seen.setdefault(id(lr), (lr, lr.item()))[1]
        super().move(p, g, state, {**group, "lr": lr})


class TensorLrCrashes(SGD):
    """A tensor lr fails inside, with words that say nothing of it."""

    def move(self, p, g, state, group):
        if isinstance(group["lr"], torch.Tensor):
            raise KeyError("lr")
        super().move(p, g, state, group)
