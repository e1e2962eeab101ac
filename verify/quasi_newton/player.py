"""A way to do L-BFGS, right or wrong, as an optimizer: what the judge makes of it shows what the judge can see."""

from __future__ import annotations

import math

import flint
import torch
from flint import arb

from reference.quasi_newton.conventions import CONVENTIONS, Conventions
from reference.quasi_newton.enclosure import EXACT
from reference.quasi_newton.history import History
from reference.quasi_newton.reading import BITS
from verify.quasi_newton.minimise import flat, real


class Player(torch.optim.Optimizer):
    """Minimises by conventions. Its arithmetic is exact, but for the rounding of every new point.

    What it has learnt is no part of its state dict.

    Args:
        params, lr, max_iter, max_eval, tolerance_grad, tolerance_change, history_size, line_search_fn: as those of
            torch.optim.LBFGS.
        conventions: the way to do it.
    """

    def __init__(
        self,
        params,
        lr=1.0,
        max_iter=20,
        max_eval=None,
        tolerance_grad=1e-7,
        tolerance_change=1e-9,
        history_size=100,
        line_search_fn=None,
        conventions: Conventions = CONVENTIONS,
    ):
        most = max_iter * 5 // 4 if max_eval is None else max_eval
        own = dict(lr=lr, max_iter=max_iter, max_eval=most, tolerance_grad=tolerance_grad)
        own |= dict(tolerance_change=tolerance_change, history_size=history_size, line_search_fn=line_search_fn)
        super().__init__(params, own)
        self.conventions = conventions
        self.history, self.iterations = History(conventions, EXACT), 0

    @torch.no_grad()
    def step(self, closure):  # type: ignore[override]
        with flint.ctx.workprec(BITS):
            return self._minimise(torch.enable_grad()(closure))

    def _minimise(self, closure):
        group, c = self.param_groups[0], self.conventions
        self.evaluations = 0
        first, loss, g = self._evaluate(closure)
        if c.forgets:
            self.history, self.iterations = History(c, EXACT), 0
        if c.size(g) <= group["tolerance_grad"]:
            return first
        for iteration in range(1, group["max_iter"] + 1):
            self.iterations += 1
            x, old = self._point(), loss
            d = self._direction(x, g, group)
            slope = EXACT.dot(g, d)
            if not slope <= -group["tolerance_change"]:
                break
            length = c.first_length if self.iterations == 1 else c.length
            t = length(g, arb(group["lr"]), EXACT)
            if group["line_search_fn"]:
                loss, g = self._search(closure, x, d, t, loss, g, slope)
            else:
                self._go(x, d, t)
                if iteration < group["max_iter"] and self.evaluations < group["max_eval"]:
                    _, loss, g = self._evaluate(closure)
            moved = max(abs(a - b) for a, b in zip(self._point(), x, strict=True))
            if self.evaluations >= group["max_eval"] or c.size(g) <= group["tolerance_grad"]:
                break
            if moved <= group["tolerance_change"] or abs(loss - old) < group["tolerance_change"]:
                break
        return first

    def _direction(self, x: list[arb], g: list[arb], group) -> list[arb]:
        """-H g, with what the last step has shown."""
        self.history = self.history.beginning_at(x, g)
        pair = self.history.newest(arb(group["lr"]))
        if pair is not None and self.conventions.takes(pair, EXACT):
            self.history = self.history.remembering(pair, group["history_size"])
        return self.history.directions(g)[0]

    def _search(self, closure, x, d, t, loss, g, slope):
        """Halve the bracket, or double the step, until the conditions hold."""
        c, most = self.conventions, self.param_groups[0]["max_eval"]
        low, high, best = arb(0), None, (arb(0), loss, g)
        while self.evaluations < most:
            self._go(x, d, t)
            _, there, gradient = self._evaluate(closure)
            s = [a - b for a, b in zip(self._point(), x, strict=True)]
            before, after = EXACT.dot(g, s), EXACT.dot(gradient, s)
            lower = c.armijo is None or there <= loss + c.armijo * before
            flat_enough = c.wolfe is None or abs(after) <= c.wolfe * abs(before)
            if lower and there <= best[1]:
                best = t, there, gradient
            if lower and flat_enough:
                return there, gradient
            if lower and after < 0:
                low = t
            else:
                high = t
            t = 2 * t if high is None else (low + high) / 2
        self._go(x, d, best[0])
        return best[1:]

    def _evaluate(self, closure):
        returned = closure()
        self.evaluations += 1
        parameters = self.param_groups[0]["params"]
        gradient = flat([torch.zeros_like(p) if p.grad is None else p.grad for p in parameters])
        return returned, arb(float(returned)), [arb(v) for v in gradient]

    def _point(self) -> list[arb]:
        return [arb(v) for v in flat(self.param_groups[0]["params"])]

    def _go(self, x: list[arb], d: list[arb], t: arb) -> None:
        """To x + t d."""
        ends = [float((x_i + t * d_i).mid()) for x_i, d_i in zip(x, d, strict=True)]
        for p in self.param_groups[0]["params"]:
            part = real(p)
            count = math.prod(part.shape)
            part.copy_(torch.tensor(ends[:count], dtype=torch.float64).reshape(part.shape))
            ends = ends[count:]
