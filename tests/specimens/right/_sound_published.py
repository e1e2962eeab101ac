"""What the right optimizers of rules that torch does not have share: their arguments, their loop and weight decay.

Imported by its own name, for a specimen is loaded from its file and its folder is on the path.
"""

import math

import torch
from _sound import Sound, demand, real

BELOW_ONE = ("betas", "beta", "momentum", "dampening")


class Published(Sound):
    """Every class says in ``move`` what happens to one parameter, on reals and without its weight decay.

    ``states`` are zeros at first, ``positive`` are the arguments that must not be zero, and ``decay`` is what
    weight decay is where there is no argument for it: coupled, decoupled, or the class's own business.
    """

    states = ()
    positive = ()
    decay = "coupled"

    def __init__(self, params, defaults):
        for name, value in defaults.items():
            if isinstance(value, bool):
                continue
            for x in value if isinstance(value, tuple | list) else (value,):
                demand(1 if name in BELOW_ONE else math.inf, **{name: x})
                if name in self.positive and x == 0:
                    raise ValueError(f"{name} must be above 0")
        super().__init__(params, defaults)

    def update(self, p, g, state, group):
        if not state:
            state["step"] = 0
            state.update({key: torch.zeros_like(p) for key in self.states})
            self.start(p, state, group)
        state["step"] += 1
        kept = [real(state[key]) for key in self.states]
        p, g = real(p), real(-g if group["maximize"] else g)
        lr, decay = float(group["lr"]), group["weight_decay"]
        if self.decay != "own" and group.get("decoupled_weight_decay", self.decay == "decoupled"):
            p.mul_(1 - lr * decay)
        elif self.decay != "own" and decay:
            g = g.add(p, alpha=decay)
        self.move(p, g, *kept, state["step"], lr, state, group)

    def start(self, p, state, group):
        pass


class WithBetas(Published):
    """Arguments of Adam."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, maximize=False, **more):
        super().__init__(
            params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize, **more)
        )
