"""Right optimizers that take sparse gradients, each in a way of its own."""

import numpy as np
import torch
from _sound import Sound, demand, demand_betas, real


class _TakesSparse(Sound):
    """The loop over parameters, for sparse gradients too."""

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p, p.grad, self.state[p], group)
        return loss


class _LazyAdam(_TakesSparse):
    """Arguments of lazy Adam, checked."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, maximize=False):
        demand(lr=lr, eps=eps)
        demand_betas(betas)
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, maximize=maximize))

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        if any(p.is_complex() for p in self.param_groups[-1]["params"]):
            raise ValueError(f"{type(self).__name__} takes no complex parameters")

    def update(self, p, g, state, group):
        if not g.is_sparse:
            raise ValueError(f"{type(self).__name__} is for sparse gradients, and this one is dense")
        if not state:
            state.update(step=torch.tensor(0.0), exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
        state["step"] += 1
        self.lazily(
            p, -g if group["maximize"] else g, state["exp_avg"], state["exp_avg_sq"], state["step"].item(), group
        )

    def rate(self, t, group):
        b1, b2 = group["betas"]
        return float(group["lr"]) * (1 - b2**t) ** 0.5 / (1 - b1**t)


class LazyAdamMasked(_LazyAdam):
    """All elements are computed, and those without an entry are put back."""

    def lazily(self, p, g, m, s, t, group):
        b1, b2 = group["betas"]
        there = torch.zeros(p.shape, dtype=torch.bool)
        there[tuple(g._indices())] = True
        full = g.to_dense()
        new_m = torch.lerp(m, full, 1 - b1)
        new_s = torch.lerp(s, full * full, 1 - b2)
        m.copy_(torch.where(there, new_m, m))
        s.copy_(torch.where(there, new_s, s))
        p.copy_(torch.where(there, p - self.rate(t, group) * new_m / (new_s.sqrt() + group["eps"]), p))


class LazyAdamSorted(_LazyAdam):
    """Entries are sorted by their place, and those of one place added up by numpy in float64."""

    def lazily(self, p, g, m, s, t, group):
        b1, b2 = group["betas"]
        if not g._nnz():
            return
        indices, values = g._indices().numpy(), g._values().double()
        order = np.lexsort(indices[::-1])
        places = indices[:, order]
        first = np.flatnonzero(np.r_[True, (places[:, 1:] != places[:, :-1]).any(0)])
        where = tuple(torch.from_numpy(index[first]) for index in places)
        total = torch.from_numpy(np.add.reduceat(values.numpy()[order], first)).to(p.dtype)
        m[where] = b1 * m[where] + (1 - b1) * total
        s[where] = b2 * s[where] + (1 - b2) * total.square()
        p[where] -= self.rate(t, group) * m[where] / (s[where].sqrt() + group["eps"])


class LazyAdamByUnique(_LazyAdam):
    """Equal places are found by unique and added up by index_add, in a flattened parameter."""

    def lazily(self, p, g, m, s, t, group):
        indices, values = g._indices(), g._values()
        if not values.numel():
            return
        lead = p.shape[: len(indices)]
        flat = torch.zeros(indices.shape[1], dtype=torch.int64)
        for size, index in zip(lead, indices, strict=True):
            flat = flat * size + index
        places, inverse = torch.unique(flat, return_inverse=True)
        shape = (-1, *p.shape[len(indices) :])
        total = values.new_zeros((len(places), *values.shape[1:])).index_add_(0, inverse, values)
        p, m, s = (x.reshape(shape) if x.is_contiguous() else x for x in (p, m, s))
        if p.shape != m.shape or p.shape[1:] != values.shape[1:]:
            raise ValueError("parameters must be contiguous")
        b1, b2 = group["betas"]
        m[places] += (1 - b1) * (total - m[places])
        s[places] = s[places].mul(b2).addcmul(total, total, value=1 - b2)
        p[places] = p[places].addcdiv(m[places], s[places].sqrt().add(group["eps"]), value=-self.rate(t, group))


class SGDEntryByEntry(_TakesSparse):
    """Entries are added to parameter and momentum one by one, never together."""

    def __init__(self, params, lr=1e-3, momentum=0.0, weight_decay=0.0, maximize=False):
        demand(lr=lr, momentum=momentum, weight_decay=weight_decay)
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay, maximize=maximize))

    def update(self, p, g, state, group):
        if group["maximize"]:
            g = -g
        if group["momentum"]:
            buffer = state.setdefault("momentum_buffer", torch.zeros_like(p)).mul_(group["momentum"])
            self.add(buffer, g, 1.0)
            buffer.add_(p, alpha=group["weight_decay"])
            p.sub_(buffer, alpha=float(group["lr"]))
        else:
            p.mul_(1 - float(group["lr"]) * group["weight_decay"])
            self.add(p, g, -float(group["lr"]))

    def add(self, target, g, factor):
        if not g.is_sparse:
            target.add_(g, alpha=factor)
            return
        for place, value in zip(g._indices().T.tolist(), g._values(), strict=True):
            target[tuple(place)] += factor * value


class AdagradOfEntries(_TakesSparse):
    """The entries alone are computed, in a numpy array of their own."""

    def __init__(self, params, lr=1e-2, lr_decay=0.0, eps=1e-10):
        demand(lr=lr, lr_decay=lr_decay, eps=eps)
        super().__init__(params, dict(lr=lr, lr_decay=lr_decay, eps=eps))

    def update(self, p, g, state, group):
        if not state:
            state.update(step=torch.tensor(0.0), sum=torch.zeros_like(p))
        state["step"] += 1
        rate = float(group["lr"]) / (1 + (state["step"].item() - 1) * group["lr_decay"])
        if not g.is_sparse:
            p, g, total = real(p), real(g), real(state["sum"])
            total.add_(g.square())
            p.sub_(rate * (g / (total.sqrt() + group["eps"])))
            return
        g = g.coalesce()
        where = tuple(g.indices())
        p, values, total = real(p), real(g.values()), real(state["sum"])
        total[where] += values.square()
        p[where] -= rate * (values / (total[where].sqrt() + group["eps"]))
