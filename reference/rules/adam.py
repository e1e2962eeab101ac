"""Adam, its epsilon-hat form, and AdamW."""

from dataclasses import replace

from sympy import Max, sqrt

from reference.hyperparameters import BETA1, BETA2, EPS, LR, MAXIMIZE, WEIGHT_DECAY
from reference.rule import Option, Options, StateVariable, UpdateRule, Variables

MOMENTS = (
    StateVariable("exp_avg"),
    StateVariable("exp_avg_sq", nonnegative=True),
    StateVariable("max_exp_avg_sq", nonnegative=True, option="amsgrad"),
)
AMSGRAD = Option("amsgrad", about="divide by the largest second moment so far (Reddi et al. 2018)")
DECOUPLED = Option("decoupled_weight_decay", about="shrink the parameter itself (Loshchilov & Hutter 2019)")


def _moments(v: Variables, options: Options):
    """Decay, both moments, and the second moment that is divided by."""
    g = -v.g if options.maximize else v.g
    p = v.p
    if options.decoupled_weight_decay:
        p = v.p - v.lr * v.weight_decay * v.p
    else:
        g = g + v.weight_decay * v.p
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    s = v.let("exp_avg_sq", v.beta2 * v.exp_avg_sq + (1 - v.beta2) * g**2)
    if options.amsgrad:
        s = v.let("max_exp_avg_sq", Max(v.max_exp_avg_sq, s))
    return p, m, s


def adam_equations(v: Variables, options: Options) -> None:
    p, m, s = _moments(v, options)
    m_hat = m / (1 - v.beta1**v.t)
    s_hat = s / (1 - v.beta2**v.t)
    v.let("p", p - v.lr * m_hat / (sqrt(s_hat) + v.eps))


def adam_eps_hat_equations(v: Variables, options: Options) -> None:
    p, m, s = _moments(v, options)
    rate = v.lr * sqrt(1 - v.beta2**v.t) / (1 - v.beta1**v.t)
    v.let("p", p - rate * m / (sqrt(s) + v.eps))


ADAM = UpdateRule(
    name="adam",
    title="Adam: bias-corrected first moment over the root of the bias-corrected second",
    source="Kingma & Ba 2015, Algorithm 1 (arXiv:1412.6980)",
    equations=adam_equations,
    hyperparameters=(LR, BETA1, BETA2, EPS, WEIGHT_DECAY),
    state=MOMENTS,
    options=(AMSGRAD, DECOUPLED, MAXIMIZE),
    torch=("torch.optim.Adam",),
    notes=(
        "weight_decay is added to the gradient (L2) unless decoupled_weight_decay is chosen",
        "amsgrad takes the maximum of raw second moments and corrects the bias afterwards, "
        "as torch does; Reddi et al. 2018 have no bias correction",
    ),
)

ADAM_EPS_HAT = replace(
    ADAM,
    name="adam_eps_hat",
    title="Adam with epsilon-hat: epsilon is added to the uncorrected root",
    source="Kingma & Ba 2015, Section 2, last paragraph before 2.1 (arXiv:1412.6980)",
    equations=adam_eps_hat_equations,
    torch=(),
    notes=("its epsilon equals Algorithm 1's epsilon times sqrt(1 - beta2^t)",),
    _steps={},
)

ADAMW = replace(
    ADAM,
    name="adamw",
    title="AdamW: Adam with weight decay decoupled from the moments",
    source="Loshchilov & Hutter 2019, Algorithm 2, line 12 (arXiv:1711.05101)",
    hyperparameters=(LR, BETA1, BETA2, EPS, replace(WEIGHT_DECAY, default=1e-2)),
    options=(AMSGRAD, replace(DECOUPLED, default=True), MAXIMIZE),
    torch=("torch.optim.AdamW",),
    notes=("the decay is lr * weight_decay * p, with the paper's schedule multiplier inside lr",),
    _steps={},
)
