"""Optimizers that are wrong about sparse gradients alone; see promises.py for those that a dense run shows too."""

import torch
from _faithful import SGD, Adagrad
from _lazy import LazyAdam

# -- what a sparse gradient does not have --------------------------------------------------------


class AbsentMove(LazyAdam):
    """Dense Adam in sparse clothes: a row without an entry has a gradient of zero."""

    def entries(self, p, g):
        return (torch.arange(len(p)),), g.to_dense()


class AbsentMomentsDecay(LazyAdam):
    """The moments of all rows decay in every step, and the rows of the gradient alone move."""

    def remember(self, where, values, state, group):
        b1, b2 = group["betas"]
        state["exp_avg"].mul_(b1)
        state["exp_avg_sq"].mul_(b2)
        state["exp_avg"][where] += (1 - b1) * values
        state["exp_avg_sq"][where] += (1 - b2) * values * values


class AbsentSecondMomentDecays(LazyAdam):
    """The second moment of rows without an entry decays, the first one does not."""

    def remember(self, where, values, state, group):
        (b1, b2), m = group["betas"], state["exp_avg"]
        m[where] = b1 * m[where] + (1 - b1) * values
        state["exp_avg_sq"].mul_(b2)
        state["exp_avg_sq"][where] += (1 - b2) * values * values


class AbsentCaughtUp(LazyAdam):
    """A row that comes back decays once for every step that it missed."""

    def remember(self, where, values, state, group):
        seen = state.setdefault("seen", torch.zeros(state["exp_avg"].shape, dtype=torch.float64))
        b1, b2 = group["betas"]
        missed = (state["step"] - 1 - seen[where]).to(values.dtype)
        state["exp_avg"][where] *= b1**missed
        state["exp_avg_sq"][where] *= b2**missed
        seen[where] = state["step"]
        super().remember(where, values, state, group)


class MomentumOfEntries(SGD):
    """A row without an entry keeps its momentum and does not move, though plain SGD has momentum in every row."""

    def move(self, p, g, state, group):
        if not p.grad.is_sparse:
            return super().move(p, g, state, group)
        there = torch.zeros(p.shape)
        there[tuple(p.grad._indices())] = 1
        old = p.clone()
        buffer = state["momentum_buffer"].clone() if "momentum_buffer" in state else torch.zeros_like(p)
        super().move(p, g, state, group)
        p.copy_(torch.where(there > 0, p, old))
        if "momentum_buffer" in state:
            state["momentum_buffer"].copy_(torch.where(there > 0, state["momentum_buffer"], buffer))

    def dense(self, g):
        return g.to_dense()


class MomentumOfAbsentLost(SGD):
    """The momentum of rows without an entry is set to zero."""

    def move(self, p, g, state, group):
        if p.grad.is_sparse and "momentum_buffer" in state:
            there = torch.zeros(p.shape)
            there[tuple(p.grad._indices())] = 1
            state["momentum_buffer"].mul_(there.to(p.dtype))
        super().move(p, g, state, group)

    def dense(self, g):
        return g.to_dense()


# -- entries -------------------------------------------------------------------------------------


class LastEntryWins(LazyAdam):
    """Of several entries of a row the last one counts alone."""

    def entries(self, p, g):
        dense = torch.zeros_like(p)
        for place, value in zip(g._indices().T.tolist(), g._values(), strict=True):
            dense[tuple(place)] = value
        where = tuple(g.coalesce().indices())
        return where, dense[where]


class EntriesAveraged(LazyAdam):
    """Several entries of a row count as their mean."""

    def entries(self, p, g):
        times = torch.sparse_coo_tensor(g._indices(), torch.ones_like(g._values()), g.shape).coalesce()
        g = g.coalesce()
        return tuple(g.indices()), g.values() / times.values()


class EntriesSquaredOneByOne(LazyAdam):
    """The second moment gets the sum of squared entries, and not the square of their sum."""

    def move(self, p, g, state, group):
        self.squares = torch.sparse_coo_tensor(g._indices(), g._values() ** 2, g.shape).coalesce().values()
        super().move(p, g, state, group)

    def remember(self, where, values, state, group):
        (b1, b2), m, s = group["betas"], state["exp_avg"], state["exp_avg_sq"]
        m[where] = b1 * m[where] + (1 - b1) * values
        s[where] = b2 * s[where] + (1 - b2) * self.squares


class SumOfSquaredEntries(Adagrad):
    """The squares of entries are added up one by one."""

    def move(self, p, g, state, group):
        if not p.grad.is_sparse:
            return super().move(p, g, state, group)
        squares = torch.sparse_coo_tensor(p.grad._indices(), p.grad._values() ** 2, p.shape).to_dense()
        if not state:
            state["step"], state["sum"] = torch.tensor(0.0), torch.zeros_like(p)
        state["sum"].add_(squares - g * g)
        super().move(p, g, state, group)

    def dense(self, g):
        return g.to_dense()


class EntryOfZeroSkipped(LazyAdam):
    """An entry whose value is zero counts as none."""

    def entries(self, p, g):
        where = tuple(g.to_dense().nonzero().T)
        return where, g.to_dense()[where]


class NoEntriesCrash(LazyAdam):
    """A gradient without any entry fails, as that of a batch of padding."""

    def entries(self, p, g):
        where, values = super().entries(p, g)
        if not torch.isfinite(values.abs().max()):
            raise FloatingPointError("the gradient is not finite")
        return where, values


class WritesIntoEntries(LazyAdam):
    """The entries are scaled where they lie, in the caller's gradient."""

    def remember(self, where, values, state, group):
        super().remember(where, values, state, group)
        values.mul_(1 - group["betas"][0])


class CoalescesForCaller(LazyAdam):
    """The caller's gradient is replaced by the coalesced one."""

    def move(self, p, g, state, group):
        p.grad = torch.sparse_coo_tensor(g._indices(), g._values(), g.shape).coalesce()
        super().move(p, p.grad, state, group)


# -- where ---------------------------------------------------------------------------------------


class ColumnsForRows(LazyAdam):
    """Single entries of a matrix are laid out column by column."""

    def entries(self, p, g):
        where, values = super().entries(p, g)
        if len(where) != 2:
            return where, values
        flat = where[1] * p.shape[0] + where[0]
        order = flat.argsort()
        return (flat[order] // p.shape[1], flat[order] % p.shape[1]), values[order]


class RowsOfElements(LazyAdam):
    """Of an entry that is a single element the first index alone is looked at: it goes to the whole row."""

    def entries(self, p, g):
        where, values = super().entries(p, g)
        if len(where) == 1:
            return where, values
        rows = where[0].unique()
        whole = torch.zeros_like(p).index_add_(
            0, where[0], values.reshape(-1, *[1] * (p.ndim - 1)).expand_as(p[where[0]])
        )
        return (rows,), whole[rows]


# -- the count -----------------------------------------------------------------------------------


class CountsRows(LazyAdam):
    """Every row of the gradient counts as a step."""

    def count(self, g, state):
        state["step"] += g._nnz()


class NoEntriesNoStep(LazyAdam):
    """A gradient without any entry is not counted as a step."""

    def count(self, g, state):
        state["step"] += g._nnz() > 0


class CorrectedByOwnCount(LazyAdam):
    """The bias of each row is corrected by the number of its own entries."""

    def rate(self, where, state, group):
        own = state.setdefault("own", torch.zeros(state["exp_avg"].shape, dtype=torch.float64))
        own[where] += 1
        b1, b2 = group["betas"]
        rate = float(group["lr"]) * (1 - b2 ** own[where]) ** 0.5 / (1 - b1 ** own[where])
        return rate.to(state["exp_avg"].dtype)
