"""What is known of the equality of rules: which are the same and under which conditions, and near ones that are not.

``optim-verify explain RULE`` shows those that speak of a rule. Nothing here is believed: a test has every equality
proved, and every inequality shown by a program.
"""

from __future__ import annotations

from dataclasses import dataclass

from reference.rules import RULES


@dataclass(frozen=True)
class Theorem:
    """That two rules give the same parameters under conditions, or that they do not.

    Args:
        a, b: names of the rules; conditions may speak of them as ``a.`` and ``b.``.
        given: the conditions, as ``optim-verify equal a b --given`` reads them.
        holds: whether they are equal.
    """

    a: str
    b: str
    given: tuple[str, ...] = ()
    holds: bool = True

    def __str__(self) -> str:
        under = f"   given {', '.join(self.given)}" if self.given else ""
        return f"{self.a} {'=' if self.holds else '≠'} {self.b}{under}"


def equality(a: str, b: str, *given: str) -> Theorem:
    return Theorem(a, b, given)


def inequality(a: str, b: str, *given: str) -> Theorem:
    return Theorem(a, b, given, holds=False)


_CLIMBING = [name for name, rule in RULES.items() if any(o.name == "maximize" for o in rule.options)]

THEOREMS: tuple[Theorem, ...] = (
    # momentum
    equality("heavy_ball", "sgd", "lr constant"),
    inequality("heavy_ball", "sgd"),
    inequality("heavy_ball", "sgd", "lr constant", "b.dampening = 0.5"),
    equality("sgd", "gradient_descent", "momentum = 0"),
    inequality("sgd", "gradient_descent", "momentum free"),
    equality("sgd", "nesterov_velocity", "a.nesterov", "lr constant"),
    inequality("sgd", "nesterov_velocity", "a.nesterov"),
    equality("sgd", "nesterov_look_ahead", "a.nesterov", "lr constant", "momentum constant", "p shifted"),
    inequality("sgd", "nesterov_look_ahead", "a.nesterov", "lr constant", "momentum constant"),
    equality("sgd", "nesterov_two_points", "a.nesterov", "all constant"),
    inequality("sgd", "nesterov_two_points", "a.nesterov", "lr constant"),
    inequality("sgd", "sgd", "a.nesterov", "not b.nesterov"),
    equality("asgd", "gradient_descent", "lambd = 0", "lr constant"),
    inequality("asgd", "gradient_descent", "lambd = 0"),
    # the two places of epsilon
    equality("adam", "adam_eps_hat", "eps = 0"),
    equality("adam", "adam_eps_hat", "b.eps = a.eps * sqrt(1 - beta2**t)"),
    equality("adam", "adam_eps_hat", "t = 5", "b.eps = a.eps * sqrt(1 - beta2**5)"),
    inequality("adam", "adam_eps_hat"),
    inequality("adam", "adam_eps_hat", "b.eps = a.eps * (1 - beta2**t)"),
    # decay, correction and schedules
    equality("adamw", "adam", "weight_decay = 0"),
    equality("adamw", "adam", "b.decoupled_weight_decay"),
    inequality("adamw", "adam"),
    inequality("adamw", "adam", "b.weight_decay = a.lr * a.weight_decay"),
    equality("adam_eps_hat", "adam_uncorrected", "b.lr = a.lr * sqrt(1 - beta2**t) / (1 - beta1**t)"),
    inequality("adam", "adam_uncorrected"),
    equality("rmsprop", "adam_uncorrected", "momentum = 0", "beta1 = 0", "alpha = beta2"),
    inequality("rmsprop", "adam", "momentum = 0", "beta1 = 0", "alpha = beta2"),
    inequality("rmsprop", "adam_uncorrected", "momentum = 0", "alpha = beta2"),
    equality("nadam", "nadam_unscheduled", "momentum_decay = 0", "beta1 constant"),
    inequality("nadam", "nadam_unscheduled", "beta1 constant"),
    equality("nadam", "adam", "beta1 = 0"),
    inequality("nadam", "adam", "momentum_decay = 0"),
    equality("adamax", "adam", "beta2 = 0"),
    inequality("adamax", "adam"),
    equality("radam", "gradient_descent", "beta1 = 0", "beta2 = 0"),
    inequality("radam", "gradient_descent", "beta1 = 0"),
    # signs, and the size of the gradient
    equality("lion", "sign_descent", "beta1 = 0", "beta2 = 0"),
    inequality("lion", "sign_descent", "beta2 = 0"),
    equality("lion", "lion", "b.g = 3 * g", "weight_decay = 0"),
    equality("rprop", "rprop", "b.g = 3 * g"),
    equality("adam", "adam", "b.g = 3 * g", "b.eps = 3 * a.eps", "weight_decay = 0"),
    inequality("adam", "adam", "b.g = 3 * g", "weight_decay = 0"),
    # climbing is descending on minus the gradient
    *(equality(name, name, "b.maximize", "g negated") for name in _CLIMBING),
    *(inequality(name, name, "b.maximize") for name in _CLIMBING),
)


def theorems_about(name: str) -> tuple[Theorem, ...]:
    """Those that speak of a rule, equalities first."""
    own = [t for t in THEOREMS if name in (t.a, t.b)]
    return tuple(sorted(own, key=lambda t: not t.holds))
