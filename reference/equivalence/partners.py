"""Rules that nobody certifies an optimizer against, but that known rules are equal to under conditions."""

from __future__ import annotations

from dataclasses import replace

from sympy import Piecewise, sign, sqrt

from reference.hyperparameters import LR, MAXIMIZE, MOMENTUM
from reference.rule import Options, RuleError, StateVariable, UpdateRule, Variables
from reference.rules import RULES, load_rule, near
from reference.rules.adam import ADAM, MOMENTS
from reference.rules.common import uphill_or_down
from reference.rules.nadam import NADAM

_MOMENTUM = replace(MOMENTUM, default=0.9)


def sign_descent_equations(v: Variables, options: Options) -> None:
    v.let("p", v.p - v.lr * sign(uphill_or_down(v, options)))


def adam_uncorrected_equations(v: Variables, options: Options) -> None:
    g = uphill_or_down(v, options) + v.weight_decay * v.p
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    s = v.let("exp_avg_sq", v.beta2 * v.exp_avg_sq + (1 - v.beta2) * g**2)
    v.let("p", v.p - v.lr * m / (sqrt(s) + v.eps))


def nadam_unscheduled_equations(v: Variables, options: Options) -> None:
    g = uphill_or_down(v, options) + v.weight_decay * v.p
    mu = v.beta1 / 2
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    s = v.let("exp_avg_sq", v.beta2 * v.exp_avg_sq + (1 - v.beta2) * g**2)
    ahead = mu * m / (1 - mu ** (v.t + 1)) + (1 - mu) * g / (1 - mu**v.t)
    v.let("p", v.p - v.lr * ahead / (sqrt(s / (1 - v.beta2**v.t)) + v.eps))


def nesterov_velocity_equations(v: Variables, options: Options) -> None:
    velocity = v.let("velocity", v.momentum * v.velocity - v.lr * v.g)
    v.let("p", v.p + v.momentum * velocity - v.lr * v.g)


def nesterov_look_ahead_equations(v: Variables, options: Options) -> None:
    velocity = v.let("velocity", v.momentum * v.velocity - v.lr * v.g)
    v.let("p", v.p + velocity)


def nesterov_two_points_equations(v: Variables, options: Options) -> None:
    x = v.let("x", v.p - v.lr * v.g)
    v.let("p", x + v.momentum * (x - Piecewise((v.p, v.unset("x")), (v.x, True))))


def _plain(name: str, title: str, source: str, equations, state=(), **more) -> UpdateRule:
    return UpdateRule(name, title, source, equations, hyperparameters=(LR, _MOMENTUM), state=state, **more)


PARTNERS: dict[str, UpdateRule] = {
    rule.name: rule
    for rule in (
        UpdateRule(
            "sign_descent",
            "Sign descent: steps of one size against the sign of the gradient",
            "Bernstein et al. 2018, signSGD, Algorithm 1 (arXiv:1802.04434)",
            sign_descent_equations,
            hyperparameters=(LR,),
            options=(MAXIMIZE,),
        ),
        replace(
            ADAM,
            name="adam_uncorrected",
            title="Adam without bias correction",
            source="Kingma & Ba 2015, Algorithm 1 without its two correction lines (compare Section 6.4)",
            equations=adam_uncorrected_equations,
            state=MOMENTS[:2],
            options=(MAXIMIZE,),
            torch=(),
            notes=(),
            _steps={},
        ),
        replace(
            NADAM,
            name="nadam_unscheduled",
            title="Adam with Nesterov momentum that stays at beta1/2, corrected in closed form",
            source="Dozat 2016, Algorithm 2 with mu_t = beta1 (1 - 0.96^0 / 2)",
            equations=nadam_unscheduled_equations,
            hyperparameters=ADAM.hyperparameters,
            state=MOMENTS[:2],
            options=(MAXIMIZE,),
            torch=(),
            notes=(),
            _steps={},
        ),
        _plain(
            "nesterov_velocity",
            "Nesterov momentum with lr in the velocity, followed at the look-ahead point",
            "Bengio, Boulanger-Lewandowski & Pascanu 2013, Advances in optimizing recurrent networks, equation 7 "
            "(arXiv:1212.0901)",
            nesterov_velocity_equations,
            (StateVariable("velocity"),),
        ),
        _plain(
            "nesterov_look_ahead",
            "Nesterov momentum followed at the point itself; its gradient is that at p + momentum velocity",
            "Sutskever et al. 2013, On the importance of initialization and momentum, equations 3 and 4",
            nesterov_look_ahead_equations,
            (StateVariable("velocity"),),
            notes=("g is the gradient at p + momentum * velocity, not at p",),
        ),
        _plain(
            "nesterov_two_points",
            "Nesterov's own form: a gradient step to x, then on along the last displacement of x",
            "Nesterov 1983, A method of solving a convex programming problem with convergence rate O(1/k^2)",
            nesterov_two_points_equations,
            (StateVariable("x", unset_at_first=True),),
        ),
    )
}


def find_rule(spec: str) -> UpdateRule:
    """A known rule, a partner, or the rule ``NAME`` of a user's file by ``path/to/file.py:NAME``.

    Raises:
        RuleError: one sentence saying what is wrong with the name, the file or the rule.
    """
    if spec in PARTNERS:
        return PARTNERS[spec]
    if spec not in RULES and ".py" not in spec:
        known = {**RULES, **PARTNERS}
        raise RuleError(f"no rule is called {spec!r}{near(spec, known)} (known: {', '.join(known)})")
    return load_rule(spec)
