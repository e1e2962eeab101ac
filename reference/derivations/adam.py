"""Adam from its definition: exponential averages and the sums of their weights."""

import sympy
from sympy import Integer, Sum, sqrt, symbols

from reference.derivations import DerivationStep
from reference.rules.adam import ADAM, ADAM_EPS_HAT, ADAMW

beta, beta1, beta2 = symbols("beta beta1 beta2", nonnegative=True)
t, i = symbols("t i", integer=True, positive=True)
lr, eps, weight_decay = symbols("lr eps weight_decay", nonnegative=True)


def average_weights(t_value: sympy.Expr) -> sympy.Expr:
    """Sum of the weights that an exponential average gives to its first t inputs."""
    return Sum((1 - beta) * beta ** (t_value - i), (i, 1, t_value))


def exponential_average() -> list[DerivationStep]:
    """The moments and their bias: Kingma & Ba 2015, Section 3, equations (1) to (4)."""
    gradients = symbols("g1:5", real=True)
    unrolled = Integer(0)
    for gradient in gradients:
        unrolled = beta * unrolled + (1 - beta) * gradient
    closed = sum((1 - beta) * beta ** (4 - k) * g for k, g in enumerate(gradients, start=1))
    # sympy sums the geometric series for symbolic t as a Piecewise with a branch for beta = 1,
    # which the domain beta < 1 excludes; induction over t needs no such branch.
    total = 1 - beta**t
    return [
        DerivationStep(
            "unrolling m_t = beta m_{t-1} + (1 - beta) g_t from m_0 = 0 gives the weights "
            "(1 - beta) beta^(t-i), here for t = 4 (equation 1)",
            sympy.expand(unrolled),
            sympy.expand(closed),
        ),
        DerivationStep(
            "the weights of the first step sum to 1 - beta",
            average_weights(Integer(1)).doit(),
            total.subs(t, 1),
        ),
        DerivationStep(
            "one more step multiplies the sum by beta and adds 1 - beta, which keeps the form "
            "1 - beta^t: the bias that the correction divides by (equations 3 and 4)",
            beta * total + (1 - beta),
            total.subs(t, t + 1),
        ),
        DerivationStep(
            "sympy's own sum of the weights, t = 7",
            average_weights(Integer(7)).doit(),
            total.subs(t, 7),
        ),
    ]


def _constant_gradient(step, count: int) -> sympy.Expr:
    """The first update of a parameter whose gradient is constant, after ``count`` steps."""
    rule = step.rule
    values = {s.symbol: Integer(0) for s in step.state}
    for number in range(1, count + 1):
        at = {sympy.Symbol("t", integer=True, positive=True): number}
        new = {s.name: step.solved(s.name).subs(at).subs(values) for s in step.state}
        update = step.solved("p").subs(at).subs(values)
        values = {s.symbol: new[s.name] for s in step.state}
    return sympy.simplify(update.subs({h.symbol: 0 for h in rule.hyperparameters if h.name == "weight_decay"}))


def adam() -> list[DerivationStep]:
    step = ADAM.step()
    m, s, g, p = symbols("exp_avg exp_avg_sq g p", real=True)
    s = sympy.Symbol("exp_avg_sq", nonnegative=True)
    m_new = beta1 * m + (1 - beta1) * g
    s_new = beta2 * s + (1 - beta2) * g**2
    algorithm_1 = p - lr * (m_new / (1 - beta1**t)) / (sqrt(s_new / (1 - beta2**t)) + eps)
    return [
        *exponential_average(),
        DerivationStep(
            "with both moments divided by the sums of their weights, the update is Algorithm 1's "
            "last line: the rule's own step at weight_decay = 0",
            step.solved("p").subs(weight_decay, 0),
            algorithm_1,
        ),
        DerivationStep(
            "consequence: with eps = 0 a constant gradient g > 0 moves the parameter by exactly lr, "
            "here at step 3",
            _constant_gradient(step, 3).subs({eps: 0, sympy.Symbol("g", real=True): 1}),
            p - lr,
        ),
        DerivationStep(
            "L2 decay is the gradient of (weight_decay / 2) p^2 added to the gradient",
            step.solved("exp_avg"),
            beta1 * m + (1 - beta1) * (g + sympy.diff(weight_decay / 2 * p**2, p)),
        ),
    ]


def adam_eps_hat() -> list[DerivationStep]:
    algorithm_1 = ADAM.step().solved("p")
    hatted = ADAM_EPS_HAT.step().solved("p")
    scale = sqrt(1 - beta2**t)
    return [
        *exponential_average(),
        DerivationStep(
            "multiplying numerator and denominator of Algorithm 1 by sqrt(1 - beta2^t) leaves "
            "sqrt(v_t) + eps sqrt(1 - beta2^t): epsilon-hat is eps sqrt(1 - beta2^t) (Section 2)",
            hatted.subs(eps, eps * scale),
            algorithm_1,
        ),
        DerivationStep("both forms agree at eps = 0", hatted.subs(eps, 0), algorithm_1.subs(eps, 0)),
    ]


def adamw() -> list[DerivationStep]:
    p = sympy.Symbol("p", real=True)
    decayed = ADAMW.step().solved("p")
    plain = ADAM.step().solved("p").subs(weight_decay, 0)
    return [
        *exponential_average(),
        DerivationStep(
            "decoupled decay subtracts lr weight_decay p from the parameter and leaves the moments "
            "alone (Algorithm 2, line 12)",
            decayed - plain,
            -lr * weight_decay * p,
        ),
        DerivationStep(
            "for plain gradient descent both decays agree (Proposition 1): the gradient of "
            "f + (weight_decay / 2) p^2 shrinks p by the factor 1 - lr weight_decay",
            p - lr * (sympy.Symbol("g") + sympy.diff(weight_decay / 2 * p**2, p)),
            (1 - lr * weight_decay) * p - lr * sympy.Symbol("g"),
        ),
    ]
