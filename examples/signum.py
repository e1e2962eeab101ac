"""A rule of your own, and an optimizer that claims it.

optim-verify certify examples/signum.py:Signum --rule examples/signum.py:SIGNUM
optim-verify explain examples/signum.py:SIGNUM
"""

from math import inf

import torch

from reference import Hyperparameter, Option, StateVariable, UpdateRule, sign


def equations(v, options):
    """v.p is the parameter, v.g its gradient; v.let assigns a new value and returns it."""
    g = -v.g if options.maximize else v.g
    m = v.let("momentum_buffer", v.momentum * v.momentum_buffer + (1 - v.momentum) * g)
    v.let("p", v.p - v.lr * sign(m) - v.lr * v.weight_decay * v.p)


SIGNUM = UpdateRule(
    name="signum",
    title="Signum: the sign of an exponential average of gradients",
    source="Bernstein et al. 2018, Algorithm 2 (arXiv:1802.04434)",
    equations=equations,
    hyperparameters=(
        # trials are values worth trying: large ones show mistakes that the usual ones hide
        Hyperparameter("lr", 1e-3, trials=(0.5, 1.0, 0.1)),
        Hyperparameter("momentum", 0.9, high=1.0, trials=(0.5, 0.9, 0.0)),
        Hyperparameter("weight_decay", 0.0, absent=0.0, trials=(0.5, 0.0)),
    ),
    state=(StateVariable("momentum_buffer"),),
    options=(Option("maximize"),),
)


class Signum(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, momentum=0.9, weight_decay=0.0, maximize=False):
        for name, value, below in (("lr", lr, inf), ("momentum", momentum, 1), ("weight_decay", weight_decay, inf)):
            if not 0 <= value < below:  # so that nan is refused too
                raise ValueError(f"{name} must be at least 0 and below {below}, and is {value}")
        defaults = dict(lr=lr, momentum=momentum, weight_decay=weight_decay, maximize=maximize)
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure=None):
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.grad.is_sparse:
                    raise RuntimeError("Signum does not support sparse gradients")
                # a complex parameter is two reals, as torch decided
                x, g = (torch.view_as_real(t) if p.is_complex() else t for t in (p, p.grad))
                g = -g if group["maximize"] else g
                state = self.state[p]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(p)
                m = state["momentum_buffer"]
                m = torch.view_as_real(m) if p.is_complex() else m
                m.lerp_(g, 1 - group["momentum"])
                x.mul_(1 - group["lr"] * group["weight_decay"]).sub_(m.sign(), alpha=group["lr"])
        return loss
