"""Wrong weight decay in Adam and AdamW: every class says in ``update`` what it does."""

import math

import torch


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


def _quotient(g, state, group, squared=None):
    """Advance the moments; the corrected first one and what it is divided by."""
    m, v, (b1, b2) = _real(state["exp_avg"]), _real(state["exp_avg_sq"]), group["betas"]
    squared = g if squared is None else squared
    state["step"] += 1
    t = state["step"].item()
    m.lerp_(g, 1 - b1)
    v.mul_(b2).addcmul_(squared, squared, value=1 - b2)
    return m / (1 - b1**t), (v / (1 - b2**t)).sqrt() + group["eps"]


class _AdamW(torch.optim.Optimizer):
    """The right AdamW."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    if not self.state[p]:
                        self.state[p]["step"] = torch.tensor(0.0)
                        self.state[p]["exp_avg"] = torch.zeros_like(p)
                        self.state[p]["exp_avg_sq"] = torch.zeros_like(p)
                    lr, wd = group["lr"], group["weight_decay"]
                    self.update(_real(p), _real(p.grad), self.state[p], group, lr, wd)
        return loss

    def update(self, p, g, state, group, lr, wd):
        p.mul_(1 - lr * wd)
        p.addcdiv_(*_quotient(g, state, group), value=-lr)


class DecayExponential(_AdamW):
    """The parameter is multiplied by exp(-lr weight_decay), to which 1 - lr weight_decay is only near."""

    def update(self, p, g, state, group, lr, wd):
        p.mul_(math.exp(-lr * wd))
        p.addcdiv_(*_quotient(g, state, group), value=-lr)


class DecayAfterStep(_AdamW):
    """The parameter is decayed after the step, which shrinks the step too. [F02]"""

    def update(self, p, g, state, group, lr, wd):
        p.addcdiv_(*_quotient(g, state, group), value=-lr)
        p.mul_(1 - lr * wd)


class DecayWithoutLr(_AdamW):
    """The decoupled decay is not multiplied by lr. [F23]"""

    def update(self, p, g, state, group, lr, wd):
        p.mul_(1 - wd)
        p.addcdiv_(*_quotient(g, state, group), value=-lr)


class DecayTimesLrTwice(_AdamW):
    """The decoupled decay is multiplied by lr twice. [F25]"""

    def update(self, p, g, state, group, lr, wd):
        p.mul_(1 - lr * lr * wd)
        p.addcdiv_(*_quotient(g, state, group), value=-lr)


class DecayGrows(_AdamW):
    """The decoupled decay has the wrong sign."""

    def update(self, p, g, state, group, lr, wd):
        p.mul_(1 + lr * wd)
        p.addcdiv_(*_quotient(g, state, group), value=-lr)


class DecayCoupled(_AdamW):
    """Claims decoupled decay and adds it to the gradient."""

    def update(self, p, g, state, group, lr, wd):
        p.addcdiv_(*_quotient(g + wd * p, state, group), value=-lr)


class DecayDivided(_AdamW):
    """The decay is added to the first moment, so the second divides it."""

    def update(self, p, g, state, group, lr, wd):
        m, divisor = _quotient(g, state, group)
        p.addcdiv_(m + wd * p, divisor, value=-lr)


class DecayBiasCorrected(_AdamW):
    """The decay is multiplied by the bias-corrected step size and not by lr."""

    def update(self, p, g, state, group, lr, wd):
        t = state["step"].item() + 1
        p.mul_(1 - lr / (1 - group["betas"][0] ** t) * wd)
        p.addcdiv_(*_quotient(g, state, group), value=-lr)


class DecayThrownAway(_AdamW):
    """The decayed parameter is computed and never used. [F29]"""

    def update(self, p, g, state, group, lr, wd):
        p.mul(1 - lr * wd)
        p.addcdiv_(*_quotient(g, state, group), value=-lr)


class DecayOnlyWithGradient(_AdamW):
    """Elements whose gradient is zero are not decayed."""

    def update(self, p, g, state, group, lr, wd):
        p.sub_(lr * wd * p * (g != 0))
        p.addcdiv_(*_quotient(g, state, group), value=-lr)


class DecaySparesVectors(_AdamW):
    """Parameters of fewer than two dimensions are not decayed."""

    def update(self, p, g, state, group, lr, wd):
        if p.dim() > 1:
            p.mul_(1 - lr * wd)
        p.addcdiv_(*_quotient(g, state, group), value=-lr)


class CoupledDecayDecoupled(_AdamW):
    """Claims Adam's decay in the gradient and decays the parameter."""


class CoupledDecayOnlyInFirst(_AdamW):
    """Adam's decay enters the first moment and not the second."""

    def update(self, p, g, state, group, lr, wd):
        p.addcdiv_(*_quotient(g + wd * p, state, group, squared=g), value=-lr)


class CoupledDecayScalesGradient(_AdamW):
    """Adam's decay multiplies the gradient: g * (1 + wd * p). [F15]"""

    def update(self, p, g, state, group, lr, wd):
        p.addcdiv_(*_quotient(g * (1 + wd * p), state, group), value=-lr)


class CoupledDecayInPlace(_AdamW):
    """Adam's decay is added into p.grad: a second step on the same gradient has it twice. [G02]"""

    def update(self, p, g, state, group, lr, wd):
        p.addcdiv_(*_quotient(g.add_(p, alpha=wd), state, group), value=-lr)


class CoupledDecayTimesLr(_AdamW):
    """Adam's decay in the gradient is multiplied by lr."""

    def update(self, p, g, state, group, lr, wd):
        p.addcdiv_(*_quotient(g + lr * wd * p, state, group), value=-lr)
