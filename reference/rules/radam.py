"""RAdam: Adam with the variance of its adaptive rate rectified."""

from sympy import Piecewise, sqrt

from reference.hyperparameters import BETA1, BETA2, EPS, LR, MAXIMIZE, WEIGHT_DECAY
from reference.rule import Options, StateVariable, UpdateRule, Variables
from reference.rules.adam import DECOUPLED
from reference.rules.common import decay


def rectification(rho, rho_inf):
    """Liu et al. 2020, Algorithm 2: sqrt(Var at infinite length / Var at length rho)."""
    return sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))


def radam_equations(v: Variables, options: Options) -> None:
    p, g = decay(v, options)
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    s = v.let("exp_avg_sq", v.beta2 * v.exp_avg_sq + (1 - v.beta2) * g**2)
    bias_correction1 = v.let("bias_correction1", 1 - v.beta1**v.t)
    bias_correction2 = v.let("bias_correction2", 1 - v.beta2**v.t)
    rho_inf = v.let("rho_inf", 2 / (1 - v.beta2) - 1)
    rho = v.let("rho", rho_inf - 2 * v.t * v.beta2**v.t / bias_correction2)
    tractable = rho > 5
    r = v.let("rectification", Piecewise((rectification(rho, rho_inf), tractable), (1, True)))
    change = v.lr * m / bias_correction1
    adapted = change * r * sqrt(bias_correction2) / (sqrt(s) + v.eps)
    v.let("p", p - Piecewise((adapted, tractable), (change, True)))


RADAM = UpdateRule(
    name="radam",
    title="RAdam: Adam without adaptation until its variance is tractable, rectified afterwards",
    source="Liu et al. 2020, On the Variance of the Adaptive Learning Rate and Beyond, Algorithm 2 (arXiv:1908.03265)",
    equations=radam_equations,
    hyperparameters=(LR, BETA1, BETA2, EPS, WEIGHT_DECAY),
    state=(StateVariable("exp_avg"), StateVariable("exp_avg_sq", nonnegative=True)),
    options=(DECOUPLED, MAXIMIZE),
    torch=("torch.optim.RAdam",),
    notes=(
        "adaptation starts at rho > 5, as in the authors' code; Algorithm 2 says rho > 4",
        "eps is added to the uncorrected root (the epsilon-hat form); Algorithm 2 has no epsilon",
        "rho never exceeds 2 / (1 - beta2) - 1, so with beta2 <= 2/3 no step is ever adapted",
    ),
)
