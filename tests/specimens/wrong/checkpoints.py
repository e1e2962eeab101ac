"""Wrong checkpoints: right steps, and something lost or changed on the way to disk and back."""

import copy
import dataclasses
from collections import defaultdict

import torch
from _faithful import SGD, Adam

# -- round trip ------------------------------------------------------------------------------


class LoadKeepsOwnState(Adam):
    """Loading fills what is missing, so an instance that already stepped keeps its own state."""

    def load_state_dict(self, state_dict):
        own = {p: dict(state) for p, state in self.state.items()}
        super().load_state_dict(state_dict)
        for p, state in own.items():
            self.state[p] = {**self.state[p], **state}


class LoadKeepsGroups(SGD):
    """Loading restores the tensors and leaves the groups' hyperparameters as they are. [D13]"""

    def load_state_dict(self, state_dict):
        own = [{k: v for k, v in group.items() if k != "params"} for group in self.param_groups]
        super().load_state_dict(state_dict)
        for group, values in zip(self.param_groups, own, strict=True):
            group.update(values)


class LoadFillsInPlace(Adam):
    """Loading copies into existing state, so a fresh instance takes nothing. [D14]"""

    def load_state_dict(self, state_dict):
        own = {p for p, state in self.state.items() if state}
        super().load_state_dict(state_dict)
        for p in set(self.state) - own:
            del self.state[p]


class SavesInBfloat16(SGD):
    """state_dict() rounds the buffers to bfloat16, to save room. [D05]"""

    def state_dict(self):
        packed = super().state_dict()
        rounded = {}
        for index, state in packed["state"].items():
            rounded[index] = {k: v if v.is_complex() else v.bfloat16() for k, v in state.items()}
        return {**packed, "state": rounded}


@dataclasses.dataclass(frozen=True)
class _Count:
    value: int


class ClassInState(Adam):
    """The count is an object of a class of its own, which torch.load refuses with weights_only."""

    def start(self, p, state):
        super().start(p, state)
        del state["step"]
        state["count"] = _Count(0)

    def count(self, p, state, group):
        state["count"] = _Count(state["count"].value + 1)
        return state["count"].value


class KeyedByTensor(SGD):
    """The checkpoint holds the buffers by parameter tensor, and a read tensor is another key. [D12]"""

    def state_dict(self):
        packed = super().state_dict()
        return {**packed, "state": {}, "buffers": {p: dict(state) for p, state in self.state.items()}}

    def load_state_dict(self, state_dict):
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "buffers"})
        for p in self.held():
            if p in state_dict["buffers"]:
                self.state[p] = {k: v.clone() for k, v in state_dict["buffers"][p].items()}


# -- complete --------------------------------------------------------------------------------


class BuffersInAttribute(SGD):
    """The momentum buffers are in an attribute that no checkpoint holds."""

    def move(self, p, g, state, group):
        buffers = self.__dict__.setdefault("buffers", {})
        super().move(p, g, buffers.setdefault(p, {}), group)

    def __getstate__(self):
        return {**super().__getstate__(), "buffers": self.__dict__.get("buffers", {})}


class BuffersInClosure(SGD):
    """The momentum buffers are in a closure that the constructor makes."""

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
        super().__init__(params, lr, momentum, dampening, weight_decay)
        buffers = defaultdict(dict)
        self.buffer_of = lambda p: buffers[p]

    def move(self, p, g, state, group):
        super().move(p, g, self.buffer_of(p), group)


class CountsInAttribute(Adam):
    """The moments are in the state, and the counts in an attribute that starts again at zero. [S09]"""

    def start(self, p, state):
        super().start(p, state)
        del state["step"]

    def count(self, p, state, group):
        counts = self.__dict__.setdefault("counts", {})
        counts[p] = counts.get(p, 0) + 1
        return counts[p]

    def __getstate__(self):
        return {**super().__getstate__(), "counts": self.__dict__.get("counts", {})}


class FirstStepFlagInAttribute(SGD):
    """Which parameters have taken their first step is known to the instance alone. [F51]"""

    def velocity(self, g, state, group):
        started = self.__dict__.setdefault("started", [])
        if not any(state is s for s in started):
            started.append(state)
            state.pop("momentum_buffer", None)
        return super().velocity(g, state, group)

    def __getstate__(self):
        return {**super().__getstate__(), "started": self.__dict__.get("started", [])}


class ResidualOutsideState(SGD):
    """What rounding left over is added to the next update, from an attribute that no checkpoint holds."""

    def move(self, p, g, state, group):
        residuals = self.__dict__.setdefault("residuals", {})
        g = self.velocity(self.decayed(p, g, group), state, group)
        update = residuals.get(p, 0) - float(group["lr"]) * g
        old = p.clone()
        p.add_(update)
        residuals[p] = update - (p - old)

    def __getstate__(self):
        return {**super().__getstate__(), "residuals": self.__dict__.get("residuals", {})}


# -- copies ----------------------------------------------------------------------------------


class CopyLosesAttribute(SGD):
    """An attribute that the constructor makes and step() needs is missing in a copy. [D09]"""

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
        super().__init__(params, lr, momentum, dampening, weight_decay)
        self.calls = 0

    def walk(self):
        self.calls += 1
        super().walk()


class HoldsLambda(SGD):
    """A function without a name is among the attributes, and cannot be pickled."""

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
        super().__init__(params, lr, momentum, dampening, weight_decay)
        self.schedule = lambda lr: lr

    def move(self, p, g, state, group):
        super().move(p, g, state, {**group, "lr": self.schedule(group["lr"])})

    def __getstate__(self):
        return {**super().__getstate__(), "schedule": self.schedule}


class CopySharesState(SGD):
    """A deep copy has its own parameters and the original's buffers."""

    def __deepcopy__(self, memo):
        for state in self.state.values():
            memo.update({id(x): x for x in state.values()})
        twin = type(self).__new__(type(self))
        twin.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return twin


class CopyMovesOriginal(SGD):
    """Parameters are reached through closures, and those of a copy still reach the original's. [D16]"""

    def move(self, p, g, state, group):
        target = self.targets.setdefault(self.position(p), lambda: p)
        super().move(target(), g, state, group)

    @property
    def targets(self):
        return self.__dict__.setdefault("kept", {})

    def __getstate__(self):
        return {**super().__getstate__(), "kept": self.targets}


# -- independence ----------------------------------------------------------------------------


class LoadPopsVersion(SGD):
    """Loading pops an entry from the dict that was passed in."""

    def state_dict(self):
        return {**super().state_dict(), "version": 2}

    def load_state_dict(self, state_dict):
        state_dict.pop("version", None)
        super().load_state_dict(state_dict)


class LoadEditsGroups(SGD):
    """Loading fills in keys that old files lack, in the groups of the dict that was passed in. [D08]"""

    def load_state_dict(self, state_dict):
        for group in state_dict["param_groups"]:
            group.setdefault("differentiable", False)
        super().load_state_dict(state_dict)


class LoadEmptiesCheckpoint(SGD):
    """Loading takes the state out of the dict that was passed in, to free its memory."""

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        state_dict["state"].clear()


class StateDictRoundsLive(SGD):
    """state_dict() rounds the live buffers in place, so that saving changes the run."""

    def state_dict(self):
        for state in self.state.values():
            for x in state.values():
                if not x.is_complex():
                    x.copy_(x.bfloat16())
        return super().state_dict()


class StateDictEmptiesState(SGD):
    """state_dict() hands the state over, and the optimizer goes on without it."""

    def state_dict(self):
        packed = super().state_dict()
        self.state = defaultdict(dict)
        return packed


# -- dtypes ----------------------------------------------------------------------------------


class _Loading:
    """``loaded`` changes one parameter's state after loading."""

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for state in self.state.values():
            self.loaded(state)


class CountLoadedInBfloat16(_Loading, Adam):
    """Loading casts the count to bfloat16. [D01]"""

    def loaded(self, state):
        state["step"] = state["step"].bfloat16()


class CountLoadedWithOneElement(_Loading, Adam):
    """Loading gives the count a dimension, which it had not. [S11]"""

    def loaded(self, state):
        state["step"] = state["step"].reshape(1)


class CountLoadedAsNumber(_Loading, Adam):
    """Loading turns the count from a tensor into a Python number. [D02]"""

    def loaded(self, state):
        state["step"] = int(state["step"])

    def count(self, p, state, group):
        state["step"] += 1
        return float(state["step"])


class MomentumLoadedInHalf(_Loading, SGD):
    """Loading leaves the buffers in float16, where they stay."""

    def loaded(self, state):
        for name, x in state.items():
            state[name] = x if x.is_complex() else x.half()


class MomentumLoadedInFloat64(_Loading, SGD):
    """Loading moves the buffers to float64, where they stay."""

    def loaded(self, state):
        for name, x in state.items():
            state[name] = x if x.is_complex() else x.double()

    def move(self, p, g, state, group):
        g = self.velocity(self.decayed(p, g, group), state, group)
        p.sub_((float(group["lr"]) * g).to(p.dtype))


class MomentumLoadedFlat(_Loading, SGD):
    """Loading leaves the buffers flat until the next step gives them their shape again."""

    def loaded(self, state):
        for name, x in state.items():
            state[name] = x.reshape(-1)

    def move(self, p, g, state, group):
        for name, x in state.items():
            state[name] = x.view(p.shape)
        super().move(p, g, state, group)


# -- late gradients --------------------------------------------------------------------------


class LateStartsAtLoadedCount(Adam):
    """Loading gives parameters without state the count of the others, so that they start late. [S02]"""

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        counts = [state["step"].item() for state in self.state.values()]
        for p in self.held():
            if counts and p not in self.state:
                self.start(p, self.state[p])
                self.state[p]["step"].fill_(max(counts))


class LoadMakesZeroBuffers(SGD):
    """Loading makes zero buffers for parameters that had none, and their first step is dampened. [F51]"""

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for p in self.held():
            if self.state and p not in self.state:
                self.state[p]["momentum_buffer"] = torch.zeros_like(p)


class LoadedParametersOnly(Adam):
    """After loading only the parameters that the file has state of are moved. [P10]"""

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        self.moved = set(self.state) or None

    def move(self, p, g, state, group):
        moved = self.__dict__.get("moved")
        if moved is None or p in moved:
            super().move(p, g, state, group)


# -- untouched -------------------------------------------------------------------------------


class StateDictMakesState(Adam):
    """state_dict() makes the state by a step of zero size, whose count stays. [S07]"""

    def state_dict(self):
        for p in self.held():
            if not self.state.get(p):
                self.start(p, self.state[p])
                self.state[p]["step"] += 1
        return super().state_dict()


class LoadMakesPlainDict(SGD):
    """After loading the state is a plain dict, which has no entry for a parameter's first step. [D10]"""

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        self.state = dict(self.state)


class StateDictNeedsStep(Adam):
    """state_dict() notes the largest count, and fails when there is none."""

    def state_dict(self):
        return {**super().state_dict(), "newest": max(state["step"].item() for state in self.state.values())}


class LoadNeedsState(Adam):
    """Loading looks into the first parameter's state, and fails when the file has none."""

    def load_state_dict(self, state_dict):
        first = next(iter(state_dict["state"].values()))
        if isinstance(first.get("step"), int):
            raise ValueError("this file is too old: its entry 'step' is a number")
        super().load_state_dict(state_dict)


class StateDictEmptyBeforeStep(SGD):
    """state_dict() of an instance that never stepped is empty, and cannot be loaded."""

    def state_dict(self):
        return super().state_dict() if self.state else {}


# -- keys ------------------------------------------------------------------------------------


def _packed(optimizer):
    """The live groups as a state dict has them."""
    packed, first = [], 0
    for group in optimizer.param_groups:
        count = len(group["params"])
        packed.append({**group, "params": list(range(first, first + count))})
        first += count
    return packed


class FewerGroupsAccepted(SGD):
    """A file with fewer groups restores those that it has and says nothing of the others."""

    def load_state_dict(self, state_dict):
        own, saved = _packed(self), state_dict["param_groups"]
        super().load_state_dict({**state_dict, "param_groups": [*saved, *own[len(saved) :]][: len(own)]})


class OtherParametersAccepted(SGD):
    """A group of the file with another number of parameters is fitted to the live one in silence."""

    def load_state_dict(self, state_dict):
        own, saved = _packed(self), state_dict["param_groups"]
        pairs = zip(saved, own, strict=False)
        fitted = [{**group, "params": live["params"]} for group, live in pairs]
        super().load_state_dict({**state_dict, "param_groups": [*fitted, *saved[len(own) :]]})


class MissingKeyBecomesZero(SGD):
    """A hyperparameter that the file lacks becomes zero in silence. [D08]"""

    def load_state_dict(self, state_dict):
        zeros = dict.fromkeys(self.defaults, 0)
        groups = [{**zeros, **group} for group in state_dict["param_groups"]]
        super().load_state_dict({**state_dict, "param_groups": groups})


class MissingKeyUnnamed(SGD):
    """A hyperparameter that the file lacks is None, and the arithmetic fails without naming it."""

    def move(self, p, g, state, group):
        super().move(p, g, state, {**dict.fromkeys(self.defaults), **group})

    def gradient(self, p, group):
        return super().gradient(p, {"maximize": None, **group})


class WrongKeysUnnamed(SGD):
    """A file with a key too many or too few is refused without a word of which."""

    def load_state_dict(self, state_dict):
        pairs = zip(self.param_groups, state_dict["param_groups"], strict=False)
        if any(set(live) ^ set(saved) for live, saved in pairs):
            raise RuntimeError("bad checkpoint")
        super().load_state_dict(state_dict)
