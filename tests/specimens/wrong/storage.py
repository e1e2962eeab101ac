"""Wrong walks through a tensor, in plain gradient descent: tails, layouts, NaN and infinity."""

import torch


class _Descent(torch.optim.Optimizer):
    """The loop; every class says in ``update`` what it does with one tensor."""

    def __init__(self, params, lr=1e-3):
        super().__init__(params, dict(lr=lr))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p, p.grad, group["lr"])
        return loss

    def update(self, p, g, lr):
        p.sub_(lr * g)


def _flat(p, g, first, last):
    """The elements first to last, of a flat copy, and how to write them back."""
    flat = p.flatten().clone()
    return flat[first:last], g.flatten()[first:last], lambda: p.copy_(flat.view_as(p))


class TailOfEight(_Descent):
    """Elements are taken eight at a time, and a rest of fewer than eight is left out."""

    def update(self, p, g, lr):
        part, g, write = _flat(p, g, 0, p.numel() - p.numel() % 8)
        part.sub_(lr * g)
        write()


class TailOfSixtyFour(_Descent):
    """From 64 elements on, blocks of 64 are taken, and a partial one at the end is left out."""

    def update(self, p, g, lr):
        last = p.numel() if p.numel() < 64 else p.numel() - p.numel() % 64
        part, g, write = _flat(p, g, 0, last)
        part.sub_(lr * g)
        write()


class LastElementMissing(_Descent):
    """The loop over elements ends one too early when their number is odd and above one."""

    def update(self, p, g, lr):
        n = p.numel()
        part, g, write = _flat(p, g, 0, n - 1 if n % 2 and n > 1 else n)
        part.sub_(lr * g)
        write()


class FirstOfBlockTwice(_Descent):
    """Blocks of 32 overlap by one element, which is moved twice."""

    def update(self, p, g, lr):
        part, grad, write = _flat(p, g, 0, p.numel())
        part.sub_(lr * grad)
        part[32::32] -= lr * grad[32::32]
        write()


class LaunchLimit(_Descent):
    """One launch covers 65,535 elements, and there is only one."""

    def update(self, p, g, lr):
        part, g, write = _flat(p, g, 0, 65535)
        part.sub_(lr * g)
        write()


class WalksStorage(_Descent):
    """Parameter and gradient are walked in the order of their memory. [R04]"""

    def update(self, p, g, lr):
        def line(x):
            return x.as_strided((x.numel(),), (1,), x.storage_offset())

        line(p).sub_(lr * line(g))


class UpdatesReshapedCopy(_Descent):
    """reshape(-1) of a parameter that is not contiguous is a copy, and the copy is updated."""

    def update(self, p, g, lr):
        p.reshape(-1).sub_(lr * g.reshape(-1))


class ViewCrashes(_Descent):
    """view(-1) of a parameter or gradient that is not contiguous is an error."""

    def update(self, p, g, lr):
        p.view(-1).sub_(lr * g.view(-1))


class SliceCrashesOnScalar(_Descent):
    """[:] of a tensor without dimensions is an error. [N06]"""

    def update(self, p, g, lr):
        p[:] -= lr * g


class MaximumCrashesOnEmpty(_Descent):
    """The largest element of an empty gradient is an error. [N04]"""

    def update(self, p, g, lr):
        if g.abs().max() != 0:
            p.sub_(lr * g)


class ScalesGradientInPlace(_Descent):
    """The gradient is scaled in place, which an expanded one does not allow."""

    def update(self, p, g, lr):
        p.sub_(g.mul_(lr))
        g.div_(lr)


class TensorSkippedWithNaN(_Descent):
    """A tensor with one NaN or infinity in its gradient is not moved at all."""

    def update(self, p, g, lr):
        if g.isfinite().all():
            p.sub_(lr * g)


class NaNSpreads(_Descent):
    """A flag for NaN and infinity is added to every element of the tensor."""

    def update(self, p, g, lr):
        p.sub_(lr * g + (0 * g).sum())


class StepSkippedWithNaN(_Descent):
    """One NaN or infinity in any gradient skips the step of all parameters."""

    @torch.no_grad()
    def step(self, closure=None):
        grads = [p.grad for group in self.param_groups for p in group["params"]]
        if all(g is None or bool(g.isfinite().all()) for g in grads):
            return super().step(closure)
        return None
