"""RMSprop, plain and centered, with optional momentum."""

from dataclasses import replace

from sympy import Eq, Piecewise, sqrt

from reference.hyperparameters import EPS, LR, MAXIMIZE, MOMENTUM, WEIGHT_DECAY
from reference.rule import Hyperparameter, Option, Options, StateVariable, UpdateRule, Variables
from reference.rules.common import decayed_gradient

# At 1 the averages would stay at zero for ever.
ALPHA = Hyperparameter("alpha", 0.99, high=1.0, arguments=("alpha", "rho"), trials=(0.5, 0.9, 0.0, 0.25, 0.99))
CENTERED = Option("centered", about="divide by an estimate of the variance, not the mean square")


def rmsprop_equations(v: Variables, options: Options) -> None:
    g = decayed_gradient(v, options)
    s = v.let("square_avg", v.alpha * v.square_avg + (1 - v.alpha) * g**2)
    if options.centered:
        m = v.let("grad_avg", v.alpha * v.grad_avg + (1 - v.alpha) * g)
        s = s - m**2
    denominator = v.let("denominator", sqrt(s) + v.eps)
    no_momentum = Eq(v.momentum, 0)
    b = v.let(
        "momentum_buffer",
        Piecewise(
            (v.momentum_buffer, no_momentum),
            (v.momentum * v.momentum_buffer + g / denominator, True),
        ),
    )
    v.let("p", v.p - Piecewise((v.lr * g / denominator, no_momentum), (v.lr * b, True)))


RMSPROP = UpdateRule(
    name="rmsprop",
    title="RMSprop: the gradient divided by the root of its running mean square",
    source="Tieleman & Hinton 2012, Lecture 6.5, Neural Networks for Machine Learning; centered "
    "and momentum: Graves 2013, equations 38 to 41 (arXiv:1308.0850)",
    equations=rmsprop_equations,
    hyperparameters=(replace(LR, default=1e-2), ALPHA, EPS, WEIGHT_DECAY, MOMENTUM),
    state=(
        StateVariable("square_avg", nonnegative=True),
        StateVariable("grad_avg", option="centered"),
        StateVariable("momentum_buffer", needs="momentum"),
    ),
    options=(CENTERED, MAXIMIZE),
    torch=("torch.optim.RMSprop",),
    notes=(
        "eps is added to the root; Graves 2013 (equation 40) and TensorFlow add it inside",
        "lr multiplies the momentum buffer; in Graves 2013 it is inside the buffer",
        "averages start at zero and their bias is not corrected",
        "torch makes the buffer in the first step or never: when momentum is edited from 0 later, "
        "the next step raises KeyError",
    ),
)
