"""Right optimizers that compute with more digits than the parameter has."""

import numpy as np
import torch
from _sound import demand_all


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class _Optimizer(torch.optim.Optimizer):
    """The loop; every class does its own arithmetic in ``update``."""

    def __init__(self, params, lr, **defaults):
        demand_all(dict(lr=lr, **defaults))
        super().__init__(params, dict(lr=lr, **defaults))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if p.grad.is_sparse:
                    raise RuntimeError("sparse gradients are not supported")
                g = -p.grad if group["maximize"] else p.grad
                self.update(p, g, self.state[p], group)
        return loss


class _KeepsWideState(_Optimizer):
    """torch narrows what it loads to the parameter's dtype; this takes state as it was saved."""

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        held = [p for group in self.param_groups for p in group["params"]]
        for index, own in state_dict["state"].items():
            wide = {k: v.clone() for k, v in own.items() if torch.is_tensor(v)}
            self.state[held[index]].update(wide)


class _Adam(_Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, maximize=False):
        wide = dict(betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize)
        super().__init__(params, lr, **wide)

    @staticmethod
    def adamw(p, g, m, v, t, group):
        """New parameter and moments from old ones, in whatever dtype they come."""
        (b1, b2), lr = group["betas"], group["lr"]
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        quotient = (m / (1 - b1**t)) / ((v / (1 - b2**t)).sqrt() + group["eps"])
        return p * (1 - lr * group["weight_decay"]) - lr * quotient, m, v


class AdamWUpcast(_Adam):
    """16 bits are widened to float32 for the arithmetic; moments are rounded back."""

    def update(self, p, g, state, group):
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"] = torch.zeros_like(p)
            state["exp_avg_sq"] = torch.zeros_like(p)
        state["step"] += 1
        kept = [_real(x) for x in (p, state["exp_avg"], state["exp_avg_sq"])]
        wide = torch.promote_types(kept[0].dtype, torch.float32)
        p, m, v = (x.to(wide) for x in kept)
        new = self.adamw(p, _real(g).to(wide), m, v, state["step"].item(), group)
        for old, x in zip(kept, new, strict=True):
            old.copy_(x)


class AdamWWideMoments(_KeepsWideState, _Adam):
    """The moments of 16 bits are float32, also after loading a state dict."""

    def update(self, p, g, state, group):
        wide = torch.promote_types(p.dtype, torch.float32)
        if not state:
            state.update(step=torch.tensor(0.0), exp_avg=torch.zeros_like(p), exp_avg_sq=torch.zeros_like(p))
        t = state["step"] = state["step"] + 1
        m, v = state["exp_avg"].to(wide), state["exp_avg_sq"].to(wide)
        parts = [_real(x) for x in (p.to(wide), g.to(wide), m, v)]
        new, m_new, v_new = self.adamw(*parts, t.item(), group)
        state["exp_avg"] = m.copy_(torch.view_as_complex(m_new) if p.is_complex() else m_new)
        state["exp_avg_sq"] = v.copy_(torch.view_as_complex(v_new) if p.is_complex() else v_new)
        _real(p).copy_(new)


class AdamWDouble(_Adam):
    """Everything is computed in float64 and rounded when it is stored."""

    def update(self, p, g, state, group):
        if not state:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(p)
            state["exp_avg_sq"] = torch.zeros_like(p)
        state["step"] += 1
        kept = [_real(x) for x in (p, state["exp_avg"], state["exp_avg_sq"])]
        p, m, v = (x.double() for x in kept)
        new = self.adamw(p, _real(g).double(), m, v, state["step"], group)
        for old, x in zip(kept, new, strict=True):
            old.copy_(x)


class RMSpropNumpy(_KeepsWideState):
    """RMSprop in numpy, in float64; complex parameters are refused."""

    def __init__(
        self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0,
        centered=False, maximize=False,
    ):  # fmt: skip
        super().__init__(
            params, lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum,
            centered=centered, maximize=maximize,
        )  # fmt: skip

    def update(self, p, g, state, group):
        if p.is_complex():
            raise RuntimeError("RMSpropNumpy does not support complex parameters")
        keys = ["square_avg", *["grad_avg"] * group["centered"]]
        keys += ["momentum_buffer"] * (group["momentum"] > 0)
        if not state:
            state["square_avg"] = torch.zeros_like(p)
        for key in keys[1:]:
            state.setdefault(key, torch.zeros_like(p))
        for key in keys:
            state[key] = state[key].double()
        alpha, x, g = group["alpha"], p.double().numpy(), g.double().numpy()
        arrays = {key: state[key].numpy() for key in keys}
        with np.errstate(all="ignore"):
            g = g + group["weight_decay"] * x
            v = arrays["square_avg"]
            v[...] = alpha * v + (1 - alpha) * g**2
            if group["centered"]:
                a = arrays["grad_avg"]
                a[...] = alpha * a + (1 - alpha) * g
                v = v - a**2
            step = g / (np.sqrt(v) + group["eps"])
            if group["momentum"] > 0:
                buffer = arrays["momentum_buffer"]
                buffer[...] = group["momentum"] * buffer + step
                step = buffer
            p.copy_(torch.as_tensor(np.asarray(x - group["lr"] * step)))
