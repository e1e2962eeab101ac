"""What the wrong optimizers of rules that torch does not have share: state, count and coupled decay.

Imported by its own name, for a specimen is loaded from its file and its folder is on the path.
"""

import torch
from _faithful import Faithful, real


class Published(Faithful):
    """Every class says in ``update`` how one parameter moves, on reals and with the decay in the gradient."""

    states = ()
    coupled = True

    def __init__(self, params, **defaults):
        super().__init__(params, {"maximize": False} | defaults)

    def move(self, p, g, state, group):
        if not state:
            state["step"] = 0
            state.update({key: torch.zeros_like(p) for key in self.states})
            self.start(p, state, group)
        state["step"] += 1
        p, g = real(p), real(g)
        if self.coupled:
            g = g + group["weight_decay"] * p
        kept = [real(state[key]) for key in self.states]
        self.update(p, g, *kept, state["step"], float(group["lr"]), state, group)

    def start(self, p, state, group):
        pass


class WithBetas(Published):
    """Arguments of Adam."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, **more):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, **more)
