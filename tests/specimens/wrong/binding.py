"""Optimizers that lose the tensors that their groups hold now: cached lists, stale keys, old memory, copied groups."""

import torch
from _faithful import SGD, Adam


class ParametersCached(SGD):
    """The list of parameters is made at construction and walked ever after. [P82]"""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.cached = [(p, group) for group in self.param_groups for p in group["params"]]

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        if hasattr(self, "cached"):
            self.cached += [(p, self.param_groups[-1]) for p in self.param_groups[-1]["params"]]

    def walk(self):
        groups = {id(p): group for group in self.param_groups for p in group["params"]}
        for p, group in self.cached:
            if p.grad is not None:
                self.move(p, self.gradient(p, group), self.state[p], groups.get(id(p), group))


class StateByAddress(Adam):
    """State is kept by id(p) and shown in state, from which nothing is taken but at a load. [P99]"""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.by_id = {}

    def __setstate__(self, state):
        super().__setstate__(state)
        self.by_id = {id(p): own for p, own in self.state.items()}

    def move(self, p, g, state, group):
        own = self.by_id.setdefault(id(p), {})
        super().move(p, g, own, group)
        self.state[p] = own


class StateByPlace(Adam):
    """The state is looked up by the place of the parameter, so a new one in the same place inherits it."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.by_place = {}

    def __setstate__(self, state):
        super().__setstate__(state)
        self.by_place = {}

    def move(self, p, g, state, group):
        own = self.by_place.setdefault(self.position(p), state)
        super().move(p, g, own, group)
        if own is not state:
            self.state[p] = own


class LateStateForbidden(Adam):
    """State is made for the parameters of a group when the group comes, and for no others."""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        self.known = [*getattr(self, "known", []), *self.param_groups[-1]["params"]]

    def move(self, p, g, state, group):
        if not state and not any(p is q for q in self.known):
            return
        super().move(p, g, state, group)


class GroupsOnlyGrow(SGD):
    """Groups are noted when they come, and one that is deleted is stepped on."""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        self.noted = [*getattr(self, "noted", []), self.param_groups[-1]]

    def walk(self):
        shown = {id(group): group for group in (*self.param_groups, *self.noted)}
        for group in shown.values():
            for p in group["params"]:
                if p.grad is not None:
                    self.move(p, self.gradient(p, group), self.state[p], group)


class ViewsOfData(SGD):
    """Views of all data are made at the first step, and written to in every step."""

    def move(self, p, g, state, group):
        views = self.__dict__.setdefault("views", {})
        if id(p) not in views:
            views[id(p)] = (p, p.data)
        super().move(views[id(p)][1], g, state, group)


class WritesToAddress(SGD):
    """The storage of the first step is remembered and filled anew, wherever the parameter has gone."""

    def move(self, p, g, state, group):
        memory = self.__dict__.setdefault("memory", {}).setdefault(p, p.untyped_storage())
        if memory.data_ptr() == p.untyped_storage().data_ptr():
            super().move(p, g, state, group)
            return
        values = p.detach().clone()
        super().move(values, g, state, group)
        torch.empty(0, dtype=p.dtype).set_(memory)[: p.numel()] = values.flatten()


class GroupsCopied(SGD):
    """The lists of parameters are copied at the first step, and followed only while their number of groups is the same."""

    def walk(self):
        if len(self.__dict__.setdefault("lists", [])) != len(self.param_groups):
            self.lists = [list(group["params"]) for group in self.param_groups]
        for params, group in zip(self.lists, self.param_groups, strict=True):
            for p in params:
                if p.grad is not None:
                    self.move(p, self.gradient(p, group), self.state[p], group)


class FirstGroupHeld(SGD):
    """The group dicts of the first step are held on to, and read ever after."""

    def walk(self):
        held = self.__dict__.setdefault("dicts", self.param_groups)
        self.param_groups, shown = held, self.param_groups
        try:
            super().walk()
        finally:
            self.param_groups = shown
