"""Wrong L-BFGS: every class has one method that is not as it should be."""

import math

import torch

from tests.specimens.right.lbfgs import LBFGS, flat

# -- the direction ---------------------------------------------------------------------------


class GammaMissing(LBFGS):
    """H starts as the identity."""

    def scaling(self, s, y):
        return 1.0


class GammaInverted(LBFGS):
    """H starts as y'y / y's."""

    def scaling(self, s, y):
        return float(y.dot(y) / y.dot(s))


class Loops(LBFGS):
    """The two loops; the wrong ones say how the second adds."""

    def direction(self, g, pairs, gamma):
        q, alphas = -g, []
        for s, y in reversed(pairs):
            alphas.append(s.dot(q) / y.dot(s))
            q = q - alphas[-1] * y
        q = gamma * q
        for (s, y), alpha in zip(pairs, self.order(alphas), strict=True):
            q = q + s * self.weight(alpha, y.dot(q) / y.dot(s))
        return q

    def order(self, alphas):
        return alphas[::-1]

    def weight(self, alpha, beta):
        return alpha - beta


class BetaAdded(Loops):
    """The second loop adds beta where it is to be subtracted."""

    def weight(self, alpha, beta):
        return alpha + beta


class BetaMissing(Loops):
    """The second loop leaves beta out."""

    def weight(self, alpha, beta):
        return alpha


class AlphasReversed(Loops):
    """The second loop takes the alphas in the order in which the first made them."""

    def order(self, alphas):
        return alphas


class NewestUnused(LBFGS):
    """The newest pair is stored and not used."""

    def direction(self, g, pairs, gamma):
        return super().direction(g, pairs[:-1], gamma)


class OrderReversed(LBFGS):
    """The pairs are used in reverse order."""

    def direction(self, g, pairs, gamma):
        return super().direction(g, pairs[::-1], gamma)


class FirstUnscaled(LBFGS):
    """The first step has length lr, however large the gradient is."""

    def first_length(self, g, lr):
        return lr


class FirstByEuclidean(LBFGS):
    """The first step is divided by the 2-norm of the gradient, not by its 1-norm."""

    def first_length(self, g, lr):
        return min(1.0, 1.0 / float(g.norm())) * lr


class FirstLengthened(LBFGS):
    """The first step is divided by |g|_1 also where that makes it longer."""

    def first_length(self, g, lr):
        return lr / float(g.abs().sum())


class LrTwice(LBFGS):
    """lr multiplies the direction and the step."""

    def length(self, g, lr):
        return lr * lr


class LrIgnored(LBFGS):
    """Steps after the first have length 1, whatever lr is."""

    def length(self, g, lr):
        return 1.0


class ChangeOneStepLate(LBFGS):
    """y is taken from the gradients of the step before."""

    def change(self, g, state):
        self.gradients = [*getattr(self, "gradients", [])[-1:], state["gradient"]]
        return g - state["gradient"] if len(self.gradients) < 2 else self.gradients[1] - self.gradients[0]


class StepWithoutLr(LBFGS):
    """The history holds the step without lr."""

    def step_of(self, t, d, lr):
        return t * d / lr


class MissingGradientStays(LBFGS):
    """Where a gradient is missing the last one of that parameter is used."""

    def evaluate(self, closure, state):
        returned, loss, _ = super().evaluate(closure, state)
        self.last = getattr(self, "last", {})
        for i, p in enumerate(self.params):
            self.last[i] = torch.ones_like(p) if p.grad is None else p.grad.clone()
        return returned, loss, flat([self.last[i] for i in range(len(self.params))])


class ImaginaryPartsStay(LBFGS):
    """Only the real parts of complex parameters move."""

    def move(self, t, d):
        kept = [p.imag.clone() for p in self.params if p.is_complex()]
        super().move(t, d)
        for p, imaginary in zip(self.params, kept, strict=False):
            p.imag.copy_(imaginary)


# -- the history -----------------------------------------------------------------------------


class OldestKept(LBFGS):
    """A full history takes no more pairs."""

    def forget(self, state, size):
        del state["steps"][size:], state["changes"][size:]


class NeverForgets(LBFGS):
    """history_size is not looked at."""

    def forget(self, state, size):
        pass


class OneTooMany(LBFGS):
    """The history holds one pair more than history_size."""

    def forget(self, state, size):
        super().forget(state, size + 1)


class NoSkip(LBFGS):
    """Pairs of negative curvature are remembered like others."""

    def is_curved(self, s, y):
        return y.dot(s) != 0


class SkipOnSteps(LBFGS):
    """A pair is left out if the step is short, whatever the curvature is."""

    def is_curved(self, s, y):
        return s.dot(s) > 1e-10


class SkipRelative(LBFGS):
    """A pair is left out if y's <= 1e-10 y'y."""

    def is_curved(self, s, y):
        return y.dot(s) > 1e-10 * y.dot(y)


class GammaOfSkipped(LBFGS):
    """gamma is taken from pairs that are left out, too."""

    def learn(self, state, s, y, group):
        super().learn(state, s, y, group)
        if y.any():
            state["gamma"] = self.scaling(s, y)


class StartsAnew(LBFGS):
    """Every call of step() forgets what the last one learnt."""

    def minimise(self, closure):
        state = self.state[self.params[0]]
        if state:
            state.update(n_iter=0, steps=[], changes=[], gamma=1.0, step=None, gradient=None)
        return super().minimise(closure)


class SizeAtConstruction(LBFGS):
    """history_size is read once, when the optimizer is built."""

    def forget(self, state, size):
        self.size = getattr(self, "size", size)
        super().forget(state, self.size)


class CrashesWhenResized(LBFGS):
    """A buffer is as long as the history may be at the first step."""

    def direction(self, g, pairs, gamma):
        size = self.param_groups[0]["history_size"]
        self.alphas = getattr(self, "alphas", [None] * size)
        for i in range(len(pairs)):
            self.alphas[i] = pairs[i]
        return super().direction(g, self.alphas[: len(pairs)], gamma)


# -- the line search -------------------------------------------------------------------------


class DecreaseAlone(LBFGS):
    """The line search asks for sufficient decrease and nothing else."""

    def is_flat(self, slope_there, slope):
        return True


class SlopeAlone(LBFGS):
    """The line search asks for a small slope and nothing else."""

    def is_lower(self, there, loss, change):
        return math.isfinite(there)


class AnyDecrease(LBFGS):
    """Any decrease is sufficient for the line search."""

    def is_lower(self, there, loss, change):
        return there <= loss


class SearchesFromOne(LBFGS):
    """The line search tries the length 1 first, whatever lr is."""

    def search(self, closure, state, d, t, loss, g, slope):
        return super().search(closure, state, d, 1.0, loss, g, slope)


class SearchesBesides(LBFGS):
    """The line search goes along the negative gradient."""

    def search(self, closure, state, d, t, loss, g, slope):
        start = [p.clone() for p in self.params]
        self.move(t, d)
        self.evaluate(closure, state)
        for p, old in zip(self.params, start, strict=True):
            p.copy_(old)
        d.copy_(-g)
        return super().search(closure, state, d, t, loss, g, -g.dot(g))


class EndsAnywhere(LBFGS):
    """The line search takes a point where the loss is nan."""

    def is_lower(self, there, loss, change):
        return not there > loss + 1e-4 * change

    def is_flat(self, slope_there, slope):
        return super().is_flat(slope_there, slope) or bool(self.param_groups[0]["line_search_fn"] and slope_there > 0)


# -- evaluations and stopping ----------------------------------------------------------------


class LastLossReturned(LBFGS):
    """step() returns the loss of the last evaluation."""

    def minimise(self, closure):
        super().minimise(closure)
        return self.latest

    def evaluate(self, closure, state):
        self.latest, loss, g = super().evaluate(closure, state)
        return self.latest, loss, g


class CountsCalls(LBFGS):
    """func_evals counts the calls of step(), not those of the closure."""

    def minimise(self, closure):
        returned = super().minimise(closure)
        state = self.state[self.params[0]]
        state["func_evals"] -= self.calls - 1
        return returned


class HistoryInAttribute(LBFGS):
    """The last step is kept in an attribute, which no state dict holds."""

    def minimise(self, closure):
        state = self.state[self.params[0]]
        if state:
            state["step"] = getattr(self, "kept", None)
        returned = super().minimise(closure)
        self.kept, state["step"] = state["step"], None
        return returned


class WithoutGrad(LBFGS):
    """The closure is called with gradients disabled."""

    def step(self, closure):
        with torch.no_grad():
            return self.minimise(closure)


class OneMore(LBFGS):
    """One iteration more than max_iter is done."""

    def iterations(self, group):
        return group["max_iter"] + 1


class SumTolerance(LBFGS):
    """tolerance_grad is compared with the sum of the gradient's elements."""

    def is_small(self, g, tolerance):
        return g.abs().sum() <= tolerance


class NeverStuck(LBFGS):
    """tolerance_change is not looked at after a step."""

    def is_stuck(self, moved, changed, tolerance):
        return False


class StuckByLossAlone(LBFGS):
    """tolerance_change is compared with the loss and not with the parameters."""

    def is_stuck(self, moved, changed, tolerance):
        return changed < tolerance


class EvaluatesOnceMore(LBFGS):
    """The line search looks at max_eval after its first trial."""

    def search(self, closure, state, d, t, loss, g, slope):
        self.calls -= 1
        found = super().search(closure, state, d, t, loss, g, slope)
        self.calls += 1
        return found
