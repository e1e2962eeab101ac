"""The ways to get L-BFGS wrong: its conventions with one of them replaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from reference.quasi_newton.conventions import CONVENTIONS, Conventions, changed, curvature, first_length, pair
from reference.quasi_newton.enclosure import Arithmetic, Number, Vector, largest_of
from reference.quasi_newton.inverse_hessian import Pair, dense, two_loop


def _negative(v: Vector) -> Vector:
    return [-x for x in v]


# -- directions ------------------------------------------------------------------------------


def _on(choose: Callable[[Sequence[Pair]], Sequence[Pair]]) -> tuple:
    """-H g from some of the pairs, or from the pairs in another order."""
    return tuple(lambda g, pairs, gamma, a, form=form: form(g, choose(pairs), gamma, a) for form in (dense, two_loop))


def _loops(
    combine: Callable[[Number, Number], Number] = lambda alpha, beta: alpha - beta,
    *,
    rho: Callable[[Number], Number] = lambda ys: 1 / ys,
    second: bool = True,
    newest_first: bool = False,
    swapped: bool = False,
):
    """The two loops with a mistake: how alpha and beta are combined, what rho is, in which order the second loop goes,
    and whether it takes the alphas in the order in which they were made."""

    def direction(g: Vector, pairs: Sequence[Pair], gamma: Number, a: Arithmetic) -> Vector:
        q, alphas = list(g), []
        rhos = [a.rounded(rho(a.dot(p.y, p.s))) for p in pairs]
        for p, r in zip(reversed(pairs), reversed(rhos), strict=True):
            alphas.append(a.rounded(r * a.dot(p.s, q)))
            q = [a.rounded(x - a.rounded(alphas[-1] * y)) for x, y in zip(q, p.y, strict=True)]
        q = [a.rounded(gamma * x) for x in q]
        order = [*zip(pairs, rhos, alphas if swapped else alphas[::-1], strict=True)]
        for p, r, alpha in (reversed(order) if newest_first else order) if second else ():
            weight = a.rounded(combine(alpha, a.rounded(r * a.dot(p.y, q))))
            q = [a.rounded(x + a.rounded(s * weight)) for x, s in zip(q, p.s, strict=True)]
        return _negative(q)

    return (direction,)


def _dfp(g: Vector, pairs: Sequence[Pair], gamma: Number, a: Arithmetic) -> Vector:
    """-H g by the other update of rank two (Nocedal & Wright, 6.15)."""
    n = range(len(g))
    h = [[gamma if i == j else 0 * gamma for j in n] for i in n]
    for s, y in pairs:
        hy = [a.dot(row, y) for row in h]
        above, below = a.dot(y, hy), a.dot(y, s)
        h = [
            [a.rounded(h[i][j] - a.rounded(hy[i] * hy[j] / above) + a.rounded(s[i] * s[j] / below)) for j in n]
            for i in n
        ]
    return [-a.dot(row, g) for row in h]


# -- scalings, pairs, lengths ----------------------------------------------------------------


def _quotient(above: Callable[[Pair], tuple], below: Callable[[Pair], tuple]):
    return lambda pairs, a: a.rounded(a.dot(*above(pairs[-1])) / a.dot(*below(pairs[-1])))


def _root_quotient(pairs: Sequence[Pair], a: Arithmetic) -> Number:
    """|s| / |y|, the geometric mean of both quotients."""
    s, y = pairs[-1]
    return a.rounded((a.dot(s, s) / a.dot(y, y)).sqrt())


def _earlier(points: Sequence[Vector], gradients: Sequence[Vector], lr: Number, a: Arithmetic) -> Pair:
    """y of the step before the last one."""
    right = pair(points, gradients, lr, a)
    return right if len(gradients) < 3 else Pair(right.s, changed(gradients[-2], gradients[-3], a))


def _before(points: Sequence[Vector], gradients: Sequence[Vector], lr: Number, a: Arithmetic) -> Pair:
    """s of the step before the last one."""
    right = pair(points, gradients, lr, a)
    return right if len(points) < 3 else Pair(pair(points[:-1], gradients[:-1], lr, a).s, right.y)


def _changed(make: Callable[[Pair, Number, Arithmetic], Pair]):
    return lambda points, gradients, lr, a: make(pair(points, gradients, lr, a), lr, a)


def _one_over(size: Callable[[Vector, Arithmetic], Number], bounded: bool = True):
    def length(g: Vector, lr: Number, a: Arithmetic) -> Number:
        one_over = a.rounded(1 / size(g, a))
        return a.rounded((one_over.min(1) if bounded else one_over) * lr)

    return length


def _euclidean(g: Vector, a: Arithmetic) -> Number:
    return a.rounded(a.dot(g, g).sqrt())


def _one_norm(g: Vector, a: Arithmetic) -> Number:
    return a.total([abs(x) for x in g])


def _named(name: str, sentence: str, **parts) -> Conventions:
    return replace(CONVENTIONS, name=name, sentence=sentence, **parts)


VARIANTS: tuple[Conventions, ...] = (
    _named(
        "gamma_missing",
        "H starts as the identity: no scaling with y's / y'y",
        scaling=lambda pairs, a: 0 * pairs[-1].s[0] + 1,
    ),
    _named(
        "gamma_inverted",
        "H starts as y'y / y's, the reciprocal",
        scaling=_quotient(lambda p: (p.y, p.y), lambda p: (p.y, p.s)),
    ),
    _named("gamma_of_steps", "H starts as s's / y's", scaling=_quotient(lambda p: (p.s, p.s), lambda p: (p.y, p.s))),
    _named("gamma_of_norms", "H starts as |s| / |y|", scaling=_root_quotient),
    _named(
        "gamma_of_older",
        "H starts as y's / y'y of the pair before the newest",
        scaling=lambda pairs, a: CONVENTIONS.scaling(pairs[:1], a),
    ),
    _named("oldest_kept", "a full history takes no new pair", remembered=lambda pairs, size: pairs[:size]),
    _named(
        "never_forgotten", "history_size is ignored: no pair is ever forgotten", remembered=lambda pairs, size: pairs
    ),
    _named(
        "one_too_many",
        "the history holds one pair more than history_size",
        remembered=lambda pairs, size: pairs[-size - 1 :],
    ),
    _named(
        "one_too_few",
        "the history holds one pair less than history_size",
        remembered=lambda pairs, size: pairs[len(pairs) - min(len(pairs), size - 1) :],
    ),
    _named(
        "emptied_when_full",
        "a full history is emptied before it takes a new pair",
        remembered=lambda pairs, size: pairs if len(pairs) <= size else pairs[-1:],
    ),
    _named(
        "newest_replaced",
        "a full history loses its newest pair, not the oldest",
        remembered=lambda pairs, size: pairs if len(pairs) <= size else (*pairs[: size - 1], pairs[-1]),
    ),
    _named("newest_unused", "the newest pair is left out of the direction", directions=_on(lambda pairs: pairs[:-1])),
    _named("oldest_unused", "the oldest pair is left out of the direction", directions=_on(lambda pairs: pairs[1:])),
    _named("newest_alone", "only the newest pair is used", directions=_on(lambda pairs: pairs[-1:])),
    _named("order_reversed", "the pairs are used in reverse order", directions=_on(lambda pairs: pairs[::-1])),
    _named("beta_added", "the second loop adds s (alpha + beta)", directions=_loops(lambda alpha, beta: alpha + beta)),
    _named(
        "alpha_subtracted",
        "the second loop subtracts s (alpha - beta)",
        directions=_loops(lambda alpha, beta: beta - alpha),
    ),
    _named("beta_missing", "the second loop adds s alpha, without beta", directions=_loops(lambda alpha, beta: alpha)),
    _named(
        "alpha_missing", "the second loop subtracts s beta, without alpha", directions=_loops(lambda alpha, beta: -beta)
    ),
    _named(
        "alphas_reversed",
        "the second loop takes the alphas of the first in the order in which they were made",
        directions=_loops(swapped=True),
    ),
    _named(
        "loops_same_order",
        "the second loop goes from the newest pair to the oldest too",
        directions=_loops(newest_first=True),
    ),
    _named("second_loop_missing", "there is no second loop", directions=_loops(second=False)),
    _named("rho_inverted", "rho is y's, not its reciprocal", directions=_loops(rho=lambda ys: ys)),
    _named("dfp", "H is updated by the formula of Davidon, Fletcher and Powell", directions=(_dfp,)),
    _named("history_unused", "the direction is -g", directions=(lambda g, pairs, gamma, a: _negative(g),)),
    _named(
        "gamma_alone",
        "the direction is -gamma g",
        directions=(lambda g, pairs, gamma, a: [-a.rounded(gamma * x) for x in g],),
    ),
    _named(
        "uphill",
        "the direction is H g",
        directions=tuple(lambda g, pairs, gamma, a, f=f: _negative(f(g, pairs, gamma, a)) for f in (dense, two_loop)),
    ),
    _named("no_skip", "pairs with y's <= 0 are remembered too", least_curvature=None),
    _named("skip_at_zero", "pairs are left out only if y's <= 0", least_curvature=0.0),
    _named("skip_on_steps", "pairs are left out if s's <= 1e-10", curvature=lambda p, a: a.dot(p.s, p.s)),
    _named("skip_on_changes", "pairs are left out if y'y <= 1e-10", curvature=lambda p, a: a.dot(p.y, p.y)),
    _named(
        "skip_relative",
        "pairs are left out if y's <= 1e-10 y'y",
        curvature=lambda p, a: a.rounded(curvature(p, a) / a.dot(p.y, p.y)),
    ),
    _named("skip_on_size", "pairs are left out if |y's| <= 1e-10", curvature=lambda p, a: abs(curvature(p, a))),
    _named("first_unscaled", "the first step has length lr, without min(1, 1/|g|_1)", first_length=CONVENTIONS.length),
    _named(
        "first_by_euclidean",
        "the first step is scaled by the 2-norm of the gradient",
        first_length=_one_over(_euclidean),
    ),
    _named(
        "first_by_maximum",
        "the first step is scaled by the largest element of the gradient",
        first_length=_one_over(lambda g, a: largest_of([abs(x) for x in g])),
    ),
    _named(
        "first_unbounded",
        "the first step has length lr / |g|_1 also where that is above lr",
        first_length=_one_over(_one_norm, bounded=False),
    ),
    _named(
        "first_without_lr", "the first step ignores lr", first_length=lambda g, lr, a: first_length(g, 0 * lr + 1, a)
    ),
    _named("always_scaled", "every step is scaled by min(1, 1/|g|_1), not only the first", length=first_length),
    _named("lr_ignored", "steps after the first ignore lr", length=lambda g, lr, a: 0 * lr + 1),
    _named("lr_twice", "lr is applied twice", length=lambda g, lr, a: a.rounded(lr * lr)),
    _named(
        "step_without_lr",
        "s is the direction, without the step length lr",
        pair=_changed(lambda p, lr, a: Pair([a.rounded(x / lr) for x in p.s], p.y)),
    ),
    _named(
        "step_with_lr_twice",
        "s is the step times lr once more",
        pair=_changed(lambda p, lr, a: Pair([a.rounded(x * lr) for x in p.s], p.y)),
    ),
    _named(
        "change_negated",
        "y is the old gradient minus the new one",
        pair=_changed(lambda p, lr, a: Pair(p.s, _negative(p.y))),
    ),
    _named(
        "step_negated",
        "s is the old point minus the new one",
        pair=_changed(lambda p, lr, a: Pair(_negative(p.s), p.y)),
    ),
    _named(
        "pair_negated",
        "y and s are both old minus new, and the direction H g",
        pair=_changed(lambda p, lr, a: Pair(_negative(p.s), _negative(p.y))),
        directions=tuple(lambda g, pairs, gamma, a, f=f: _negative(f(g, pairs, gamma, a)) for f in (dense, two_loop)),
    ),
    _named(
        "change_is_gradient",
        "y is the new gradient, not its change",
        pair=lambda points, gradients, lr, a: Pair(pair(points, gradients, lr, a).s, gradients[-1]),
    ),
    _named("change_late", "y is the change over the step before the last one", pair=_earlier),
    _named("step_late", "s is the step before the last one", pair=_before),
    _named("forgets", "every call of step() begins anew", forgets=True),
    _named(
        "euclidean_tolerance",
        "tolerance_grad is compared with the 2-norm of the gradient",
        size=lambda g: sum(x * x for x in g).sqrt(),
    ),
    _named(
        "sum_tolerance",
        "tolerance_grad is compared with the 1-norm of the gradient",
        size=lambda g: sum(abs(x) for x in g),
    ),
    # the looser a condition, the more fits it: what is left out comes last
    _named("any_decrease", "the line search asks for any decrease, c1 = 0", armijo=0.0),
    _named("wolfe_loose", "the line search takes a slope of any size below that at the start, c2 = 1", wolfe=1.0),
    _named("armijo_alone", "the line search asks for sufficient decrease alone", wolfe=None),
    _named("curvature_alone", "the line search asks for a small slope alone", armijo=None),
)
