"""Wrong bookkeeping beyond one step: edits, late groups, order, splits, bystanders, what the caller passed."""

from _faithful import SGD, Adam, AdamW


class DecayOfFirstGroup(SGD):
    """Every group has its own lr, but the weight decay of the first one."""

    def decayed(self, p, g, group):
        return super().decayed(p, g, self.param_groups[0])


class StepSizeRememberedByCount(Adam):
    """The step size is remembered by the count, so groups of one count share the first one's lr."""

    def walk(self):
        self.rates = {}
        super().walk()

    def rate(self, t, group):
        if t not in self.rates:
            self.rates[t] = super().rate(t, group)
        return self.rates[t]


class DecayFromDefaults(AdamW):
    """The weight decay is read from the constructor's defaults and not from the group."""

    def decayed(self, p, g, group):
        return super().decayed(p, g, {**group, "weight_decay": self.defaults["weight_decay"]})


class LrOfFirstStep(SGD):
    """A parameter keeps the lr of its first step, whatever is written into its group later."""

    def move(self, p, g, state, group):
        lr = state.setdefault("lr", float(group["lr"]))
        super().move(p, g, state, {**group, "lr": lr})


class BetasCached(Adam):
    """betas are cached at a parameter's first step, so later edits of them do nothing."""

    def move(self, p, g, state, group):
        cached = self.__dict__.setdefault("cached", {})
        super().move(p, g, state, {**group, "betas": cached.setdefault(p, group["betas"])})


class DecayFactorPrecomputed(AdamW):
    """lr times weight_decay is computed when a group is added, so edits of either do not reach the decay."""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        group["shrink"] = 1 - float(group["lr"]) * group["weight_decay"]

    def decayed(self, p, g, group):
        p.mul_(group["shrink"])
        return g


class EditOfFirstGroupForAll(SGD):
    """The lr of every group follows the edits of the first group's, as if there were one schedule. [P17]"""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        group["base"] = (float(group["lr"]), float(self.param_groups[0]["lr"]))

    def move(self, p, g, state, group):
        lr, first = group["base"]
        factor = float(self.param_groups[0]["lr"]) / first if first else 1.0
        super().move(p, g, state, {**group, "lr": lr * factor})


class TensorLrIgnored(SGD):
    """An lr that is no Python number, as a tensor, is replaced by the constructor's."""

    def move(self, p, g, state, group):
        known = isinstance(group["lr"], int | float)
        super().move(p, g, state, group if known else {**group, "lr": self.defaults["lr"]})


class TensorLrCorrectedInPlace(Adam):
    """The bias correction divides lr in place, which a tensor lr keeps. [L01]"""

    def rate(self, t, group):
        rate = group["lr"]
        rate /= 1 - group["betas"][0] ** t
        return float(rate)


class EditOneStepLate(SGD):
    """The lr of the next step is read at the end of this one, so an edit is late by a step."""

    def move(self, p, g, state, group):
        lr = state.get("next_lr", float(group["lr"]))
        super().move(p, g, state, {**group, "lr": lr})
        state["next_lr"] = float(group["lr"])


class LrNeverRises(SGD):
    """The smallest lr so far is used, so a warm restart does nothing."""

    def move(self, p, g, state, group):
        state["lowest"] = min(state.get("lowest", float(group["lr"])), float(group["lr"]))
        super().move(p, g, state, {**group, "lr": state["lowest"]})


class LateGroupNotWalked(SGD):
    """step() goes over as many groups as there were at construction. [P13]"""

    known = None

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
        super().__init__(params, lr, momentum, dampening, weight_decay)
        self.known = len(self.param_groups)

    def walk(self):
        for group in self.param_groups[: self.known]:
            for p in group["params"]:
                if p.grad is not None:
                    self.move(p, self.gradient(p, group), self.state[p], group)


class LateGroupWithoutState(Adam):
    """State is made in the constructor and nowhere else, so a group added later has none."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(params, lr, betas, eps, weight_decay)
        for p in self.held():
            super().start(p, self.state[p])

    def start(self, p, state):
        pass


class LateGroupGetsDefaults(SGD):
    """A group added later loses its own hyperparameters and gets the constructor's."""

    built = True

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
        self.built = False
        super().__init__(params, lr, momentum, dampening, weight_decay)
        self.built = True

    def add_param_group(self, param_group):
        super().add_param_group({"params": param_group["params"]} if self.built else param_group)


class LateGroupJoinsCount(Adam):
    """The parameters of a group added later start at the count of the oldest one. [S02]"""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        counts = [state["step"].item() for state in self.state.values() if state]
        for p in self.param_groups[-1]["params"] if counts else ():
            self.start(p, self.state[p])
            self.state[p]["step"].fill_(max(counts))


class FirstOfGroupUndecayed(AdamW):
    """The first of several parameters of a group is taken for a bias and not decayed."""

    def decayed(self, p, g, group):
        spared = len(group["params"]) > 1 and p.data_ptr() == group["params"][0].data_ptr()
        return g if spared else super().decayed(p, g, group)


class LrFallsAlongGroup(SGD):
    """lr falls by a tenth from one parameter of a group to the next."""

    def move(self, p, g, state, group):
        index = next(i for i, q in enumerate(group["params"]) if q is p)
        super().move(p, g, state, {**group, "lr": float(group["lr"]) * 0.9**index})


class DecayOfGroupBefore(SGD):
    """The decay is read at the end of the loop over groups, so a group has that of the one before it. [P05]"""

    def walk(self):
        decay = self.param_groups[0]["weight_decay"]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.move(p, self.gradient(p, group), self.state[p], {**group, "weight_decay": decay})
            decay = group["weight_decay"]


class CorrectionCompoundsAlongGroup(Adam):
    """The bias correction divides a local lr inside the parameter loop, once more for every parameter."""

    def walk(self):
        for group in self.param_groups:
            self.correction = 1.0
            for p in group["params"]:
                if p.grad is not None:
                    self.move(p, self.gradient(p, group), self.state[p], group)

    def rate(self, t, group):
        self.correction *= 1 - group["betas"][0] ** t
        return float(group["lr"]) / self.correction


class LrDividedByGroups(SGD):
    """lr is divided by the number of groups."""

    def move(self, p, g, state, group):
        super().move(p, g, state, {**group, "lr": float(group["lr"]) / len(self.param_groups)})


class LrDividedByGroupSize(SGD):
    """lr is divided by the number of parameters in the group, as if their updates were to be averaged."""

    def move(self, p, g, state, group):
        super().move(p, g, state, {**group, "lr": float(group["lr"]) / len(group["params"])})


class ClippedByGlobalNorm(SGD):
    """Gradients are scaled so that the norm over all parameters is at most 1."""

    def gradient(self, p, group):
        g = super().gradient(p, group)
        total = sum(q.grad.norm().item() ** 2 for q in self.held() if q.grad is not None) ** 0.5
        return g / total if total > 1 else g


class NeedsAllGradients(SGD):
    """Nothing in a group moves in a step in which one of its parameters has no gradient."""

    def walk(self):
        for group in self.param_groups:
            if all(p.grad is not None for p in group["params"]):
                for p in group["params"]:
                    self.move(p, self.gradient(p, group), self.state[p], group)


class LrDividedByGradients(SGD):
    """lr is divided by the number of parameters that have a gradient in this step."""

    def move(self, p, g, state, group):
        active = sum(q.grad is not None for q in self.held())
        super().move(p, g, state, {**group, "lr": float(group["lr"]) / active})


class GradientsPairedWithAll(SGD):
    """Gradients that exist are paired with all parameters, so a missing one shifts the others."""

    def walk(self):
        for group in self.param_groups:
            grads = [self.gradient(p, group) for p in group["params"] if p.grad is not None]
            for p, g in zip(group["params"], grads, strict=False):
                self.move(p, g, self.state[p], group)


class DtypeOfFirst(SGD):
    """All gradients of a group are computed with in the dtype of the first one."""

    def walk(self):
        for group in self.param_groups:
            moving = [p for p in group["params"] if p.grad is not None]
            for p in moving:
                self.move(p, self.gradient(p, group).to(moving[0].dtype), self.state[p], group)


class EmptyGroupCrashes(SGD):
    """The device of a group is asked of its first parameter, which an empty group has not."""

    def walk(self):
        self.devices = [group["params"][0].device for group in self.param_groups]
        super().walk()


class NothingToUnzip(SGD):
    """Parameters and gradients of a group are unzipped, which fails when no parameter has a gradient. [P19]"""

    def walk(self):
        for group in self.param_groups:
            pairs = [(p, self.gradient(p, group)) for p in group["params"] if p.grad is not None]
            params, grads = zip(*pairs, strict=True)
            for p, g in zip(params, grads, strict=True):
                self.move(p, g, self.state[p], group)


class ShareOfNothing(SGD):
    """The share of parameters that have a gradient is written down, and is 0/0 in an empty group. [N02]"""

    def walk(self):
        shares = [sum(p.grad is not None for p in g["params"]) / len(g["params"]) for g in self.param_groups]
        if max(shares) > 0:
            super().walk()


class IdleStepsCounted(Adam):
    """A step in which no parameter has a gradient advances the count of all. [N02]"""

    def walk(self):
        if all(p.grad is None for p in self.held()):
            for group in self.param_groups:
                group["idle"] = group.get("idle", 0) + 1
        super().walk()

    def count(self, p, state, group):
        return super().count(p, state, group) + group.get("idle", 0)


class PopsFromCallersGroup(SGD):
    """lr is popped from the dict that the caller passed as a group. [P14]"""

    def add_param_group(self, param_group):
        own = {**param_group, "lr": param_group.pop("lr", self.defaults["lr"])}
        super().add_param_group(own)


class EmptiesCallersList(SGD):
    """The caller's list of parameters is emptied into the optimizer's own."""

    def add_param_group(self, param_group):
        params, own = param_group["params"], []
        while isinstance(params, list) and params:
            own.append(params.pop(0))
        super().add_param_group({**param_group, "params": own or params})


class ReversesCallersList(SGD):
    """The caller's list of parameters is turned round in place."""

    def add_param_group(self, param_group):
        params = param_group["params"]
        own = {**param_group, "params": list(params)} if isinstance(params, list) else dict(param_group)
        if isinstance(params, list):
            params.reverse()
        super().add_param_group(own)


class ConsumesCallersGroups(SGD):
    """The caller's list of groups is empty after construction."""

    def __init__(self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0):
        groups = params
        if isinstance(params, list) and params and isinstance(params[0], dict):
            groups = list(params)
            params.clear()
        super().__init__(groups, lr, momentum, dampening, weight_decay)


class BetasBecomeList(Adam):
    """betas in the dict that the caller passed become a list of rounded numbers."""

    def add_param_group(self, param_group):
        own = dict(param_group)
        if "betas" in param_group:
            param_group["betas"] = [round(float(b), 1) for b in param_group["betas"]]
        super().add_param_group(own)
