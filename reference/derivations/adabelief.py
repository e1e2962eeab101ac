"""AdaBelief: the variance around the average that predicts the gradient."""

from __future__ import annotations

from sympy import diff, sqrt, symbols

from reference.derivations import DerivationStep
from reference.derivations.averages import bias
from reference.derivations.tools import branch, run, simple_case, symbols_of
from reference.rules.adabelief import ADABELIEF, ADABELIEF_EPS_NOT_KEPT, ADABELIEF_RECTIFIED
from reference.rules.radam import RADAM

v = symbols_of(ADABELIEF)
ALGORITHM_2 = "Zhuang et al. 2020, Algorithm 2"
m = v.beta1 * v.exp_avg + (1 - v.beta1) * v.g
s = v.beta2 * v.exp_avg_var + (1 - v.beta2) * (v.g - m) ** 2
m_hat = m / (1 - v.beta1**v.t)


def surprise() -> list[DerivationStep]:
    """How far a gradient is from the average that it is in."""
    mean, spread = symbols("mean spread", positive=True)
    return [
        DerivationStep(
            "the deviation from the average that the gradient is in is beta1 times that from the one before: nothing "
            f"is surprising without memory ({ALGORITHM_2})",
            v.g - m,
            v.beta1 * (v.g - v.exp_avg),
        ),
        DerivationStep(
            "around its mean a gradient of mean a and spread b has the square b^2, around zero a^2 + b^2: for two "
            "gradients a - b and a + b the belief is larger than Adam's by the squared mean (Section 2.2)",
            ((mean - spread) ** 2 + (mean + spread) ** 2) / 2 - ((-spread) ** 2 + spread**2) / 2,
            mean**2,
        ),
    ]


def adabelief() -> list[DerivationStep]:
    """Zhuang et al. 2020 (arXiv:2010.07468)."""
    step = ADABELIEF.step()
    first, second = symbols("g1:3", real=True)
    kept = run(step, [first, second], {"weight_decay": 0, "beta1": 0})["exp_avg_var"]
    return [
        *bias("Kingma & Ba 2015, Section 3, equations 1 to 4"),
        *surprise(),
        DerivationStep(
            f"corrected like Adam's, with epsilon in the variance and beside the root, it is the rule's own step at "
            f"weight_decay = 0 ({ALGORITHM_2})",
            simple_case(step.solved("p"), weight_decay=0),
            v.p - v.lr * m_hat / (sqrt((s + v.eps) / (1 - v.beta2**v.t)) + v.eps),
        ),
        DerivationStep(
            "the epsilon that is kept adds up like the weights of an average: without memory, beta1 = 0, two steps "
            "leave eps (1 + beta2) and nothing else",
            kept,
            v.eps * (1 + v.beta2),
        ),
        DerivationStep(
            "L2 decay adds the gradient of (weight_decay / 2) p^2 to the gradient",
            step.solved("exp_avg"),
            v.beta1 * v.exp_avg + (1 - v.beta1) * (v.g + diff(v.weight_decay / 2 * v.p**2, v.p)),
        ),
    ]


def adabelief_eps_not_kept() -> list[DerivationStep]:
    """AdaBelief whose epsilon does not accumulate."""
    step = ADABELIEF_EPS_NOT_KEPT.step()
    undecayed = simple_case(step.solved("p"), weight_decay=0)
    kept = simple_case(ADABELIEF.step().solved("p"), weight_decay=0)
    return [
        *surprise(),
        DerivationStep(
            "epsilon is added under the root and beside it, but not to the variance that is kept: the rule's own step "
            f"at weight_decay = 0 ({ALGORITHM_2}, without its accumulation)",
            undecayed,
            v.p - v.lr * m_hat / (sqrt((s + v.eps) / (1 - v.beta2**v.t)) + v.eps),
        ),
        DerivationStep(
            "so its variance is an average of squares alone",
            simple_case(step.solved("exp_avg_var"), weight_decay=0),
            s,
        ),
        DerivationStep(
            "from one and the same variance both forms take the same step; it is later steps that differ",
            undecayed,
            kept,
        ),
        DerivationStep(
            "with beta1 = 0 and eps = 1 only epsilon is divided by",
            simple_case(undecayed, beta1=0, exp_avg_var=0, eps=1),
            v.p - v.lr * v.g / (1 / sqrt(1 - v.beta2**v.t) + 1),
        ),
    ]


def adabelief_rectified() -> list[DerivationStep]:
    """AdaBelief with the rectification of Liu et al. 2020 (arXiv:1908.03265)."""
    step = ADABELIEF_RECTIFIED.step({"decoupled_weight_decay": False})
    new_m, new_s = step.new_symbol("exp_avg"), step.new_symbol("exp_avg_var")
    r, c1, c2 = (step.new_symbol(name) for name in ("rectification", "bias_correction1", "bias_correction2"))
    last = step.assignments[-1].expression
    undecayed = simple_case(step.solved("p"), weight_decay=0)
    return [
        DerivationStep(
            "the length of the simple average that stands for the exponential one is RAdam's (Liu et al. 2020, "
            "Section 4.1)",
            step.solved("rho"),
            RADAM.step().solved("rho"),
        ),
        *surprise(),
        DerivationStep(
            "where the length is below 5 the corrected average is the step, without adaptation: the rule's own step "
            "there (Liu et al. 2020, Algorithm 2)",
            branch(undecayed, -1),
            v.p - v.lr * m_hat,
        ),
        DerivationStep(
            "elsewhere it is multiplied by the rectification and divided by the corrected root, here with eps = 0 "
            "(Liu et al. 2020, Algorithm 2)",
            simple_case(branch(last, 0), eps=0),
            v.p - v.lr * r * (new_m / c1) * sqrt(c2) / sqrt(new_s),
        ),
        DerivationStep(
            "the variance is that of AdaBelief, with epsilon kept in it (Zhuang et al. 2020, Algorithm 2)",
            simple_case(step.solved("exp_avg_var"), weight_decay=0),
            simple_case(ADABELIEF.step().solved("exp_avg_var"), weight_decay=0),
        ),
        DerivationStep(
            "and so is the rectification",
            branch(step.solved("rectification"), 0),
            branch(RADAM.step().solved("rectification"), 0),
        ),
    ]
