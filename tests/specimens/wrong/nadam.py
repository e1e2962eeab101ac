"""Wrong NAdams. ``_NAdam`` is right; every other class overrides the piece it gets wrong."""

import torch


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class _NAdam(torch.optim.Optimizer):
    """The right one."""

    def __init__(self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, momentum_decay=4e-3):
        defaults = dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        super().__init__(params, defaults | dict(momentum_decay=momentum_decay))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    if not state:
                        state["step"] = torch.tensor(0.0)
                        state["mu_product"] = torch.tensor(1.0)
                        state["exp_avg"] = torch.zeros_like(p)
                        state["exp_avg_sq"] = torch.zeros_like(p)
                        self.start(state)
                    state["step"] += 1
                    self.update(_real(p), _real(p.grad), state, group)
        return loss

    def start(self, state):
        pass

    def update(self, p, g, state, group):
        m, v = _real(state["exp_avg"]), _real(state["exp_avg_sq"])
        t, (b1, b2), lr = state["step"].item(), group["betas"], group["lr"]
        g = g + group["weight_decay"] * p
        m.lerp_(g, 1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)
        mu, mu_next = self.mus(b1, t, group["momentum_decay"])
        product, product_next = self.products(state["mu_product"], mu, mu_next)
        divisor = self.divisor(v, 1 - b2**t, group["eps"])
        p.addcdiv_(g, divisor, value=-lr * (1 - mu) / (1 - product))
        p.addcdiv_(m, divisor, value=-lr * mu_next / (1 - product_next))

    def mus(self, b1, t, decay):
        return tuple(b1 * (1 - 0.5 * 0.96 ** (i * decay)) for i in (t, t + 1))

    def products(self, stored, mu, mu_next):
        stored *= mu
        return stored.item(), stored.item() * mu_next

    def divisor(self, v, correction, eps):
        return (v / correction).sqrt() + eps


class EpsInsideRoot(_NAdam):
    """Epsilon is added inside the root."""

    def divisor(self, v, correction, eps):
        return (v / correction + eps).sqrt()


class MuTwice(_NAdam):
    """mu enters the product of the next step twice. [F11]"""

    def products(self, stored, mu, mu_next):
        stored *= mu
        return stored.item(), stored.item() * mu * mu_next


class ProductStartsAtZero(_NAdam):
    """The product of mus starts at zero, where it stays. [F13]"""

    def start(self, state):
        state["mu_product"].zero_()


class ProductNotKept(_NAdam):
    """The product of mus holds only the newest one."""

    def products(self, stored, mu, mu_next):
        stored.fill_(mu)
        return mu, mu * mu_next


class NextProductIsThis(_NAdam):
    """The moment is corrected with this step's product and not with the next one's."""

    def products(self, stored, mu, mu_next):
        stored *= mu
        return stored.item(), stored.item()


class MuNextIsThis(_NAdam):
    """This step's mu stands for the next one's."""

    def mus(self, b1, t, decay):
        mu = b1 * (1 - 0.5 * 0.96 ** (t * decay))
        return mu, mu


class MuOneStepLate(_NAdam):
    """The mus are those of the step before."""

    def mus(self, b1, t, decay):
        return super().mus(b1, t - 1, decay)


class MomentumDecayIgnored(_NAdam):
    """momentum_decay is accepted, and a fixed 4e-3 is used."""

    def mus(self, b1, t, decay):
        return super().mus(b1, t, 4e-3)


class ThisProductIsNext(_NAdam):
    """The gradient is corrected by the product up to the next step, as the first moment is."""

    def products(self, stored, mu, mu_next):
        stored *= mu
        return stored.item() * mu_next, stored.item() * mu_next
