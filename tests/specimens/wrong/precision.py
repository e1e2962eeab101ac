"""Wrong dtypes, in Adam: every class says in ``work`` or ``keep`` where it loses digits."""

import torch


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


class _Adam(torch.optim.Optimizer):
    """The right one; it computes in the parameter's dtype."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    if not state:
                        state["step"] = torch.tensor(0.0)
                        state["exp_avg"] = torch.zeros_like(p)
                        state["exp_avg_sq"] = torch.zeros_like(p)
                    state["step"] += 1
                    self.update(_real(p), _real(p.grad), state, group)
                    self.keep(state)
        return loss

    def update(self, p, g, state, group):
        m, v = _real(state["exp_avg"]), _real(state["exp_avg_sq"])
        b1, b2 = group["betas"]
        self.average(m, v, g, b1, b2)
        m_hat, v_hat = self.correct(m, v, b1, b2, state["step"].item())
        self.move(p, m_hat, v_hat, group["lr"], group["eps"])

    def average(self, m, v, g, b1, b2):
        m.lerp_(g, 1 - b1)
        v.mul_(b2).addcmul_(g, g, value=1 - b2)

    def correct(self, m, v, b1, b2, t):
        return m / (1 - b1**t), v / (1 - b2**t)

    def move(self, p, m_hat, v_hat, lr, eps):
        p.addcdiv_(m_hat, v_hat.sqrt() + eps, value=-lr)

    def keep(self, state):
        pass


class StepInFloat32(_Adam):
    """The step of a float64 parameter is computed in float32."""

    def move(self, p, m_hat, v_hat, lr, eps):
        p.sub_((lr * m_hat.float() / (v_hat.float().sqrt() + eps)).to(p.dtype))


class StepThroughFloat8(_Adam):
    """The step of a parameter of 16 bits is rounded to 8 bits."""

    def move(self, p, m_hat, v_hat, lr, eps):
        step = lr * m_hat / (v_hat.sqrt() + eps)
        if p.element_size() == 2:
            step = step.to(torch.float8_e5m2).to(p.dtype)
        p.sub_(step)


class MomentThroughFloat8(_Adam):
    """The first moment of a parameter of 16 bits is rounded to 8 bits."""

    def keep(self, state):
        m = state["exp_avg"]
        if m.element_size() == 2:
            m.copy_(m.to(torch.float8_e5m2))


class SecondMomentInBlocks(_Adam):
    """The second moment is kept to 1/255 of the largest element of its tensor."""

    def keep(self, state):
        v = _real(state["exp_avg_sq"])
        if v.numel():
            unit = v.max() / 255
            v.copy_(torch.where(unit > 0, (v / unit).round() * unit, v))


class BetasInParameterDtype(_Adam):
    """The betas are rounded to the parameter's dtype: 0.999 is 1 in bfloat16."""

    def average(self, m, v, g, b1, b2):
        b1, b2 = torch.tensor([b1, b2], dtype=g.dtype)
        m.mul_(b1).add_((1 - b1) * g)
        v.mul_(b2).add_((1 - b2) * g * g)


class CorrectionInParameterDtype(_Adam):
    """The bias corrections are computed in the parameter's dtype."""

    def correct(self, m, v, b1, b2, t):
        b1, b2 = torch.tensor([b1, b2], dtype=m.dtype)
        return m / (1 - b1**t), v / (1 - b2**t)


class SecondMomentInFloat16(_Adam):
    """The second moment is kept in float16, which knows nothing below 6e-8. [D05]"""

    def keep(self, state):
        if not state["exp_avg_sq"].is_complex():
            state["exp_avg_sq"] = state["exp_avg_sq"].half()

    def average(self, m, v, g, b1, b2):
        m.lerp_(g, 1 - b1)
        v.copy_(b2 * v.to(g.dtype) + (1 - b2) * g * g)

    def correct(self, m, v, b1, b2, t):
        return super().correct(m, v.to(m.dtype), b1, b2, t)


class MomentsInBfloat16(_Adam):
    """Both moments of a float32 or float64 parameter are kept in bfloat16."""

    def keep(self, state):
        for key in ("exp_avg", "exp_avg_sq"):
            if not state[key].is_complex() and state[key].element_size() > 2:
                state[key] = state[key].bfloat16()

    def average(self, m, v, g, b1, b2):
        m.copy_(b1 * m.to(g.dtype) + (1 - b1) * g)
        v.copy_(b2 * v.to(g.dtype) + (1 - b2) * g * g)

    def move(self, p, m_hat, v_hat, lr, eps):
        p.sub_(lr * m_hat.to(p.dtype) / (v_hat.to(p.dtype).sqrt() + eps))


class MomentsInFloat32(_Adam):
    """Both moments of a float64 parameter are kept in float32."""

    def keep(self, state):
        for key in ("exp_avg", "exp_avg_sq"):
            if state[key].dtype == torch.float64:
                state[key] = state[key].float()

    def average(self, m, v, g, b1, b2):
        m.copy_(b1 * m.to(g.dtype) + (1 - b1) * g)
        v.copy_(b2 * v.to(g.dtype) + (1 - b2) * g * g)

    def move(self, p, m_hat, v_hat, lr, eps):
        p.sub_(lr * m_hat.to(p.dtype) / (v_hat.to(p.dtype).sqrt() + eps))
