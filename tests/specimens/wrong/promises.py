"""Broken promises: right numbers, and something done to the closure, the grad mode, gradients or parameters."""

from collections import defaultdict
from itertools import chain

import torch
from _faithful import SGD, Adam, Faithful

# -- closure ---------------------------------------------------------------------------------


class ClosureNeverRun(SGD):
    """step() accepts a closure and does not run it."""

    def evaluate(self, closure):
        return None


class ClosureRunTwice(SGD):
    """step() runs the closure twice and returns the second loss."""

    def evaluate(self, closure):
        super().evaluate(closure)
        return super().evaluate(closure)


class ClosureWithoutGrad(SGD):
    """step() runs the closure with autograd switched off. [C03]"""

    @torch.no_grad()
    def evaluate(self, closure):
        return None if closure is None else closure()


class ClosureAfterUpdate(SGD):
    """step() runs the closure when the parameters have moved already. [C03]"""

    def step(self, closure=None):
        with torch.no_grad():
            self.walk()
        return self.evaluate(closure)


class LossDropped(SGD):
    """step() runs the closure and does not return its loss."""

    def evaluate(self, closure):
        super().evaluate(closure)


class ClosureDemanded(SGD):
    """step() cannot be called without a closure."""

    def step(self, closure):
        loss = self.evaluate(closure)
        with torch.no_grad():
            self.walk()
        return loss


class ReturnsZeroWithoutClosure(SGD):
    """step() without a closure returns 0.0 as the loss."""

    def evaluate(self, closure):
        return 0.0 if closure is None else super().evaluate(closure)


# -- grad mode -------------------------------------------------------------------------------


class UpdatesWithGrad(SGD):
    """step() relies on its caller for no_grad, and without it may not write to a leaf."""

    def step(self, closure=None):
        loss = self.evaluate(closure)
        self.walk()
        return loss


class LeavesGradOn(SGD):
    """step() switches autograd on at its end, and not back to what it was."""

    def step(self, closure=None):
        loss = self.evaluate(closure)
        torch.set_grad_enabled(False)
        self.walk()
        torch.set_grad_enabled(True)
        return loss


class GraphGrows(Faithful):
    """The velocity is computed with autograd on, so that it holds the graph of all steps."""

    def __init__(self, params, lr=1e-3, momentum=0.0, weight_decay=0.0, maximize=False):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay, maximize=maximize))

    def step(self, closure=None):
        loss = self.evaluate(closure)
        self.walk()
        return loss

    def move(self, p, g, state, group):
        g = g + group["weight_decay"] * p
        if group["momentum"] != 0:
            old = state.get("momentum_buffer")
            state["momentum_buffer"] = g = g.clone() if old is None else group["momentum"] * old + g
        p.data.sub_(float(group["lr"]) * g.detach())


class DecayByAutograd(SGD):
    """The decay is differentiated from its penalty, which fails where autograd is switched off."""

    def evaluate(self, closure):
        loss = super().evaluate(closure)
        self.penalties = {}
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    size = torch.view_as_real(p) if p.is_complex() else p
                    penalty = (0.5 * group["weight_decay"] * size * size).sum()
                    self.penalties[p] = torch.autograd.grad(penalty, p)[0]
        return loss

    def decayed(self, p, g, group):
        return g + self.penalties[p]


# -- hooks -----------------------------------------------------------------------------------


class StepBoundInConstructor(SGD):
    """step is bound to an inner function in the constructor, past torch's step hooks."""

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
        super().__init__(params, lr, momentum, dampening, weight_decay)
        self.step = self.inner_step

    def inner_step(self, closure=None):
        loss = self.evaluate(closure)
        with torch.no_grad():
            self.walk()
        return loss


class StateDictWithoutHooks(SGD):
    """state_dict() is written anew and runs no hooks."""

    def state_dict(self):
        index = {p: i for i, p in enumerate(self.held())}
        groups = [{**group, "params": [index[p] for p in group["params"]]} for group in self.param_groups]
        return {"state": {index[p]: state for p, state in self.state.items()}, "param_groups": groups}


class LoadWithoutHooks(SGD):
    """load_state_dict() is written anew and runs no hooks."""

    def load_state_dict(self, state_dict):
        saved = state_dict["param_groups"]
        sizes = [len(group["params"]) for group in self.param_groups]
        if sizes != [len(group["params"]) for group in saved]:
            raise ValueError(f"param_groups of the file do not fit: here there are {sizes} parameters in groups")
        params = dict(zip(chain.from_iterable(group["params"] for group in saved), self.held(), strict=True))
        pairs = zip(saved, self.param_groups, strict=True)
        self.param_groups = [{**group, "params": live["params"]} for group, live in pairs]
        self.state = defaultdict(dict)
        for index, state in state_dict["state"].items():
            p = params[index]
            self.state[p] = {k: v.to(p, copy=True) for k, v in state.items()}


# -- gradients -------------------------------------------------------------------------------


class UpdateInGradient(SGD):
    """The update is computed in the memory of the gradient."""

    def move(self, p, g, state, group):
        g = self.velocity(self.decayed(p, g, group), state, group)
        p.sub_(p.grad.copy_(float(group["lr"]) * g))


class GradientReplacedByCopy(SGD):
    """p.grad is another tensor with the same numbers after the step."""

    def walk(self):
        super().walk()
        for p in self.held():
            if p.grad is not None:
                p.grad = p.grad.clone()


class GradientMadeForMissing(SGD):
    """A parameter without a gradient stays where it is, and has a zero gradient after the step."""

    def walk(self):
        super().walk()
        for p in self.held():
            if p.grad is None:
                p.grad = torch.zeros_like(p)


class GradientWantsGrad(SGD):
    """The gradients require grad themselves after the step."""

    def walk(self):
        super().walk()
        for p in self.held():
            if p.grad is not None and p.grad.is_leaf:
                p.grad.requires_grad_()


# -- parameters ------------------------------------------------------------------------------


class NewDataEachStep(SGD):
    """p.data is replaced by a new tensor, so a view of the parameter is left behind. [R02]"""

    def move(self, p, g, state, group):
        new = p.detach().clone()
        super().move(new, g, state, group)
        p.data = new


class MadeContiguous(SGD):
    """A parameter whose strides are not the usual ones is made contiguous."""

    def move(self, p, g, state, group):
        if not p.is_contiguous():
            p.data = p.data.contiguous()
        super().move(p, g, state, group)


class RequiresGradLeftOff(SGD):
    """requires_grad is switched off for the update and not on again."""

    def move(self, p, g, state, group):
        p.requires_grad_(False)
        super().move(p, g, state, group)


class GroupEntryReplaced(SGD):
    """The entry of the group is replaced by a detached alias of the caller's parameter."""

    def walk(self):
        super().walk()
        for group in self.param_groups:
            for index, p in enumerate(group["params"]):
                alias = p.detach().requires_grad_(p.requires_grad)
                alias.grad = p.grad
                if p in self.state:
                    self.state[alias] = self.state.pop(p)
                group["params"][index] = alias


# -- state -----------------------------------------------------------------------------------


class StateAliasesParameter(SGD):
    """The state keeps the parameter's last value as an alias of the parameter."""

    def move(self, p, g, state, group):
        super().move(p, g, state, group)
        state["last"] = p.detach()


class StateKeepsGradient(SGD):
    """The state keeps the last gradient itself and not a copy of it. [G04]"""

    def move(self, p, g, state, group):
        super().move(p, g, state, group)
        state["last_gradient"] = p.grad


class StateWantsGrad(SGD):
    """The momentum buffers require grad."""

    def move(self, p, g, state, group):
        super().move(p, g, state, group)
        if "momentum_buffer" in state:
            state["momentum_buffer"].requires_grad_()


class TwoNamesForOneBuffer(Adam):
    """The first moment is in the state under two names, as one tensor."""

    def start(self, p, state):
        super().start(p, state)
        state["momentum"] = state["exp_avg"]


class OneZeroForAll(SGD):
    """All parameters share the tensor that says whether they have stepped."""

    def move(self, p, g, state, group):
        super().move(p, g, state, group)
        state["started"] = self.__dict__.setdefault("one", torch.ones(()))


# -- sparse ----------------------------------------------------------------------------------


class SparseCrashesInside(SGD):
    """A sparse gradient fails inside, in a call that says nothing of it."""

    def dense(self, g):
        return g.contiguous()


class SparseRowsFromTop(SGD):
    """The rows of a sparse gradient go to the first rows of the parameter."""

    def dense(self, g):
        values = g.coalesce().values()
        dense = values.new_zeros(g.shape)
        dense.view(-1, *values.shape[1:])[: len(values)] = values
        return dense


class SparseTakenAsZero(SGD):
    """A sparse gradient is taken for zero in silence."""

    def dense(self, g):
        return g.coalesce().values().new_zeros(g.shape)


class SparseDuplicatesLost(SGD):
    """Of the rows of a sparse gradient that are given twice only the last counts."""

    def dense(self, g):
        dense = g._values().new_zeros(g.shape)
        dense[tuple(g._indices())] = g._values()
        return dense


class SparseEmptyCrashes(SGD):
    """A sparse gradient without rows fails. [N03]"""

    def dense(self, g):
        g = g.coalesce()
        rows = int(g.indices()[0].max()) + 1
        return torch.cat([g.to_dense()[:rows], g.values().new_zeros(g.shape)[rows:]])


# -- compile ---------------------------------------------------------------------------------


@torch.compiler.assume_constant_result
def _number(count):
    return count.item()


class CountConstantWhenCompiled(Adam):
    """The count is declared constant to the compiler, and compiled code keeps the first."""

    def count(self, p, state, group):
        t = _number(state["step"]) + 1
        state["step"] += 1
        return t


class UncorrectedWhenCompiled(Adam):
    """The branch for the compiler leaves the bias correction of the first moment out. [U06]"""

    def rate(self, t, group):
        return float(group["lr"]) if torch.compiler.is_compiling() else super().rate(t, group)


class BufferDroppedWhenCompiled(SGD):
    """The branch for the compiler makes a new velocity and does not store it. [G08]"""

    def velocity(self, g, state, group):
        if torch.compiler.is_compiling() and "momentum_buffer" in state:
            state = {"momentum_buffer": state["momentum_buffer"].clone()}
        return super().velocity(g, state, group)


# -- neighbours ------------------------------------------------------------------------------


class BuffersOfClass(SGD):
    """The momentum buffers are the class's, by position: the newest optimizer's are everybody's."""

    buffers = {}  # noqa: RUF012

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
        super().__init__(params, lr, momentum, dampening, weight_decay)
        type(self).buffers = {}

    def __setstate__(self, state):
        super().__setstate__(state)
        type(self).buffers = {self.position(p): state for p, state in self.state.items()}

    def move(self, p, g, state, group):
        shared = self.buffers.setdefault(self.position(p), state)
        super().move(p, g, shared, group)
        state.update(shared)


class CountsOfClass(Adam):
    """The counts are the class's, by position, so that two optimizers advance them together."""

    counts = {}  # noqa: RUF012

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr, betas, eps, weight_decay)
        type(self).counts = {}

    def __setstate__(self, state):
        super().__setstate__(state)
        type(self).counts = {self.position(p): s["step"].item() for p, s in self.state.items() if s}

    def count(self, p, state, group):
        position = self.position(p)
        self.counts[position] = self.counts.get(position, 0) + 1
        state["step"].fill_(self.counts[position])
        return self.counts[position]


class HyperparametersOfNewest(SGD):
    """Hyperparameters are looked up in the optimizer of the class that was built last. [P14]"""

    newest = None

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
        super().__init__(params, lr, momentum, dampening, weight_decay)
        type(self).newest = self

    def move(self, p, g, state, group):
        index = next(i for i, own in enumerate(self.param_groups) if own is group)
        groups = (self.newest or self).param_groups
        newest = groups[min(index, len(groups) - 1)]
        super().move(p, g, state, {name: newest[name] for name in self.defaults if name in newest})
