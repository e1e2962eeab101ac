"""Adan: momentum that looks ahead by the difference of successive gradients."""

from dataclasses import replace

from sympy import Piecewise, sqrt

from reference.hyperparameters import BETA1, BETA2, BETA3, EPS, LR, MAXIMIZE, WEIGHT_DECAY
from reference.rule import Option, Options, StateVariable, UpdateRule, Variables
from reference.rules.common import uphill_or_down

NO_PROX = Option("no_prox", about="shrink the parameter before the step instead of dividing it afterwards")


def _decayed(v: Variables, options: Options, update):
    """The parameter after the step and decay."""
    if options.no_prox:
        return v.p - v.lr * v.weight_decay * v.p - update
    return (v.p - update) / (1 + v.lr * v.weight_decay)


def adan_equations(v: Variables, options: Options) -> None:
    g = uphill_or_down(v, options)
    diff = v.let("difference", Piecewise((0, v.unset("pre_grad")), (g - v.pre_grad, True)))
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    d = v.let("exp_avg_diff", v.beta2 * v.exp_avg_diff + (1 - v.beta2) * diff)
    ahead = v.let("ahead", g + v.beta2 * diff)
    n = v.let("exp_avg_sq", v.beta3 * v.exp_avg_sq + (1 - v.beta3) * ahead**2)
    v.let("pre_grad", g)
    denominator = v.let("denominator", sqrt(n / (1 - v.beta3**v.t)) + v.eps)
    m_hat, d_hat = m / (1 - v.beta1**v.t), d / (1 - v.beta2**v.t)
    v.let("p", _decayed(v, options, v.lr * m_hat / denominator + v.lr * v.beta2 * d_hat / denominator))


def adan_paper_equations(v: Variables, options: Options) -> None:
    g = uphill_or_down(v, options)
    first = v.unset("pre_grad")
    diff = v.let("difference", Piecewise((0, first), (g - v.pre_grad, True)))
    m = v.let("exp_avg", Piecewise((g, first), (v.beta1 * v.exp_avg + (1 - v.beta1) * g, True)))
    d = v.let("exp_avg_diff", v.beta2 * v.exp_avg_diff + (1 - v.beta2) * diff)
    ahead = v.let("ahead", g + v.beta2 * diff)
    average = v.beta3 * v.exp_avg_sq + (1 - v.beta3) * ahead**2
    n = v.let("exp_avg_sq", Piecewise((g**2, first), (average, True)))
    v.let("pre_grad", g)
    denominator = v.let("denominator", sqrt(n) + v.eps)
    v.let("p", _decayed(v, options, v.lr * m / denominator + v.lr * v.beta2 * d / denominator))


ADAN = UpdateRule(
    name="adan",
    title="Adan: averages of gradients and of their differences, over the root of their look-ahead's square",
    source="Xie et al. 2022, Adan: Adaptive Nesterov Momentum Algorithm, Algorithm 1 (arXiv:2208.06677), "
    "and the authors' code, adan 0.0.2",
    equations=adan_equations,
    hyperparameters=(
        LR,
        replace(BETA1, default=0.98),
        replace(BETA2, default=0.92),
        BETA3,
        EPS,
        WEIGHT_DECAY,
    ),
    state=(
        StateVariable("exp_avg"),
        StateVariable("exp_avg_diff"),
        StateVariable("exp_avg_sq", nonnegative=True),
        StateVariable("pre_grad", unset_at_first=True),
    ),
    options=(NO_PROX, MAXIMIZE),
    notes=(
        "the betas are the weights of the past, as in the code; the paper's betas are one minus them",
        "all three averages start at zero and their bias is corrected; Algorithm 1 starts them at the first gradient: "
        "adan_paper",
        "the first difference is zero: the gradient before the first is the first",
    ),
)

ADAN_PAPER = replace(
    ADAN,
    name="adan_paper",
    title="Adan as its paper has it: averages that start at the first gradient, without bias correction",
    source="Xie et al. 2022, Algorithm 1 (arXiv:2208.06677)",
    equations=adan_paper_equations,
    notes=("the betas are the weights of the past; the paper's betas are one minus them",),
    _steps={},
)
