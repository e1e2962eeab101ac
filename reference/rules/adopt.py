"""ADOPT: Adam that normalises by the second moment before this gradient, and averages afterwards."""

from dataclasses import replace

from sympy import Eq, Max, Min, Piecewise, Rational, sqrt

from reference.hyperparameters import BETA1, BETA2, EPS, LR, MAXIMIZE, WEIGHT_DECAY
from reference.rule import Options, StateVariable, UpdateRule, Variables
from reference.rules.adam import DECOUPLED
from reference.rules.common import decay


def _normalised(v: Variables, options: Options):
    """Parameter, gradient and the gradient over the second moment of the steps before."""
    p, g = decay(v, options)
    return p, g, v.let("normalised", g / Max(sqrt(v.exp_avg_sq), v.eps))


def _moved(v: Variables, p, g, m) -> None:
    """The first gradient only starts the second moment."""
    first = Eq(v.t, 1)
    m = v.let("exp_avg", Piecewise((v.exp_avg, first), (m, True)))
    average = v.beta2 * v.exp_avg_sq + (1 - v.beta2) * g**2
    v.let("exp_avg_sq", Piecewise((g**2, first), (average, True)))
    v.let("p", p - Piecewise((0, first), (v.lr * m, True)))


def adopt_equations(v: Variables, options: Options) -> None:
    p, g, normalised = _normalised(v, options)
    average = v.beta1 * v.exp_avg + (1 - v.beta1) * normalised
    _moved(v, p, g, Piecewise((normalised, Eq(v.t, 2)), (average, True)))


def adopt_clipped_equations(v: Variables, options: Options) -> None:
    p, g, normalised = _normalised(v, options)
    limit = v.let("limit", (v.t - 1) ** Rational(1, 4))
    clipped = v.let("clipped", Min(Max(normalised, -limit), limit))
    _moved(v, p, g, v.beta1 * v.exp_avg + (1 - v.beta1) * clipped)


ADOPT = UpdateRule(
    name="adopt",
    title="ADOPT: momentum of gradients that are divided by the second moment before them",
    source="Taniguchi et al. 2024, ADOPT: Modified Adam Can Converge with Any beta2, Algorithm 1 (arXiv:2411.02853)",
    equations=adopt_equations,
    hyperparameters=(LR, BETA1, replace(BETA2, default=0.9999), replace(EPS, default=1e-6), WEIGHT_DECAY),
    state=(StateVariable("exp_avg"), StateVariable("exp_avg_sq", nonnegative=True)),
    options=(DECOUPLED, MAXIMIZE),
    notes=(
        "the first gradient is the paper's g_0: it starts the second moment, and the parameter only decays",
        "the first normalised gradient is the momentum, without 1 - beta1",
        "epsilon is a lower bound of the root, not a summand",
    ),
)

ADOPT_CLIPPED = replace(
    ADOPT,
    name="adopt_clipped",
    title="ADOPT with normalised gradients clipped at the fourth root of the step number",
    source="Taniguchi et al. 2024, Algorithm 2, clipped ADOPT (arXiv:2411.02853), the default of the authors' code",
    equations=adopt_clipped_equations,
    notes=(
        "the step number begins at 1 with the second gradient, the first that moves the parameter",
        "the momentum starts at zero and its bias is not corrected",
    ),
    _steps={},
)
