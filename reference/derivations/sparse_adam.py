"""SparseAdam: Adam with epsilon-hat, walked by each element over the steps in which it has an entry."""

from sympy import Integer, Sum, simplify, sqrt, symbols

from reference.derivations import DerivationStep
from reference.derivations.averages import beta, bias, decay, i
from reference.derivations.tools import simple_case, symbols_of
from reference.rules.adam import ADAM_EPS_HAT
from reference.rules.sparse_adam import SPARSE_ADAM

v = symbols_of(SPARSE_ADAM)
m = v.beta1 * v.exp_avg + (1 - v.beta1) * v.g
s = v.beta2 * v.exp_avg_sq + (1 - v.beta2) * v.g**2
rate = v.lr * sqrt(1 - v.beta2**v.t) / (1 - v.beta1**v.t)
CITATION = "Kingma & Ba 2015, Section 3, equations 1 to 4"


def _lazy_average() -> DerivationStep:
    """Four steps of an average of which an element has an entry in the first and the third."""
    first, third = symbols("g1 g3", real=True)
    average = Integer(0)
    for gradient in (first, None, third, None):
        average = average if gradient is None else beta * average + (1 - beta) * gradient
    return DerivationStep(
        "steps without an entry leave the average alone, so it weighs the entries of an element as if those steps had "
        "not been: here entries in steps 1 and 3 of 4 (torch.optim.SparseAdam, Note: the update is masked)",
        average,
        (1 - beta) * (beta * first + third),
    )


def sparse_adam() -> list[DerivationStep]:
    """Kingma & Ba 2015 (arXiv:1412.6980), Section 2, masked."""
    step = SPARSE_ADAM.step()
    dense = ADAM_EPS_HAT.step().solved("p")
    k = symbols("k", integer=True, positive=True)
    return [
        *bias(CITATION),
        DerivationStep(
            "where an element has an entry, the step is that of Adam with epsilon-hat at weight_decay = 0 (Section 2, "
            "before 2.1)",
            step.solved("p"),
            simple_case(dense, weight_decay=0),
        ),
        _lazy_average(),
        DerivationStep(
            "after k entries the weights of an element sum to 1 - beta^k; the correction divides by 1 - beta^t, for it "
            "counts the steps of the parameter, so what comes seldom moves less",
            Sum((1 - decay) * decay ** (k - i), (i, 1, k)),
            1 - decay**k,
        ),
        DerivationStep(
            "the last line of Section 2 itself: both corrections stand in the rate lr_t = lr sqrt(1 - beta2^t) / "
            "(1 - beta1^t)",
            step.solved("p"),
            v.p - rate * m / (sqrt(s) + v.eps),
        ),
        DerivationStep(
            "with an entry in every step and equal gradients each of them moves the parameter by lr, up to epsilon",
            simplify(
                simple_case(
                    step.assignments[-1].expression,
                    **{"exp_avg'": (1 - v.beta1**v.t) * v.g, "exp_avg_sq'": (1 - v.beta2**v.t) * v.g**2},
                    eps=0,
                )
            ),
            v.p - v.lr * v.g / sqrt(v.g**2),
        ),
    ]
