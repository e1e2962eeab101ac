"""Wrong when a run is taken up again: by its own instance later, by a scheduler, or in memory that is not zero."""

import torch
from _faithful import SGD, Adam


class LargerCountKept(Adam):
    """Loading keeps the larger of the file's count and the instance's own."""

    def load_state_dict(self, state_dict):
        old = {p: float(self.state[p]["step"]) for p in self.held() if self.state.get(p)}
        super().load_state_dict(state_dict)
        for p, count in old.items():
            if self.state.get(p):
                self.state[p]["step"].clamp_(min=count)


class KeepsStateWithoutFile(Adam):
    """Where the file has no state of a parameter, the instance keeps what it has."""

    def load_state_dict(self, state_dict):
        old = {p: dict(self.state[p]) for p in self.held() if self.state.get(p)}
        super().load_state_dict(state_dict)
        for p, own in old.items():
            if not self.state.get(p):
                self.state[p] = own


class ForeignKeysNotLoaded(SGD):
    """Loading keeps the keys of the constructor alone, and a scheduler's initial_lr is lost."""

    def load_state_dict(self, state_dict):
        known = {*self.defaults, "params", "param_names"}
        groups = [{k: v for k, v in g.items() if k in known} for g in state_dict["param_groups"]]
        super().load_state_dict({**state_dict, "param_groups": groups})


class ForeignKeysNotSaved(Adam):
    """The file has the keys of the constructor alone, and a scheduler's initial_lr is lost."""

    def state_dict(self):
        packed, known = super().state_dict(), {*self.defaults, "params", "param_names"}
        return {**packed, "param_groups": [{k: v for k, v in g.items() if k in known} for g in packed["param_groups"]]}


class LoadedBuffersWantGrad(SGD):
    """Loaded buffers are wrapped as parameters, which require grad."""

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for own in self.state.values():
            own.update({k: torch.nn.Parameter(v) for k, v in own.items() if isinstance(v, torch.Tensor)})


class NewMemoryTakenForZeros(SGD):
    """The first velocity is made with torch.empty_like and decayed like any other."""

    def velocity(self, g, state, group):
        if group["momentum"] and "momentum_buffer" not in state:
            scratch = torch.empty_like(g)
            state["momentum_buffer"] = scratch.mul_(0.0).add_(g)
            return g + group["momentum"] * state["momentum_buffer"] if group["nesterov"] else g
        return super().velocity(g, state, group)
