"""Wrong step counts, in Adam: every class says in ``count`` (or ``walk``) how it counts."""

import torch


def _real(x):
    return torch.view_as_real(x) if x.is_complex() else x


def _adam(p, g, state, t, lr, b1, b2, eps):
    m, v = _real(state["exp_avg"]), _real(state["exp_avg_sq"])
    m.lerp_(g, 1 - b1)
    v.mul_(b2).addcmul_(g, g, value=1 - b2)
    p.addcdiv_(m, (v / (1 - b2**t)).sqrt() + eps, value=-lr / (1 - b1**t))


class _Adam(torch.optim.Optimizer):
    """The right one."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps))

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        self.begin()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    self.skipped(p)
                    continue
                state = self.start(p)
                t = self.count(p, state, group)
                _adam(_real(p), _real(p.grad), state, t, group["lr"], *group["betas"], group["eps"])
        return loss

    def begin(self):
        pass

    def skipped(self, p):
        pass

    def start(self, p):
        state = self.state[p]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"] = torch.zeros_like(p)
            state["exp_avg_sq"] = torch.zeros_like(p)
        return state

    def count(self, p, state, group):
        state["step"] += 1
        return state["step"].item()


class CounterInParameterLoop(_Adam):
    """One counter for all parameters is advanced inside the parameter loop. [S03]"""

    counter = 0

    def count(self, p, state, group):
        self.counter += 1
        state["step"].fill_(self.counter)
        return self.counter


class CounterOfOptimizer(_Adam):
    """One counter for all parameters: a late first gradient is corrected as an old one. [S02]"""

    counter = 0

    def begin(self):
        self.counter += 1

    def count(self, p, state, group):
        state["step"].fill_(self.counter)
        return self.counter


class CounterOfGroup(_Adam):
    """One counter for each group, kept in the group. [S02]"""

    def begin(self):
        for group in self.param_groups:
            group["step"] = group.get("step", 0) + 1

    def count(self, p, state, group):
        return group["step"]


class CounterOfFirstParameter(_Adam):
    """The count of a group's first parameter is used for the whole group. [S01]"""

    def count(self, p, state, group):
        super().count(p, state, group)
        first = self.state.get(group["params"][0], state)
        return first["step"].item()


class CounterWithoutGradient(_Adam):
    """A parameter's count advances in steps in which it has no gradient."""

    def skipped(self, p):
        self.start(p)["step"] += 1


class CounterOnlyWithNonzeroGradient(_Adam):
    """A parameter's count stands still when its gradient is all zero, though its moments move."""

    def count(self, p, state, group):
        state["step"] += bool(p.grad.any())
        return max(state["step"].item(), 1.0)


class CounterInParameterDtype(_Adam):
    """The count is kept in the parameter's dtype: bfloat16 stays at 256, float16 at 2048. [D01]"""

    def count(self, p, state, group):
        state["step"] = (state["step"] + 1).to(_real(p).dtype)
        return state["step"].item()


class CounterInFloat16(_Adam):
    """The count is kept in float16, which stays at 2048."""

    def count(self, p, state, group):
        state["step"] = (state["step"] + 1).half()
        return state["step"].item()


class CounterInUint8(_Adam):
    """The count is kept in eight bits, which go from 255 to 0."""

    def count(self, p, state, group):
        state["step"] = (state["step"].long() + 1).to(torch.uint8)
        return max(state["step"].item(), 1)


class CounterEndsAtTable(_Adam):
    """The bias corrections come from a table of 256 entries, whose last one serves ever after."""

    def count(self, p, state, group):
        state["step"] += 1
        return min(state["step"].item(), 256.0)
