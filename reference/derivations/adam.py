"""Adam from its definition: exponential averages divided by the sums of their weights."""

from sympy import Abs, Max, diff, sqrt

from reference.derivations import DerivationStep
from reference.derivations.averages import bias
from reference.derivations.tools import simple_case, symbols_of
from reference.rules.adam import ADAM, ADAM_EPS_HAT, ADAMW

v = symbols_of(ADAM)


def _bias() -> list[DerivationStep]:
    return bias("Kingma & Ba 2015, Section 3, equations 1 to 4")


# The moments of this step without weight decay, and the last line of Algorithm 1.
m = v.beta1 * v.exp_avg + (1 - v.beta1) * v.g
s = v.beta2 * v.exp_avg_sq + (1 - v.beta2) * v.g**2
algorithm_1 = v.p - v.lr * (m / (1 - v.beta1**v.t)) / (sqrt(s / (1 - v.beta2**v.t)) + v.eps)


def adam() -> list[DerivationStep]:
    """Kingma & Ba 2015 (arXiv:1412.6980)."""
    step = ADAM.step()
    amsgrad = ADAM.step({"amsgrad": True})
    largest = Max(v.max_exp_avg_sq, step.new_symbol("exp_avg_sq"))
    return [
        *_bias(),
        DerivationStep(
            "with both moments divided by the sums of their weights the update is the last line of "
            "Algorithm 1: the rule's own step at weight_decay = 0",
            simple_case(step.solved("p"), weight_decay=0),
            algorithm_1,
        ),
        DerivationStep(
            "equal gradients have the moments (1 - beta1^t) g and (1 - beta2^t) g^2, so with eps "
            "= 0 each of them moves the parameter by exactly lr (Section 2.1)",
            simple_case(
                step.assignments[-1].expression,
                **{"exp_avg'": (1 - v.beta1**v.t) * v.g, "exp_avg_sq'": (1 - v.beta2**v.t) * v.g**2},
                eps=0,
            ),
            v.p - v.lr * v.g / Abs(v.g),
        ),
        DerivationStep(
            "L2 decay adds the gradient of (weight_decay / 2) p^2 to the gradient",
            step.solved("exp_avg"),
            v.beta1 * v.exp_avg + (1 - v.beta1) * (v.g + diff(v.weight_decay / 2 * v.p**2, v.p)),
        ),
        DerivationStep(
            "amsgrad divides by the largest second moment so far, which keeps the rate lr / "
            "sqrt(v) from growing (Reddi et al. 2018, arXiv:1904.09237, Algorithm 2)",
            amsgrad.assignments[2].expression,
            largest,
        ),
    ]


def adam_eps_hat() -> list[DerivationStep]:
    """Kingma & Ba 2015, Section 2: the order of computation with epsilon-hat."""
    hatted = simple_case(ADAM_EPS_HAT.step().solved("p"), weight_decay=0)
    scale = sqrt(1 - v.beta2**v.t)
    rate = v.lr * scale / (1 - v.beta1**v.t)
    return [
        *_bias(),
        DerivationStep(
            "both corrections moved into the rate, lr_t = lr sqrt(1 - beta2^t) / (1 - beta1^t), "
            "give the rule's own step at weight_decay = 0 (Section 2, before 2.1)",
            hatted,
            v.p - rate * m / (sqrt(s) + v.eps),
        ),
        DerivationStep(
            "multiplying numerator and denominator of Algorithm 1 by sqrt(1 - beta2^t) leaves "
            "sqrt(v_t) + eps sqrt(1 - beta2^t): epsilon-hat is eps sqrt(1 - beta2^t) (Section 2)",
            simple_case(hatted, eps=v.eps * scale),
            algorithm_1,
        ),
        DerivationStep(
            "so both forms agree where eps = 0",
            simple_case(hatted, eps=0),
            simple_case(algorithm_1, eps=0),
        ),
        DerivationStep(
            "and at beta2 = 0, where there is nothing to correct",
            simple_case(hatted, beta2=0),
            simple_case(algorithm_1, beta2=0),
        ),
    ]


def adamw() -> list[DerivationStep]:
    """Loshchilov & Hutter 2019 (arXiv:1711.05101)."""
    decayed = ADAMW.step()
    penalty = v.weight_decay / 2 * v.p**2
    return [
        *_bias(),
        DerivationStep(
            "for gradient descent L2 and decoupled decay are the same (Proposition 1): a step "
            "against the gradient of f + (weight_decay / 2) p^2 shrinks p by the factor 1 - lr "
            "weight_decay",
            v.p - v.lr * (v.g + diff(penalty, v.p)),
            (1 - v.lr * v.weight_decay) * v.p - v.lr * v.g,
        ),
        DerivationStep(
            "for Adam they are not: decoupled decay subtracts lr weight_decay p from the "
            "parameter, whatever the moments are (Algorithm 2, line 12): the rule's own step",
            decayed.solved("p"),
            algorithm_1 - v.lr * v.weight_decay * v.p,
        ),
        DerivationStep(
            "and the moments see the bare gradient (Algorithm 2, lines 6 to 8)",
            decayed.solved("exp_avg_sq"),
            v.beta2 * v.exp_avg_sq + (1 - v.beta2) * v.g**2,
        ),
    ]
