"""NAdam: Adam with Nesterov momentum and a momentum schedule."""

from dataclasses import replace

from sympy import sqrt

from reference.hyperparameters import BETA1, BETA2, EPS, LR, MAXIMIZE, WEIGHT_DECAY
from reference.rule import Hyperparameter, Options, StateVariable, UpdateRule, Variables
from reference.rules.adam import DECOUPLED
from reference.rules.common import decay

MOMENTUM_DECAY = Hyperparameter(
    "momentum_decay",
    4e-3,
    arguments=("momentum_decay", "schedule_decay"),
    trials=(2.0, 0.5, 4e-3, 0.0, 10.0),
)


def scheduled_momentum(v: Variables, t):
    """Dozat's warm-up: from about half of beta1 to beta1."""
    return v.beta1 * (1 - 0.96 ** (t * v.momentum_decay) / 2)


def nadam_equations(v: Variables, options: Options) -> None:
    p, g = decay(v, options)
    mu = v.let("mu", scheduled_momentum(v, v.t))
    mu_ahead = v.let("mu_ahead", scheduled_momentum(v, v.t + 1))
    product = v.let("mu_product", v.mu_product * mu)
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    s = v.let("exp_avg_sq", v.beta2 * v.exp_avg_sq + (1 - v.beta2) * g**2)
    bias_correction2 = v.let("bias_correction2", 1 - v.beta2**v.t)
    denominator = v.let("denominator", sqrt(s / bias_correction2) + v.eps)
    v.let(
        "p",
        p
        - v.lr * (1 - mu) / (1 - product) * g / denominator
        - v.lr * mu_ahead / (1 - product * mu_ahead) * m / denominator,
    )


NADAM = UpdateRule(
    name="nadam",
    title="NAdam: Adam whose momentum is Nesterov's, with a warm-up of the momentum",
    source="Dozat 2016, Incorporating Nesterov Momentum into Adam, Algorithm 2",
    equations=nadam_equations,
    hyperparameters=(replace(LR, default=2e-3), BETA1, BETA2, EPS, WEIGHT_DECAY, MOMENTUM_DECAY),
    state=(
        StateVariable("mu_product", initial=1.0, scalar=True, nonnegative=True),
        StateVariable("exp_avg"),
        StateVariable("exp_avg_sq", nonnegative=True),
    ),
    options=(DECOUPLED, MAXIMIZE),
    torch=("torch.optim.NAdam",),
    notes=(
        "the first moment decays by beta1 where Algorithm 2 decays it by mu_t, so the products of "
        "mu_t are not exactly the sums of its weights",
        "the second moment is divided by 1 - beta2^t; Algorithm 2 also multiplies it by beta2",
        "the schedule is beta1 (1 - 0.96^(t momentum_decay) / 2); Dozat's t/250 is momentum_decay = 0.004",
    ),
)
