"""Wrong bookkeeping when groups are changed: a late one, one changed by hand, one whose lr is zero for a while."""

from _faithful import SGD, Adam, AdamW


class LateGroupAsFirst(SGD):
    """What a late group does not say is taken from the first group as it is now, and not as it was built."""

    def add_param_group(self, param_group):
        first = self.param_groups[0] if self.param_groups else {}
        super().add_param_group({**{k: v for k, v in first.items() if k != "params"}, **param_group})


class DefaultsFollowFirst(AdamW):
    """An edit of the first group's lr is written into the defaults too, which a late group gets."""

    def walk(self):
        self.defaults["lr"] = self.param_groups[0]["lr"]
        super().walk()


class LoadReplacesDefaults(SGD):
    """Loading takes the file's first group for the defaults, which a late group gets."""

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        self.defaults = {k: self.param_groups[0].get(k, v) for k, v in self.defaults.items()}


class ZeroLrSkipsState(Adam):
    """A group with an lr of zero, as in the first step of a warm-up, is skipped, and its moments stand still."""

    def move(self, p, g, state, group):
        if group["lr"]:
            super().move(p, g, state, group)


class ParametersListedOnce(SGD):
    """The list of all parameters is made anew when the number of groups changes, and not when one is appended."""

    listed = None

    def walk(self):
        if self.listed is None or self.listed[0] != len(self.param_groups):
            self.listed = len(self.param_groups), [(i, p) for i, g in enumerate(self.param_groups) for p in g["params"]]
        for i, p in self.listed[1]:
            if p.grad is not None:
                self.move(p, self.gradient(p, self.param_groups[i]), self.state[p], self.param_groups[i])

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        self.listed = None


class GroupsListedBeside(SGD):
    """Groups are kept in a list of its own, which grows only, so that one that was deleted goes on moving."""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        self.__dict__.setdefault("beside", []).append(self.param_groups[-1])

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        self.beside = list(self.param_groups)

    def walk(self):
        for group in self.beside:
            for p in group["params"]:
                if p.grad is not None:
                    self.move(p, self.gradient(p, group), self.state[p], group)


class BetasNeedTuple(Adam):
    """betas are put beside eps in one tuple, which fails when they are a list, as from JSON."""

    def update(self, p, g, m, v, t, group):
        b1, b2, eps = group["betas"] + (group["eps"],)
        super().update(p, g, m, v, t, {**group, "betas": (b1, b2), "eps": eps})


class BetasByIdentity(Adam):
    """betas are read again when another object is in the group, so that a list edited in place is not seen."""

    def update(self, p, g, m, v, t, group):
        known = self.__dict__.setdefault("known", {}).get(id(group))
        if known is None or known[0] is not group["betas"]:
            known = self.known[id(group)] = group["betas"], tuple(group["betas"])
        super().update(p, g, m, v, t, {**group, "betas": known[1]})
