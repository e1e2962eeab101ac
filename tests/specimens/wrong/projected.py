"""Wrong AdamPs and SGDPs: every class overrides the piece that it gets wrong."""

import math

from _faithful_published import Published, WithBetas


class _Projects:
    """The right projection."""

    def views(self, p):
        return ((p.shape[0], -1), (1, -1))

    def is_projected(self, p):
        return p.ndim > 1 and p.numel() > 0

    def bound(self, delta, count):
        return delta / math.sqrt(count)

    def cosine(self, x, y, eps):
        return ((x * y).sum(1) / (x.norm(dim=1).clamp(min=eps) * y.norm(dim=1).clamp(min=eps))).abs()

    def decides(self, cosines):
        return cosines.max()

    def along(self, unit, step):
        return unit * (unit * step).sum(1, keepdim=True)

    def projected(self, p, g, step, group):
        if not self.is_projected(p):
            return step, 1.0
        for shape in self.views(p):
            x, y = p.reshape(shape), g.reshape(shape)
            cosines = self.cosine(x, y, group["eps"])
            if self.decides(cosines) < self.bound(group["delta"], x.shape[1]):
                unit = x / (x.norm(dim=1, keepdim=True) + group["eps"])
                along = self.along(unit, step.reshape(shape))
                return step - along.reshape(step.shape), group["wd_ratio"]
        return step, 1.0


class _AdamP(_Projects, WithBetas):
    """The right one."""

    states = ("exp_avg", "exp_avg_sq")
    coupled = False

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, delta=0.1, wd_ratio=0.1, nesterov=False
    ):
        super().__init__(params, lr, betas, eps, weight_decay, delta=delta, wd_ratio=wd_ratio, nesterov=nesterov)

    def update(self, p, g, m, s, t, lr, state, group):
        b1, b2 = group["betas"]
        m.mul_(b1).add_(g, alpha=1 - b1)
        s.mul_(b2).addcmul_(g, g, value=1 - b2)
        ahead = b1 * m + (1 - b1) * g if group["nesterov"] else m
        step = ahead / ((s / (1 - b2**t)).sqrt() + group["eps"])
        step, ratio = self.projected(p, g, step, group)
        p.mul_(1 - lr * group["weight_decay"] * ratio)
        p.sub_(lr / (1 - b1**t) * step)


class OnlyChannels(_AdamP):
    """The parameter is not looked at as a whole."""

    def views(self, p):
        return ((p.shape[0], -1),)


class OnlyLayer(_AdamP):
    """Channels are not looked at."""

    def views(self, p):
        return ((1, -1),)


class CosineSigned(_AdamP):
    """The cosine is taken with its sign: a parameter that points uphill is always projected."""

    def cosine(self, x, y, eps):
        return (x * y).sum(1) / (x.norm(dim=1).clamp(min=eps) * y.norm(dim=1).clamp(min=eps))


class BoundWithoutRoot(_AdamP):
    """Delta is divided by the number of elements, and not by its root."""

    def bound(self, delta, count):
        return delta / count


class MeanDecides(_AdamP):
    """The mean cosine of the channels decides, and not the largest."""

    def decides(self, cosines):
        return cosines.mean()


class ReflectedNotProjected(_AdamP):
    """The part along the parameter is taken out twice."""

    def along(self, unit, step):
        return 2 * super().along(unit, step)


class RatioForgotten(_AdamP):
    """The decay is the same where the step is projected."""

    def projected(self, p, g, step, group):
        return super().projected(p, g, step, group)[0], 1.0


class _SGDP(_Projects, Published):
    """The right one."""

    states = ("momentum",)
    coupled = False

    def __init__(
        self, params, lr=1e-3, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, eps=1e-8, delta=0.1,
        wd_ratio=0.1,
    ):  # fmt: skip
        super().__init__(
            params, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov,
            eps=eps, delta=delta, wd_ratio=wd_ratio,
        )  # fmt: skip

    def update(self, p, g, b, t, lr, state, group):
        b.mul_(group["momentum"]).add_(self.fresh(p, g, group), alpha=1 - group["dampening"])
        step = g + group["momentum"] * b if group["nesterov"] else b.clone()
        step, ratio = self.projected(p, g, step, group)
        p.mul_(1 - lr * group["weight_decay"] * ratio / self.divisor(group["momentum"]))
        p.sub_(lr * step)

    def fresh(self, p, g, group):
        return g

    def divisor(self, momentum):
        return 1 - momentum


class DecayNotDivided(_SGDP):
    """The decay is not divided by 1 - momentum."""

    def divisor(self, momentum):
        return 1


class EpsAlone(_SGDP):
    """The unit vector is made with the norm alone, where epsilon is added to it."""

    def along(self, unit, step):
        unit = unit / unit.norm(dim=1, keepdim=True).clamp(min=1e-30)
        return super().along(unit, step)


class ProjectedIntoBuffer(_SGDP):
    """The gradient is projected before the momentum takes it in, and the step is not."""

    def fresh(self, p, g, group):
        return super().projected(p, g, g, group)[0]

    def projected(self, p, g, step, group):
        return step, super().projected(p, g, step, group)[1]
