"""Right optimizers on the far side of what checks of groups, checkpoints and unknown rules look at."""

import torch
from _sound import Sound, SoundAdam, SoundSGD, adam, demand, real, sgd


class SGDNormInState(SoundSGD):
    """The norm of the last gradient is in the state as a number of float32, which loading casts with the rest."""

    def update(self, p, g, state, group):
        sgd(p, g, state, group)
        state["norm"] = torch.linalg.vector_norm(g).real.float().clone()


class AdamEager(SoundAdam):
    """State is made when a group is added, and there is none for a parameter that is appended to one."""

    def add_param_group(self, param_group):
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            self.state[p] = {
                "step": torch.tensor(0.0),
                "exp_avg": torch.zeros_like(p),
                "exp_avg_sq": torch.zeros_like(p),
            }

    def update(self, p, g, state, group):
        state["step"] += 1
        adam(p, g, state["exp_avg"], state["exp_avg_sq"], state["step"].item(), group)


class LargestLr(Sound):
    """The step is weighed by the lr's share of the largest lr so far, which a group remembers."""

    def __init__(self, params, lr=0.1, momentum=0.9):
        demand(lr=lr)
        demand(1, momentum=momentum)
        super().__init__(params, dict(lr=lr, momentum=momentum))

    def update(self, p, g, state, group):
        lr = float(group["lr"])
        largest = group["largest"] = max(group.get("largest", 0.0), lr)
        if not state:
            state["mean"] = torch.zeros_like(p)
        p, g, m = real(p), real(g), real(state["mean"])
        m.mul_(group["momentum"]).add_(g, alpha=1 - group["momentum"])
        p.sub_((lr * lr / largest if largest else 0.0) * m)


class Centred(Sound):
    """The mean of every row of a matrix is taken off the gradient; complex numbers are no rows of two."""

    def __init__(self, params, lr=0.1, momentum=0.9):
        demand(lr=lr)
        demand(1, momentum=momentum)
        super().__init__(params, dict(lr=lr, momentum=momentum))

    def update(self, p, g, state, group):
        if g.ndim > 1 and g.numel():
            g = g - g.mean(tuple(range(1, g.ndim)), keepdim=True)
        if not state:
            state["buffer"] = torch.zeros_like(p)
        state["buffer"].mul_(group["momentum"]).add_(g)
        p.sub_(float(group["lr"]) * state["buffer"])


class Averaging(Sound):
    """Every third step a parameter is drawn to a slow copy of itself."""

    def __init__(self, params, lr=0.1, share=0.5):
        demand(lr=lr)
        demand(1, share=share)
        super().__init__(params, dict(lr=lr, share=share))

    def update(self, p, g, state, group):
        if not state:
            state.update(step=0, slow=p.clone())
        state["step"] += 1
        p.sub_(float(group["lr"]) * g)
        if state["step"] % 3 == 0:
            state["slow"].add_(p - state["slow"], alpha=group["share"])
            p.copy_(state["slow"])
