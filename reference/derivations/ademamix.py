"""AdEMAMix: two averages of one gradient, and schedules that lead from Adam to it."""

from __future__ import annotations

import sympy
from sympy import Min, Rational, Symbol, exp, log, sqrt

from reference.derivations import DerivationStep
from reference.derivations.averages import bias
from reference.derivations.tools import branch, simple_case, symbols_of
from reference.rules.adam import ADAMW
from reference.rules.ademamix import ADEMAMIX, ADEMAMIX_SCHEDULED, half_life_interpolation

v = symbols_of(ADEMAMIX)
w = symbols_of(ADEMAMIX_SCHEDULED)
SECTION_3 = "Pagliardini et al. 2024, Section 3"


def _stepped(alpha, beta3, u=v) -> sympy.Expr:
    """The parameter after a step with these."""
    m = u.beta1 * u.exp_avg + (1 - u.beta1) * u.g
    slow = beta3 * u.exp_avg_slow + (1 - beta3) * u.g
    s = u.beta2 * u.exp_avg_sq + (1 - u.beta2) * u.g**2
    mixture = m / (1 - u.beta1**u.t) + alpha * slow
    denominator = sqrt(s / (1 - u.beta2**u.t)) + u.eps
    return u.p - u.lr * (mixture / denominator + u.weight_decay * u.p)


def ademamix() -> list[DerivationStep]:
    """Pagliardini et al. 2024 (arXiv:2409.03137)."""
    new = ADEMAMIX.step().solved("p")
    a = Symbol("a", positive=True)
    forever = {"exp_avg": a, "exp_avg_slow": a, "exp_avg_sq": a**2, "g": a, "eps": 0, "weight_decay": 0}
    return [
        *bias("Kingma & Ba 2015, Section 3, equations 1 to 4"),
        DerivationStep(
            "Adam's corrected average and alpha times a slow one, over Adam's root, with decay beside them: the rule's "
            f"own step ({SECTION_3}, equation AdEMAMix)",
            new,
            _stepped(v.alpha, v.beta3),
        ),
        DerivationStep(
            "alpha = 0 is AdamW (Loshchilov & Hutter 2019, Algorithm 2)",
            simple_case(new, alpha=0),
            ADAMW.step().solved("p"),
        ),
        DerivationStep(
            "where both averages hold one and the same gradient, as after a long time, the step is 1 + alpha times "
            "Adam's: here without the corrections, which are 1 by then",
            simple_case(sympy.expand(new), **forever).subs({v.beta1**v.t: 0, v.beta2**v.t: 0}),
            v.p - (1 + v.alpha) * v.lr,
        ),
        DerivationStep(
            "the slow average has no correction: from zero it begins with the share 1 - beta3 of the first gradient, "
            "which is what keeps early steps small",
            simple_case(ADEMAMIX.step().solved("exp_avg_slow"), exp_avg_slow=0),
            (1 - v.beta3) * v.g,
        ),
    ]


def ademamix_scheduled() -> list[DerivationStep]:
    """Pagliardini et al. 2024, Section 3 and Appendix A.1."""
    step = ADEMAMIX_SCHEDULED.step()
    share, steps = Symbol("mu", positive=True), Symbol("n", positive=True)
    # decays by their time constants, which are positive
    start, end = Symbol("T1", positive=True), Symbol("T2", positive=True)
    fast, slow = exp(-1 / start), exp(-1 / end)
    between = half_life_interpolation(fast, slow, share)
    half_life = log(Rational(1, 2)) / log(fast)
    rising = branch(step.solved("beta3_now"), 0)
    alpha = Min(w.t * w.alpha / w.alpha_warmup, w.alpha)
    solved = step.assignments[-1].expression
    made = {a.symbol: a.expression for a in step.assignments}
    schedules = (step.new_symbol("alpha_now"), step.new_symbol("beta3_now"))
    while solved.free_symbols & (set(made) - set(schedules)):
        solved = solved.xreplace({s: e for s, e in made.items() if s not in schedules})
    return [
        *bias("Kingma & Ba 2015, Section 3, equations 1 to 4"),
        DerivationStep(
            "the half-life of a decay: after log(1/2) / log(beta) steps its weight is a half (Appendix A.1)",
            exp(log(fast) * half_life),
            Rational(1, 2),
        ),
        DerivationStep(
            "half-lives are time constants T = -1 / log(beta) times log(2), so a linear schedule of half-lives is one of "
            "time constants: (1 - mu) T1 + mu T2 (Appendix A.1)",
            between,
            exp(-1 / ((1 - share) * start + share * end)),
        ),
        DerivationStep(
            "which is exp(log s log e / ((1 - mu) log e + mu log s)) in the paper's form (Section 3)",
            between.args[0],
            log(fast) * log(slow) / ((1 - share) * log(slow) + share * log(fast)),
        ),
        DerivationStep("it starts at the fast decay", between.subs(share, 0), fast),
        DerivationStep("and ends at the slow one", between.subs(share, 1), slow),
        DerivationStep(
            "the rule's decay rises so from beta1 to beta3",
            rising.subs(w.t, steps),
            half_life_interpolation(w.beta1, w.beta3, steps / w.beta3_warmup),
        ),
        DerivationStep(
            "its alpha rises in proportion to the step, and stays (Section 3)",
            step.solved("alpha_now"),
            alpha,
        ),
        DerivationStep(
            "with them the step is AdEMAMix's: the rule's own",
            solved,
            _stepped(*schedules, u=w),
        ),
        DerivationStep(
            "without warm-ups it is ademamix at every step",
            simple_case(step.solved("p"), alpha_warmup=1, beta3_warmup=1),
            _stepped(Min(w.t * w.alpha, w.alpha), w.beta3, u=w),
        ),
    ]
