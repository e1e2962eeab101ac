"""Wrong optimizers with factored second moments: every class says in one method what it does wrong."""

import torch


def rms(x):
    return x.norm() / x.numel() ** 0.5


class _Factored(torch.optim.Optimizer):
    """The loop, and averages of rows and columns."""

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None and p.numel():
                    state = self.state[p]
                    state["step"] = state.get("step", 0) + 1
                    self.update(p, p.grad, state, group)
        return loss

    def average(self, state, key, x, weight):
        return state.setdefault(key, torch.zeros_like(x)).lerp_(x, weight)

    def row_mean(self, x):
        return x.mean(-1, keepdim=True)

    def column_mean(self, x):
        return x.mean(-2, keepdim=True)

    def factored(self, state, names, x, weight):
        rows = self.average(state, names[0], self.row_mean(x), weight)
        columns = self.average(state, names[1], self.column_mean(x), weight)
        return self.joined(rows, columns)

    def joined(self, rows, columns):
        return rows / rows.mean(-2, keepdim=True) * columns


class _Adafactor(_Factored):
    """The right one, as torch has it."""

    def __init__(self, params, lr=1e-2, beta2_decay=-0.8, eps=(1e-30, 1e-3), d=1.0, weight_decay=0.0):
        super().__init__(params, dict(lr=lr, beta2_decay=beta2_decay, eps=eps, d=d, weight_decay=weight_decay))

    def weight(self, t, group):
        return t ** group["beta2_decay"]

    def joined(self, rows, columns):
        return rows * columns / rows.mean(-2, keepdim=True).clamp(min=self.eps1)

    def is_factored(self, p):
        return p.dim() > 1

    def variance(self, p, g, state, group):
        weight = self.weight(state["step"], group)
        self.eps1 = group["eps"][0]
        if self.is_factored(p):
            return self.factored(state, ("row_var", "col_var"), g * g, weight)
        return self.average(state, "variance", g * g, weight)

    def clipped(self, u, group):
        return u / max(1.0, rms(u).item() / group["d"])

    def size(self, p, t, group):
        return max(group["eps"][1], rms(p).item()) * min(group["lr"], t**-0.5)

    def root(self, variance, group):
        return variance.clamp(min=group["eps"][0] ** 2).sqrt()

    def update(self, p, g, state, group):
        u = self.clipped(g / self.root(self.variance(p, g, state, group), group), group)
        alpha = self.size(p, state["step"], group)
        p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(alpha * u)


class RowsOverAll(_Adafactor):
    """The rows are divided by the mean of the columns' averages, taken over rows and columns of all matrices."""

    def joined(self, rows, columns):
        return rows * columns / rows.mean().clamp(min=self.eps1)


class RowsAreSums(_Adafactor):
    """The row means are sums."""

    def row_mean(self, x):
        return x.sum(-1, keepdim=True)


class AxesSwapped(_Adafactor):
    """The column's estimate is divided by the mean of the columns in the place of that of the rows."""

    def joined(self, rows, columns):
        return rows * columns / columns.mean(-2, keepdim=True).clamp(min=self.eps1)


class NotClipped(_Adafactor):
    """The update is not clipped."""

    def clipped(self, u, group):
        return u


class ClippedByNorm(_Adafactor):
    """The update is clipped by its norm, and not by its root mean square."""

    def clipped(self, u, group):
        return u / max(1.0, u.norm().item() / group["d"])


class SizeAfterDecay(_Adafactor):
    """The parameter has decayed already when its root mean square is taken."""

    def update(self, p, g, state, group):
        u = self.clipped(g / self.root(self.variance(p, g, state, group), group), group)
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.sub_(self.size(p, state["step"], group) * u)


class SizeNotRelative(_Adafactor):
    """The step size does not fall as 1 / sqrt(t)."""

    def size(self, p, t, group):
        return max(group["eps"][1], rms(p).item()) * group["lr"]


class SizeWithoutParameter(_Adafactor):
    """The step is not in proportion to the parameter."""

    def size(self, p, t, group):
        return min(group["lr"], t**-0.5)


class DecayOneStepEarly(_Adafactor):
    """The weight of a new square is that of the next step."""

    def weight(self, t, group):
        return (t + 1) ** group["beta2_decay"]


class FloorNotSquared(_Adafactor):
    """The floor of the second moment is eps1, and not its square."""

    def root(self, variance, group):
        return variance.clamp(min=group["eps"][0]).sqrt()


class FloorOutsideRoot(_Adafactor):
    """eps1 is added to the root, and is no floor."""

    def root(self, variance, group):
        return variance.sqrt() + group["eps"][0]


class OnlyMatrices(_Adafactor):
    """What has three dimensions or more is not factored."""

    def is_factored(self, p):
        return p.dim() == 2


class NothingFactored(_Adafactor):
    """Nothing is factored, whatever its shape."""

    def is_factored(self, p):
        return False


class _AdafactorOfUsers(_Factored):
    """The right one, as the paper has it."""

    def __init__(
        self, params, lr=1e-2, beta1=0.0, decay_rate=-0.8, eps=(1e-30, 1e-3), clip_threshold=1.0, weight_decay=0.0,
        scale_parameter=True, relative_step=True,
    ):  # fmt: skip
        super().__init__(
            params, dict(lr=lr, beta1=beta1, decay_rate=decay_rate, eps=eps, clip_threshold=clip_threshold,
            weight_decay=weight_decay, scale_parameter=scale_parameter, relative_step=relative_step),
        )  # fmt: skip

    def square(self, g, group):
        return g * g + group["eps"][0]

    def variance(self, p, g, state, group):
        weight = state["step"] ** group["decay_rate"]
        if p.dim() > 1:
            names = "exp_avg_sq_row", "exp_avg_sq_col"
            return self.factored(state, names, self.square(g, group), weight)
        return self.average(state, "exp_avg_sq", self.square(g, group), weight)

    def size(self, p, t, group):
        rate = group["lr"]
        if group["relative_step"]:
            rate = min(1e-2, t**-0.5)
        return max(group["eps"][1], rms(p).item()) * rate if group["scale_parameter"] else rate

    def moved(self, u, alpha, state, group):
        return self.average(state, "exp_avg", alpha * u, 1 - group["beta1"])

    def update(self, p, g, state, group):
        u = g / self.variance(p, g, state, group).sqrt()
        u = u / max(1.0, rms(u).item() / group["clip_threshold"])
        alpha = self.size(p, state["step"], group)
        p.sub_(alpha * group["weight_decay"] * p + self.moved(u, alpha, state, group))


class FloorForAddition(_AdafactorOfUsers):
    """eps1 is a floor of the squares, and is not added to them."""

    def square(self, g, group):
        return (g * g).clamp(min=group["eps"][0])


class MomentumOfDirections(_AdafactorOfUsers):
    """The momentum is that of directions: it is scaled by the step size of now, and not by those of then."""

    def moved(self, u, alpha, state, group):
        return alpha * self.average(state, "exp_avg", u, 1 - group["beta1"])


class _CAME(_Factored):
    """The right one."""

    def __init__(
        self, params, lr=2e-4, betas=(0.9, 0.999, 0.9999), eps=(1e-30, 1e-16), clip_threshold=1.0, weight_decay=0.0
    ):
        super().__init__(
            params, dict(lr=lr, betas=betas, eps=eps, clip_threshold=clip_threshold, weight_decay=weight_decay)
        )

    def surprise(self, u, m, old, eps):
        return (u - m) ** 2 + eps

    def direction(self, m, confidence):
        return m / confidence.sqrt()

    def update(self, p, g, state, group):
        (b1, b2, b3), (eps1, eps2) = group["betas"], group["eps"]
        square = g * g + eps1
        if p.dim() > 1:
            variance = self.factored(state, ("exp_avg_sq_row", "exp_avg_sq_col"), square, 1 - b2)
        else:
            variance = self.average(state, "exp_avg_sq", square, 1 - b2)
        u = g / variance.sqrt()
        u = u / max(1.0, rms(u).item() / group["clip_threshold"])
        old = state["exp_avg"].clone() if "exp_avg" in state else torch.zeros_like(p)
        m = self.average(state, "exp_avg", u, 1 - b1)
        if p.dim() > 1:
            names = "exp_avg_res_row", "exp_avg_res_col"
            m = self.direction(m, self.factored(state, names, self.surprise(u, m, old, eps2), 1 - b3))
        p.sub_(group["lr"] * group["weight_decay"] * p + group["lr"] * m)


class SurpriseAtOldMomentum(_CAME):
    """The surprise is the distance from the momentum before this step."""

    def surprise(self, u, m, old, eps):
        return (u - old) ** 2 + eps


class SurpriseNotSquared(_CAME):
    """The distance is not squared."""

    def surprise(self, u, m, old, eps):
        return (u - m).abs() + eps


class ConfidenceInverted(_CAME):
    """The momentum counts for more where it disagrees with the update."""

    def direction(self, m, confidence):
        return m * confidence.sqrt()


class ConfidenceWithoutRoot(_CAME):
    """The root of the confidence's estimate is not taken."""

    def direction(self, m, confidence):
        return m / confidence
