"""Wrong Muons: every class says in one method what it does, in the place of the right lines. All compute in float32."""

import math

import torch


class _Muon(torch.optim.Optimizer):
    """The right one."""

    def __init__(
        self,
        params,
        lr=1e-3,
        weight_decay=0.1,
        momentum=0.95,
        nesterov=True,
        ns_coefficients=(3.4445, -4.775, 2.0315),
        eps=1e-7,
        ns_steps=5,
        adjust_lr_fn=None,
    ):
        super().__init__(
            params,
            dict(
                lr=lr,
                weight_decay=weight_decay,
                momentum=momentum,
                nesterov=nesterov,
                ns_coefficients=ns_coefficients,
                eps=eps,
                ns_steps=ns_steps,
                adjust_lr_fn=adjust_lr_fn,
            ),
        )

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    buffer = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                    update = self.average(p.grad, buffer, group)
                    direction = self.iterate(self.normalised(update.to(self.precision(p)), group), group)
                    self.move(p, direction.to(p.dtype), group)
        return loss

    def precision(self, p):
        return p.dtype if p.dtype == torch.float64 else torch.float32

    def average(self, g, buffer, group):
        buffer.lerp_(g, 1 - group["momentum"])
        return g.lerp(buffer, group["momentum"]) if group["nesterov"] else buffer

    def norm(self, x):
        return x.norm()

    def normalised(self, x, group):
        return x / self.norm(x).clamp(min=group["eps"])

    def count(self, group):
        return group["ns_steps"]

    def polynomial(self, x, group):
        a, b, c = group["ns_coefficients"]
        gram = x @ x.T
        return a * x + (b * gram + c * gram @ gram) @ x

    def iterate(self, x, group):
        for _ in range(self.count(group)):
            x = self.polynomial(x, group)
        return x

    def adjusted(self, p, group):
        rows, columns = p.shape
        if group["adjust_lr_fn"] == "match_rms_adamw":
            return 0.2 * math.sqrt(max(rows, columns))
        return math.sqrt(max(1, rows / columns)) if columns else 1.0

    def move(self, p, direction, group):
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.sub_(direction, alpha=group["lr"] * self.adjusted(p, group))


class CoefficientsSwapped(_Muon):
    """The coefficients of the third and of the fifth power are swapped."""

    def polynomial(self, x, group):
        a, b, c = group["ns_coefficients"]
        return super().polynomial(x, {**group, "ns_coefficients": (a, c, b)})


class CubicIteration(_Muon):
    """The polynomial is Newton's and Schulz's 1.5 x - 0.5 x^3, whatever coefficients are given."""

    def polynomial(self, x, group):
        return super().polynomial(x, {**group, "ns_coefficients": (1.5, -0.5, 0.0)})


class OneIterationLess(_Muon):
    """The first iteration is left out."""

    def count(self, group):
        return max(group["ns_steps"] - 1, 0)


class OneIterationMore(_Muon):
    """There is one iteration more than asked for."""

    def count(self, group):
        return group["ns_steps"] + 1


class NotNormalised(_Muon):
    """The update is iterated as it is, without the division by its norm."""

    def normalised(self, x, group):
        return x


class NormalisedBySpectrum(_Muon):
    """The update is divided by its largest singular value and not by its Frobenius norm."""

    def norm(self, x):
        return torch.linalg.matrix_norm(x, 2) if x.numel() else x.norm()


class NormalisedByLargest(_Muon):
    """The update is divided by its largest element and not by its Frobenius norm."""

    def norm(self, x):
        return x.abs().max() if x.numel() else x.norm()


class EpsAdded(_Muon):
    """The eps is added to the norm, and is no lower bound of it."""

    def normalised(self, x, group):
        return x / (self.norm(x) + group["eps"])


class ElementwisePolynomial(_Muon):
    """The polynomial is that of each element, and not of the matrix."""

    def polynomial(self, x, group):
        a, b, c = group["ns_coefficients"]
        return a * x + b * x**3 + c * x**5


class NesterovWithOldBuffer(_Muon):
    """Nesterov's form takes the buffer as it was before this step."""

    def average(self, g, buffer, group):
        old = buffer.clone()
        buffer.lerp_(g, 1 - group["momentum"])
        return g.lerp(old, group["momentum"]) if group["nesterov"] else buffer


class MomentumUndamped(_Muon):
    """The gradient enters the buffer without the factor 1 - momentum."""

    def average(self, g, buffer, group):
        buffer.mul_(group["momentum"]).add_(g)
        return g.lerp(buffer, group["momentum"]) if group["nesterov"] else buffer


class RowsAndColumnsSwapped(_Muon):
    """The learning rate grows with columns over rows."""

    def adjusted(self, p, group):
        return super().adjusted(p.T, group)


class NotAdjusted(_Muon):
    """The learning rate is the same for every shape."""

    def adjusted(self, p, group):
        return 1.0


class ShorterSide(_Muon):
    """To match Adam's root mean square the step is scaled by the shorter side."""

    def adjusted(self, p, group):
        rows, columns = p.shape
        if group["adjust_lr_fn"] == "match_rms_adamw":
            return 0.2 * math.sqrt(min(rows, columns))
        return super().adjusted(p, group)


class DecayCoupled(_Muon):
    """The decay is part of the gradient."""

    def average(self, g, buffer, group):
        return super().average(g + group["weight_decay"] * self.parameter, buffer, group)

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    buffer = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
                    self.parameter = p.detach().clone()
                    update = self.average(p.grad, buffer, group)
                    direction = self.iterate(self.normalised(update.to(self.precision(p)), group), group)
                    self.move(p, direction.to(p.dtype), {**group, "weight_decay": 0.0})
        return loss


class DecayAfterStep(_Muon):
    """The parameter is decayed after the step, which shrinks the step too."""

    def move(self, p, direction, group):
        p.sub_(direction, alpha=group["lr"] * self.adjusted(p, group))
        p.mul_(1 - group["lr"] * group["weight_decay"])


class DecayWithoutLr(_Muon):
    """The decay is not multiplied by the learning rate."""

    def move(self, p, direction, group):
        p.mul_(1 - group["weight_decay"])
        p.sub_(direction, alpha=group["lr"] * self.adjusted(p, group))


class DecayTimesAdjustedLr(_Muon):
    """The decay is multiplied by the adjusted learning rate, and depends on the shape."""

    def move(self, p, direction, group):
        rate = group["lr"] * self.adjusted(p, group)
        p.mul_(1 - rate * group["weight_decay"])
        p.sub_(direction, alpha=rate)


class BufferNormalised(_Muon):
    """Without nesterov the update is the buffer itself, which is divided in place."""

    def normalised(self, x, group):
        return x.div_(self.norm(x).clamp(min=group["eps"]))
