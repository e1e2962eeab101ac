"""Right lazy Adam in pieces, as `_faithful.py` has the others."""

import torch
from _faithful import Faithful


class LazyAdam(Faithful):
    """Right lazy Adam, for sparse gradients alone."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, maximize=False):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, maximize=maximize))

    def gradient(self, p, group):
        if not p.grad.is_sparse:
            raise RuntimeError(f"{type(self).__name__} takes sparse gradients alone; for dense ones there is Adam")
        return p.grad

    def move(self, p, g, state, group):
        if not state:
            self.start(p, state)
        self.count(g, state)
        where, values = self.entries(p, g)
        if group["maximize"]:
            values = -values
        self.update(p, where, values, state, group)

    def start(self, p, state):
        state["step"] = 0
        state["exp_avg"] = torch.zeros_like(p)
        state["exp_avg_sq"] = torch.zeros_like(p)

    def count(self, g, state):
        state["step"] += 1

    def entries(self, p, g):
        """Where the entries are, and what they are."""
        g = g.coalesce()
        return tuple(g.indices()), g.values()

    def update(self, p, where, values, state, group):
        self.remember(where, values, state, group)
        self.shift(p, where, state, self.rate(where, state, group), group)

    def remember(self, where, values, state, group):
        (b1, b2), m, s = group["betas"], state["exp_avg"], state["exp_avg_sq"]
        m[where] = b1 * m[where] + (1 - b1) * values
        s[where] = b2 * s[where] + (1 - b2) * values * values

    def rate(self, where, state, group):
        (b1, b2), t = group["betas"], state["step"]
        return float(group["lr"]) * (1 - b2**t) ** 0.5 / (1 - b1**t)

    def shift(self, p, where, state, rate, group):
        m, s = state["exp_avg"], state["exp_avg_sq"]
        p[where] -= rate * m[where] / (s[where].sqrt() + group["eps"])
