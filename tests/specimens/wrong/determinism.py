"""Right within rounding, and not twice the same bits: each says where its last bit comes from."""

import functools
import os
import time

import torch
from _faithful import SGD, Adam, real


class _LastBit(SGD):
    """Adds one unit in the last place, or none, to every element; ``generator`` says to which."""

    def move(self, p, g, state, group):
        super().move(p, g, state, group)
        up = torch.rand(real(p).shape, generator=self.generator(p)) < 0.5
        real(p).mul_(1 + up.to(real(p).dtype) * torch.finfo(p.dtype).eps)

    def generator(self, p):
        raise NotImplementedError


class RoundsStochastically(_LastBit):
    """Rounding is stochastic, by a generator that nobody can seed. [C04]"""

    def generator(self, p):
        generator = torch.Generator()
        generator.seed()
        return generator


class RoundsByClock(_LastBit):
    """Rounding is seeded by the clock. [C04]"""

    def generator(self, p):
        return torch.Generator().manual_seed(time.time_ns() % 2**60)


class RoundsByEarlierCalls(_LastBit):
    """Rounding is by a generator that all optimizers of the process share and advance. [C04]"""

    shared = torch.Generator().manual_seed(7)

    def generator(self, p):
        return self.shared


class ResidualsOutliveRuns(SGD):
    """What rounding left over is kept in a cache by shape, which a later run inherits."""

    def move(self, p, g, state, group):
        g = self.velocity(self.decayed(p, g, group), state, group)
        residual = _residual(p.shape, p.dtype)
        update = residual - float(group["lr"]) * g
        old = p.clone()
        p.add_(update)
        residual.copy_(update - (p - old))


@functools.cache
def _residual(shape, dtype):
    return torch.zeros(shape, dtype=dtype)


class RoundsByAddress(_LastBit):
    """Rounding is seeded by the address of the parameter."""

    def generator(self, p):
        return torch.Generator().manual_seed(id(p))


class RoundsByHash(_LastBit):
    """Rounding is seeded by the hash of a text, which is another in every process."""

    def generator(self, p):
        return torch.Generator().manual_seed(hash(f"parameter {self.position(p)}") % 2**60)


class RoundsByProcess(_LastBit):
    """Rounding is seeded by the id of the process."""

    def generator(self, p):
        return torch.Generator().manual_seed(os.getpid())


class ChunkPerThread(Adam):
    """A tensor is cut into one chunk for each thread, and all but the first are computed in another order."""

    def update(self, p, g, m, v, t, group):
        first = -(-g.numel() // torch.get_num_threads())
        old = p.clone()
        super().update(p, g, m, v, t, group)
        b2 = group["betas"][1]
        quotient = m / ((v / (1 - b2**t)).sqrt() + group["eps"]) * self.rate(t, group)
        rest = torch.arange(g.numel()).view(g.shape) >= first
        p.copy_(torch.where(rest, old - quotient, p))
