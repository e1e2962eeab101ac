"""Optimizers without a known rule that break what holds for every optimizer."""

import torch
from _faithful import Faithful, real


class _Trusting(Faithful):
    """Right: momentum over the root of squares, as large as the parameter; each tensor for itself."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.01, maximize=False):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize))

    def move(self, p, g, state, group):
        if "step" not in state:
            state.update(step=torch.tensor(0.0), mean=torch.zeros_like(p), power=torch.zeros_like(p))
        t = self.count(state)
        p, g, m, v, (b1, b2) = real(p), real(g), real(state["mean"]), real(state["power"]), group["betas"]
        m.mul_(b1).add_(g, alpha=1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        update = (m / (1 - b1**t)) / ((v / (1 - b2**t)).sqrt() + group["eps"]) + group["weight_decay"] * p
        size, way = float(p.norm()), float(update.norm())
        p.sub_(float(group["lr"]) * (size / way if size and way else 1.0) * update)

    def count(self, state):
        state["step"] += 1
        return state["step"].item()


class BetasOfFirstStep(_Trusting):
    """betas are kept from a parameter's first step in an attribute."""

    def move(self, p, g, state, group):
        known = self.__dict__.setdefault("known", {}).setdefault(p, tuple(group["betas"]))
        super().move(p, g, state, {**group, "betas": known})


class DecayInState(_Trusting):
    """weight_decay is kept in the state from a parameter's first step."""

    def move(self, p, g, state, group):
        decay = state.setdefault("decay", group["weight_decay"])
        super().move(p, g, state, {**group, "weight_decay": decay})


class LrReadAhead(_Trusting):
    """The lr of the next step is read at the end of this one, and kept in the group."""

    def walk(self):
        for group in self.param_groups:
            lr = group.get("now", group["lr"])
            for p in group["params"]:
                if p.grad is not None:
                    self.move(p, self.gradient(p, group), self.state[p], {**group, "lr": lr})
                    group["now"] = group["lr"]


class SmallestLr(_Trusting):
    """The smallest lr that the group had is used."""

    def move(self, p, g, state, group):
        group["smallest"] = min(group.get("smallest", group["lr"]), group["lr"])
        super().move(p, g, state, {**group, "lr": group["smallest"]})


class TensorLrNotTaken(_Trusting):
    """A tensor that is written into a group as lr is ignored for the constructor's lr."""

    def move(self, p, g, state, group):
        lr = self.defaults["lr"] if isinstance(group["lr"], torch.Tensor) else group["lr"]
        super().move(p, g, state, {**group, "lr": lr})


class ZeroLrStops(_Trusting):
    """With an lr of zero nothing is done, and the moments stand still."""

    def move(self, p, g, state, group):
        if group["lr"]:
            super().move(p, g, state, group)


class LateTakesFirst(_Trusting):
    """A late group takes what it does not say from the first group as it is now."""

    def add_param_group(self, param_group):
        first = self.param_groups[0] if self.param_groups else {}
        super().add_param_group({**{k: v for k, v in first.items() if k != "params"}, **param_group})


class MissingIsZero(_Trusting):
    """Where a gradient was and is missing now, a gradient of zero is taken, and the momentum goes on moving."""

    def walk(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.move(p, self.gradient(p, group), self.state[p], group)
                elif self.state.get(p):
                    self.move(p, torch.zeros_like(p), self.state[p], group)


class MissingCounts(_Trusting):
    """A step without a gradient moves nothing, and is counted."""

    def walk(self):
        super().walk()
        for p in self.held():
            if p.grad is None and self.state.get(p):
                self.state[p]["step"] += 1


class LastGradientAgain(_Trusting):
    """The last gradient is kept in the state, and used again where there is none."""

    def walk(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.state[p]["last"] = self.gradient(p, group).clone()
                if "last" in self.state.get(p, {}):
                    self.move(p, self.state[p]["last"], self.state[p], group)


class CountInBfloat16(_Trusting):
    """The count is a bfloat16 tensor, which stands still at 256."""

    def count(self, state):
        state["step"] = (state["step"] + 1).to(torch.bfloat16)
        return state["step"].item()


class EmptyFails(_Trusting):
    """The largest element of a gradient is asked for, which an empty one does not have."""

    def move(self, p, g, state, group):
        g.abs().max()
        super().move(p, g, state, group)


class NaNReachesOthers(_Trusting):
    """A sum over all gradients is multiplied by zero and added."""

    def walk(self):
        total = sum(float(p.grad.abs().sum()) for p in self.held() if p.grad is not None)
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.move(p, self.gradient(p, group) + 0 * total, self.state[p], group)


class RestOfThousandLeft(_Trusting):
    """What is left when a large tensor is cut into pieces of 1,024 elements does not move."""

    def move(self, p, g, state, group):
        old = p.clone()
        super().move(p, g, state, group)
        if p.numel() > 1024 and p.is_contiguous():
            rest = p.numel() // 1024 * 1024
            p.view(-1)[rest:] = old.view(-1)[rest:]


class ComplexBySize(_Trusting):
    """Both parts of a complex number are divided by the root of its squared modulus, and by no norm."""

    def move(self, p, g, state, group):
        if not p.is_complex():
            return super().move(p, g, state, group)
        power = state.setdefault("power", torch.zeros_like(p.real))
        power.mul_(group["betas"][1]).add_(g.abs() ** 2)
        p.sub_(float(group["lr"]) * g / (power.sqrt() + group["eps"]))
        return None
