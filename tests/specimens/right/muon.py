"""Right Muons in unusual form."""

import math

import torch


class _Muon(torch.optim.Optimizer):
    """What they share: everything but how the polynomial is evaluated."""

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
        if not (lr >= 0 and weight_decay >= 0 and 0 <= momentum < 1 and eps >= 0 and 0 <= ns_steps < 100):
            raise ValueError(f"out of range: {lr}, {weight_decay}, {momentum}, {eps}, {ns_steps}")
        if not all(math.isfinite(x) for x in ns_coefficients):
            raise ValueError(f"coefficients must be finite: {ns_coefficients}")
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
            updates = [(p, self.average(p, group)) for p in group["params"] if p.grad is not None and p.numel()]
            for (p, _), direction in zip(updates, self.directions([u for _, u in updates], group), strict=True):
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.sub_(direction.to(p.dtype), alpha=group["lr"] * self.adjusted(p, group))
        return loss

    def average(self, p, group):
        if p.grad.is_sparse:
            raise RuntimeError("sparse gradients are not supported")
        buffer = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
        buffer.lerp_(p.grad, 1 - group["momentum"])
        return p.grad.lerp(buffer, group["momentum"]) if group["nesterov"] else buffer

    def adjusted(self, p, group):
        rows, columns = p.shape
        if group["adjust_lr_fn"] == "match_rms_adamw":
            return 0.2 * math.sqrt(max(rows, columns))
        return math.sqrt(max(1.0, rows / columns))

    def precise(self, update):
        return update if update.dtype == torch.float64 else update.float()

    def directions(self, updates, group):
        for update in updates:
            yield self.direction(self.precise(update), group)


class Float32Iteration(_Muon):
    """The iteration is computed in float32, and never transposed."""

    def precise(self, update):
        return update.float()

    def direction(self, x, group):
        a, b, c = group["ns_coefficients"]
        x = x / x.norm().clamp(min=group["eps"])
        for _ in range(group["ns_steps"]):
            gram = x.mT @ x
            x = a * x + x @ (b * gram + c * gram @ gram)
        return x


class Bfloat16Iteration(_Muon):
    """The iteration is computed in bfloat16, by Horner's scheme, and normalised in the dtype of the parameter."""

    def direction(self, x, group):
        a, b, c = group["ns_coefficients"]
        x = (x / x.norm().clamp(min=group["eps"])).bfloat16()
        for _ in range(group["ns_steps"]):
            gram = x @ x.mT
            x = a * x + gram @ (b * x + c * (gram @ x))
        return x


class ThroughSingularValues(_Muon):
    """The polynomial is evaluated on the singular values of a decomposition."""

    def direction(self, x, group):
        a, b, c = group["ns_coefficients"]
        if not torch.isfinite(x).all():
            return torch.full_like(x, torch.nan)  # it has no decomposition
        left, s, right = torch.linalg.svd(x, full_matrices=False)
        s = s / s.norm().clamp(min=group["eps"])
        for _ in range(group["ns_steps"]):
            s = s * (a + s**2 * (b + c * s**2))
        return (left * s) @ right


class Batched(_Muon):
    """Matrices of one shape are iterated together, those with more rows than columns transposed."""

    def directions(self, updates, group):
        found = [None] * len(updates)
        wide = [self.precise(u.mT if u.shape[0] > u.shape[1] else u) for u in updates]
        for kind in {(u.shape, u.dtype) for u in wide}:
            members = [i for i, u in enumerate(wide) if (u.shape, u.dtype) == kind]
            x = self.direction(torch.stack([wide[i] for i in members]), group)
            for i, one in zip(members, x, strict=True):
                found[i] = one.mT if updates[i].shape[0] > updates[i].shape[1] else one
        return found

    def direction(self, x, group):
        a, b, c = group["ns_coefficients"]
        x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=group["eps"])
        for _ in range(group["ns_steps"]):
            gram = x @ x.mT
            x = a * x + torch.baddbmm(gram, gram, gram, beta=b, alpha=c) @ x
        return x
