"""Cautious optimizers from the demand that no element moves uphill."""

from __future__ import annotations

import sympy
from sympy import Max, Piecewise, Symbol, sign, symbols

from reference.derivations import DerivationStep
from reference.derivations.averages import bias, unrolled
from reference.derivations.tools import on_elements, symbols_of
from reference.reductions import COUNT, Mean, Total
from reference.rule import UpdateRule
from reference.rules.adam import ADAMW
from reference.rules.cautious import CAUTIOUS_ADAMW, CAUTIOUS_ADAMW_MEAN, CAUTIOUS_LION, CAUTIOUS_LION_MEAN
from reference.rules.lion import LION

v = symbols_of(CAUTIOUS_ADAMW_MEAN)
# the mask of one element
MASK = Symbol("mask", nonnegative=True)


def _why() -> list[DerivationStep]:
    """What the mask is for, and what its scale keeps."""
    x, aligned, opposed = symbols("x", real=True), Symbol("a", positive=True), Symbol("b", negative=True)
    masked = Piecewise((1, x > 0), (0, True)) * x
    u, mask = Symbol("u", real=True), symbols("mask_0:3", nonnegative=True)
    scaled = on_elements(MASK * COUNT / Total(MASK), 3, MASK)
    return [
        DerivationStep(
            "a step lr u lowers the loss by lr u g to first order: the mask leaves what is positive of u g",
            masked.subs(x, aligned),
            aligned,
        ),
        DerivationStep("and nothing where u g is negative (Liang et al. 2024, Section 1)", masked.subs(x, opposed), 0),
        DerivationStep(
            "over its mean the mask has the sum of a mask of ones, here of three elements: equal steps move as far in all",
            sum(u * mask[i] * scaled / mask[0] for i in range(3)),
            3 * u,
        ),
        DerivationStep(
            "the mean is the sum over the number of elements", scaled, mask[0] / on_elements(Mean(MASK), 3, MASK)
        ),
    ]


def _rest(rule: UpdateRule, plain: sympy.Expr, scale: sympy.Expr) -> list[DerivationStep]:
    """The step of the rule in terms of its mask."""
    decayed = v.p - v.lr * v.weight_decay * v.p
    return [
        DerivationStep(
            "the rule's step is the plain optimizer's times the scaled mask, and its decay is not masked",
            _masked(rule) - decayed,
            (plain - decayed) * scale,
        ),
    ]


def _masked(rule: UpdateRule) -> sympy.Expr:
    """The rule's new parameter with its mask as a symbol."""
    solved = rule.step().solved("p")
    inner = next(e for e in sympy.preorder_traversal(solved) if isinstance(e, sympy.Piecewise))
    return solved.xreplace({inner: MASK})


def cautious_adamw() -> list[DerivationStep]:
    """Liang et al. 2024 (arXiv:2411.16085) on AdamW (arXiv:1711.05101)."""
    plain = ADAMW.step().solved("p")
    return [
        *bias("Kingma & Ba 2015, Section 3, equations 1 to 4"),
        *_why(),
        *_rest(CAUTIOUS_ADAMW, plain, MASK * COUNT / (Total(MASK) + 1)),
    ]


def cautious_adamw_mean() -> list[DerivationStep]:
    """The same with the mean of the mask, bounded below."""
    plain = ADAMW.step().solved("p")
    return [
        *bias("Kingma & Ba 2015, Section 3, equations 1 to 4"),
        *_why(),
        *_rest(CAUTIOUS_ADAMW_MEAN, plain, MASK / Max(Mean(MASK), v.mask_floor)),
    ]


def cautious_lion() -> list[DerivationStep]:
    """Liang et al. 2024 (arXiv:2411.16085) on Lion (arXiv:2302.06675)."""
    plain = LION.step().solved("p")
    return [
        unrolled("Kingma & Ba 2015, Section 3, equation 1"),
        *_why(),
        *_rest(CAUTIOUS_LION, plain, MASK * COUNT / (Total(MASK) + 1)),
        *_same_sign(),
    ]


def cautious_lion_mean() -> list[DerivationStep]:
    """The same with the mean of the mask, bounded below."""
    plain = LION.step().solved("p")
    return [
        unrolled("Kingma & Ba 2015, Section 3, equation 1"),
        *_why(),
        *_rest(CAUTIOUS_LION_MEAN, plain, MASK / Max(Mean(MASK), v.mask_floor)),
        *_same_sign(),
    ]


def _same_sign() -> list[DerivationStep]:
    size, direction = Symbol("size", positive=True), Symbol("direction", real=True)
    return [
        DerivationStep(
            "an interpolation is aligned with the gradients that its sign is aligned with: its size is positive",
            sign(size * direction * v.g),
            sign(direction * v.g),
        )
    ]
