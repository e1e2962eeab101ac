"""Wrong in a way that breaks a symmetry of the rule: of scale, sign, order of elements, or place."""

import torch
from _faithful import SGD, Adagrad, Adam, Lion, RMSprop, real


def _like(g, parts):
    """Real parts as what g was."""
    return torch.view_as_complex(parts) if g.is_complex() else parts


# -- scaling ---------------------------------------------------------------------------------


class SmallGradientsDropped(Adam):
    """A gradient below 0.05 is taken for zero."""

    def decayed(self, p, g, group):
        return super().decayed(p, torch.where(g.abs() < 0.05, torch.zeros_like(g), g), group)


class LargeGradientsClipped(RMSprop):
    """A gradient is clipped to the range from -2 to 2."""

    def gradient(self, p, group):
        g = super().gradient(p, group)
        return _like(g, real(g).clamp(-2, 2).contiguous())


class EpsAndConstant(Adam):
    """A constant of its own, 0.01, is added to epsilon."""

    def move(self, p, g, state, group):
        super().move(p, g, state, {**group, "eps": group["eps"] + 0.01})


class DivisorHasFloor(Adagrad):
    """The sum of squares starts at 0.01 at least, so that small gradients are not magnified."""

    def move(self, p, g, state, group):
        first = not state
        if first:
            state["step"] = torch.tensor(0.0)
            state["sum"] = torch.zeros_like(p)
            real(state["sum"]).fill_(0.01)
        super().move(p, g, state, group)


# -- sign ------------------------------------------------------------------------------------


class ClippedAboveOnly(SGD):
    """A gradient is clipped at 0.25 from above, and not from below."""

    def gradient(self, p, group):
        g = super().gradient(p, group)
        return _like(g, real(g).clamp(max=0.25).contiguous())


class GradientFloored(Adam):
    """The gradient is rounded down to a multiple of 1/64."""

    def decayed(self, p, g, group):
        return super().decayed(p, (g * 64).floor() / 64, group)


class NegativeHalved(RMSprop):
    """A negative gradient counts for half, as in a leaky unit."""

    def gradient(self, p, group):
        g = super().gradient(p, group)
        return _like(g, torch.where(real(g) < 0, real(g) / 2, real(g)).contiguous())


# -- permutation -----------------------------------------------------------------------------


class NeighbourMixedIn(SGD):
    """A tenth of the neighbouring element's gradient is added to each element's."""

    def gradient(self, p, group):
        g = super().gradient(p, group)
        return g + 0.1 * g.flatten().roll(1).view(g.shape) if g.numel() > 1 else g


class SumAlongTensor(Adagrad):
    """The gradient is the mean of those of all elements up to this one."""

    def gradient(self, p, group):
        g = super().gradient(p, group)
        if g.numel() < 2:
            return g
        flat = g.flatten()
        counts = torch.arange(1, g.numel() + 1, dtype=torch.float32).to(real(g).dtype)
        return (flat.cumsum(0) / counts).view(g.shape)


class FirstElementSpared(Adam):
    """The first of several elements does not move, as if it were a padding entry."""

    def gradient(self, p, group):
        g = super().gradient(p, group)
        if g.numel() < 2:
            return g
        g = g.clone(memory_format=torch.contiguous_format)
        g.view(-1)[0] = 0
        return g


class LrFallsAlongTensor(Lion):
    """The second half of a tensor has half the lr."""

    def move(self, p, g, state, group):
        old = p.detach().clone(memory_format=torch.contiguous_format)
        super().move(p, g, state, group)
        new = p.detach().clone(memory_format=torch.contiguous_format)
        half = p.numel() - p.numel() // 2
        new.view(-1)[half:] = (old.view(-1)[half:] + new.view(-1)[half:]) / 2
        p.copy_(new)


# -- translation -----------------------------------------------------------------------------


class StepRelativeToParameter(SGD):
    """lr is multiplied by the size of the element, at least 0.001, as in Adafactor."""

    def gradient(self, p, group):
        return super().gradient(p, group) * p.abs().clamp(min=1e-3)


class ParameterClamped(Adam):
    """The parameter is kept between -1 and 1."""

    def update(self, p, g, m, v, t, group):
        super().update(p, g, m, v, t, group)
        p.clamp_(-1, 1)


class StopsAtZero(SGD):
    """An element that would change its sign stops at zero."""

    def move(self, p, g, state, group):
        old = real(p).clone()
        super().move(p, g, state, group)
        real(p).mul_(old * real(p) >= 0)
