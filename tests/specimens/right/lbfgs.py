"""L-BFGS in a few lines, with a method for every convention; the wrong ones change one of them."""

import math
import numbers

import torch


def flat(tensors):
    return torch.cat([(torch.view_as_real(t) if t.is_complex() else t).reshape(-1) for t in tensors])


class LBFGS(torch.optim.Optimizer):
    """Two loops over lists of pairs, and a line search that halves its bracket."""

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
    ):
        max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
        own = dict(lr=lr, max_iter=max_iter, max_eval=max_eval, tolerance_grad=tolerance_grad)
        own |= dict(tolerance_change=tolerance_change, history_size=history_size)
        for name, value in own.items():
            number = value.item() if isinstance(value, torch.Tensor) and value.numel() == 1 else value
            if not isinstance(number, numbers.Real) or not 0 <= number < math.inf:
                raise ValueError(f"{name} must be a number from 0, and is {value!r}")
        if line_search_fn not in (None, "strong_wolfe"):
            raise ValueError(f"line_search_fn must be None or 'strong_wolfe', and is {line_search_fn!r}")
        super().__init__(params, {**own, "line_search_fn": line_search_fn})

    def add_param_group(self, group):
        if self.param_groups:
            raise ValueError("all parameters share one matrix, and must be in one group")
        super().add_param_group(group)

    @property
    def params(self):
        return self.param_groups[0]["params"]

    # -- one call ----------------------------------------------------------------------------

    def step(self, closure):
        with torch.no_grad():
            return self.minimise(torch.enable_grad()(closure))

    def minimise(self, closure):
        group = self.param_groups[0]
        lr, state = float(group["lr"]), self.state[self.params[0]]
        if not state:
            state.update(func_evals=0, n_iter=0, steps=[], changes=[], gamma=1.0, step=None, gradient=None)
        self.calls = 0
        returned, loss, g = self.evaluate(closure, state)
        if self.is_small(g, group["tolerance_grad"]):
            return returned
        for iteration in range(1, self.iterations(group) + 1):
            state["n_iter"] += 1
            if state["step"] is not None:
                self.learn(state, state["step"], self.change(g, state), group)
            d = self.direction(g, list(zip(state["steps"], state["changes"], strict=True)), state["gamma"])
            slope = g.dot(d)
            if slope > -group["tolerance_change"]:
                state["step"], state["gradient"] = 0 * d, g
                break
            t = self.first_length(g, lr) if state["n_iter"] == 1 else self.length(g, lr)
            before, state["gradient"] = loss, g
            if group["line_search_fn"]:
                t, loss, g = self.search(closure, state, d, t, loss, g, slope)
                self.move(t, d)
            else:
                self.move(t, d)
                if iteration < self.iterations(group) and self.calls < group["max_eval"]:
                    _, loss, g = self.evaluate(closure, state)
            state["step"] = self.step_of(t, d, lr)
            if self.calls >= group["max_eval"] or self.is_small(g, group["tolerance_grad"]):
                break
            if self.is_stuck((t * d).abs().max(), abs(loss - before), group["tolerance_change"]):
                break
        return returned

    def evaluate(self, closure, state):
        returned = closure()
        self.calls += 1
        state["func_evals"] += 1
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.params]
        return returned, float(returned), flat([g.to_dense() if g.is_sparse else g for g in grads])

    def move(self, t, d):
        for p in self.params:
            part = torch.view_as_real(p) if p.is_complex() else p
            part.add_(d[: part.numel()].view(part.shape), alpha=float(t))
            d = d[part.numel() :]

    def search(self, closure, state, d, t, loss, g, slope):
        group, start = self.param_groups[0], [p.clone() for p in self.params]
        low, high, best = 0.0, None, (0.0, loss, g)
        while self.calls < group["max_eval"]:
            self.move(t, d)
            _, there, gradient = self.evaluate(closure, state)
            for p, old in zip(self.params, start, strict=True):
                p.copy_(old)
            lower = self.is_lower(there, loss, t * slope)
            if lower and there <= best[1]:
                best = t, there, gradient
            if lower and self.is_flat(gradient.dot(d), slope):
                return t, there, gradient
            if lower and gradient.dot(d) < 0:
                low = t
            else:
                high = t
            if high is not None and (high - low) * d.abs().max() < max(1e-9, group["tolerance_change"]):
                break
            longer = 2 * t if high is None else (low + high) / 2
            if not math.isfinite(float((longer * d).abs().max())):
                break
            t = longer
        return best

    # -- conventions -------------------------------------------------------------------------

    def iterations(self, group):
        return group["max_iter"]

    def is_small(self, g, tolerance):
        return g.abs().max() <= tolerance

    def is_stuck(self, moved, changed, tolerance):
        return moved <= tolerance or changed < tolerance

    def first_length(self, g, lr):
        return min(1.0, 1.0 / float(g.abs().sum())) * lr

    def length(self, g, lr):
        return lr

    def change(self, g, state):
        return g - state["gradient"]

    def step_of(self, t, d, lr):
        return t * d

    def learn(self, state, s, y, group):
        if self.is_curved(s, y):
            state["steps"].append(s)
            state["changes"].append(y)
            state["gamma"] = self.scaling(s, y)
        self.forget(state, group["history_size"])

    def is_curved(self, s, y):
        return y.dot(s) > 1e-10

    def forget(self, state, size):
        del state["steps"][:-size], state["changes"][:-size]

    def scaling(self, s, y):
        return float(y.dot(s) / y.dot(y))

    def direction(self, g, pairs, gamma):
        q, alphas = -g, []
        for s, y in reversed(pairs):
            alphas.append(s.dot(q) / y.dot(s))
            q = q - alphas[-1] * y
        q = gamma * q
        for s, y in pairs:
            q = q + s * (alphas.pop() - y.dot(q) / y.dot(s))
        return q

    def is_lower(self, there, loss, change):
        return there <= loss + 1e-4 * change

    def is_flat(self, slope_there, slope):
        return abs(slope_there) <= 0.9 * abs(slope)


class Compact(LBFGS):
    """The compact representation (Byrd, Nocedal & Schnabel 1994): two triangular solves, no loop."""

    def direction(self, g, pairs, gamma):
        if not pairs:
            return -gamma * g
        dtype = g.dtype
        # there are no triangular solves in low precisions
        g = g if dtype == torch.float64 else g.float()
        s, y = (torch.stack([pair[k] for pair in pairs], 1).to(g.dtype) for k in (0, 1))
        sy = s.T @ y
        r, diagonal = sy.triu(), torch.diag(sy.diagonal())
        a = torch.linalg.solve_triangular(r, (s.T @ g)[:, None], upper=True)[:, 0]
        b = (diagonal + gamma * (y.T @ y)) @ a - gamma * (y.T @ g)
        b = torch.linalg.solve_triangular(r.T, b[:, None], upper=False)[:, 0]
        return -(gamma * g + s @ b - gamma * (y @ a)).to(dtype)


class ByDifferences(LBFGS):
    """s is the difference of the points themselves, and not the step that was meant."""

    def minimise(self, closure):
        self.here = flat(self.params).clone()
        return super().minimise(closure)

    def step_of(self, t, d, lr):
        there = flat(self.params).clone()
        moved, self.here = there - self.here, there
        return moved


class WideSums(LBFGS):
    """All of the direction is computed in double precision."""

    def direction(self, g, pairs, gamma):
        wide = [(s.double(), y.double()) for s, y in pairs]
        return super().direction(g.double(), wide, gamma).to(g.dtype)


class Stored(LBFGS):
    """The newest pair comes first, and rho is kept with it."""

    def direction(self, g, pairs, gamma):
        newest_first = [(s, y, 1.0 / s.dot(y)) for s, y in pairs[::-1]]
        r, alphas = g.clone(), []
        for s, y, rho in newest_first:
            alphas.append(rho * s.dot(r))
            r.sub_(y, alpha=float(alphas[-1]))
        r.mul_(gamma)
        for (s, y, rho), alpha in zip(newest_first[::-1], alphas[::-1], strict=True):
            r.add_(s, alpha=float(alpha - rho * y.dot(r)))
        return r.neg_()
