"""Right optimizers whose state takes an unusual way to a checkpoint or a copy."""

import torch
from _sound import Sound, SoundAdam, SoundSGD, adam, demand, demand_betas, real, sgd
from torch.utils.weak import WeakTensorKeyDictionary


class AdamWeakMoments(SoundAdam):
    """The moments are in a dictionary of weak keys, and checkpoints and copies have them all the same."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        self.moments = WeakTensorKeyDictionary()
        super().__init__(params, lr, betas, eps, weight_decay)

    def update(self, p, g, state, group):
        if p not in self.moments:
            self.moments[p] = {"step": 0, "m": torch.zeros_like(p), "v": torch.zeros_like(p)}
        own = self.moments[p]
        own["step"] += 1
        adam(p, g, own["m"], own["v"], own["step"], group)

    def _held(self):
        return [p for group in self.param_groups for p in group["params"]]

    def state_dict(self):
        moments = {i: dict(self.moments[p]) for i, p in enumerate(self._held()) if p in self.moments}
        return {**super().state_dict(), "moments": moments}

    def load_state_dict(self, state_dict):
        if "moments" not in state_dict:
            raise KeyError("the state dict has no entry 'moments'")
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "moments"})
        self.moments = WeakTensorKeyDictionary()
        for i, p in enumerate(self._held()):
            own = state_dict["moments"].get(i)
            if own is not None:
                moved = {k: own[k].detach().to(p, copy=True) for k in ("m", "v")}
                self.moments[p] = {"step": own["step"], **moved}

    def __getstate__(self):
        pairs = [(p, self.moments[p]) for p in self._held() if p in self.moments]
        return {**super().__getstate__(), "pairs": pairs}

    def __setstate__(self, state):
        pairs = state.pop("pairs", None)
        super().__setstate__(state)
        if pairs is not None:
            self.moments = WeakTensorKeyDictionary()
            for p, own in pairs:
                self.moments[p] = own


class SGDOtherFile(SoundSGD):
    """A checkpoint calls the buffer velocity, and loading calls it momentum_buffer again."""

    def update(self, p, g, state, group):
        sgd(p, g, state, group)

    def state_dict(self):
        packed = super().state_dict()
        return {**packed, "state": {i: _renamed(s, _OUT) for i, s in packed["state"].items()}}

    def load_state_dict(self, state_dict):
        super().load_state_dict({**state_dict, "state": {i: _renamed(s, _IN) for i, s in state_dict["state"].items()}})


_OUT, _IN = {"momentum_buffer": "velocity"}, {"velocity": "momentum_buffer"}


def _renamed(state, names):
    return {names.get(k, k): v for k, v in state.items()}


class AdamGroupLists(SoundAdam):
    """Moments and counts are lists in the group, made when the group is added."""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        for name in ("counts", "means", "squares"):
            group[name] = [None] * len(group["params"])

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for group in self.param_groups:
            for name in ("means", "squares"):
                pairs = zip(group[name], group["params"], strict=True)
                group[name] = [x if x is None else x.to(p) for x, p in pairs]

    def update(self, p, g, state, group):
        index = next(i for i, q in enumerate(group["params"]) if q is p)
        counts, means, squares = group["counts"], group["means"], group["squares"]
        if counts[index] is None:
            counts[index], means[index], squares[index] = 0, torch.zeros_like(p), torch.zeros_like(p)
        counts[index] += 1
        adam(p, g, means[index], squares[index], counts[index], group)


class LionGetstate(Sound):
    """It holds a function without a name, and leaves it out of copies, which make their own."""

    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.0):
        demand(lr=lr, weight_decay=weight_decay)
        demand_betas(betas)
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))
        self.mix = lambda m, g, beta: beta * m + (1 - beta) * g

    def __getstate__(self):
        return {k: v for k, v in self.__dict__.items() if k in ("defaults", "state", "param_groups")}

    def __setstate__(self, state):
        super().__setstate__(state)
        self.mix = lambda m, g, beta: beta * m + (1 - beta) * g

    def update(self, p, g, state, group):
        if not state:
            state["exp_avg"] = torch.zeros_like(p)
        lr, (b1, b2) = float(group["lr"]), group["betas"]
        p, g, m = real(p), real(g), real(state["exp_avg"])
        p.copy_(p - lr * group["weight_decay"] * p - lr * self.mix(m, g, b1).sign())
        m.copy_(self.mix(m, g, b2))


class AdagradEager(Sound):
    """The state is made when a group is added, before any gradient, and the count is a Python int."""

    def __init__(self, params, lr=1e-2, lr_decay=0.0, weight_decay=0.0, eps=1e-10):
        demand(lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps)
        super().__init__(params, dict(lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps))

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            self.state[p].update(step=0, sum=torch.zeros_like(p, memory_format=torch.preserve_format))

    def update(self, p, g, state, group):
        if not state:  # a file from before the parameter had any
            state.update(step=0, sum=torch.zeros_like(p))
        state["step"] += 1
        p, g, s = real(p), real(g), real(state["sum"])
        g = g + group["weight_decay"] * p
        s.addcmul_(g, g)
        rate = float(group["lr"]) / (1 + (state["step"] - 1) * group["lr_decay"])
        p.sub_(rate * g / (s.sqrt() + group["eps"]))


class SGDNewBuffers(SoundSGD):
    """Every step stores a new buffer, and a state without one says so with None."""

    def update(self, p, g, state, group):
        old = state.setdefault("momentum_buffer", None)
        g = g + group["weight_decay"] * p
        if group["momentum"]:
            new = g + 0 if old is None else group["momentum"] * old + (1 - group["dampening"]) * g
            state["momentum_buffer"] = g = new
        p.sub_(float(group["lr"]) * g)


class AdamCopiesItself(SoundAdam):
    """deepcopy is written by hand, and pickling by __reduce__."""

    def update(self, p, g, state, group):
        if not state:
            state.update(step=torch.tensor(0.0), exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
        state["step"] += 1
        adam(p, g, state["exp_avg"], state["exp_avg_sq"], state["step"].item(), group)

    def __deepcopy__(self, memo):
        import copy

        twin = memo[id(self)] = type(self).__new__(type(self))
        twin.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return twin

    def __reduce__(self):
        return _rebuilt, (type(self), self.__getstate__())


def _rebuilt(cls, state):
    optimizer = cls.__new__(cls)
    optimizer.__setstate__(state)
    return optimizer
