"""The rule ``lbfgs``: its hyperparameters as torch calls them, and the conventions it stands for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reference.rule import Hyperparameter, Option, UpdateRule


@dataclass(frozen=True, eq=False)
class QuasiNewtonRule(UpdateRule):
    """A rule whose step is no function of one gradient, so that there are no equations of one step to judge."""

    @property
    def known(self) -> bool:
        return False

    @property
    def kind(self) -> str:
        return "quasi_newton"

    @property
    def lacks(self) -> tuple[str, ...]:
        # one H for all parameters, so one group for all; and closures are called more than once
        return ("separate", "add_param_group", "closure")


LBFGS = QuasiNewtonRule(
    name="lbfgs",
    title="L-BFGS: steps along -H g, with H built from the last pairs of steps and changes of the gradient",
    source="Nocedal & Wright 2006, Numerical Optimization, Algorithms 7.4 and 7.5",
    equations=lambda v, options: v.let("p", v.p),
    hyperparameters=(
        Hyperparameter("lr", 1.0, trials=(0.5, 1.0, 0.25)),
        Hyperparameter("max_iter", 20, low=1, trials=(1, 2, 3), integer=True),
        Hyperparameter("max_eval", 25, low=1, trials=(100, 4, 2), integer=True, absent=math.inf),
        Hyperparameter("tolerance_grad", 1e-7, trials=(0.0,), absent=0.0),
        Hyperparameter("tolerance_change", 1e-9, trials=(0.0,), absent=0.0),
        Hyperparameter("history_size", 100, low=1, trials=(2, 1, 3), integer=True),
    ),
    options=(
        Option(
            "strong_wolfe",
            arguments=("line_search_fn",),
            about="search the step length until the strong Wolfe conditions hold",
            values=(None, "strong_wolfe"),
        ),
    ),
    torch=("torch.optim.LBFGS",),
    notes=(
        "the first step has length min(1, 1/|g|_1) lr, later ones lr; with a line search that is its first trial",
        "a pair is remembered if y's > 1e-10; gamma stays that of the newest remembered pair, 1 before there is one",
        "a call of step() ends at the start if max |g| <= tolerance_grad; within an iteration, before it moves if "
        "g'd > -tolerance_change, and after it if max_iter or max_eval is reached, max |g| <= tolerance_grad, "
        "max |t d| <= tolerance_change, or |loss - previous loss| < tolerance_change",
        "after the last of max_iter iterations without a line search the closure is not called again",
        "the strong Wolfe conditions have c1 = 1e-4 and c2 = 0.9; a search may end without them when max_eval is "
        "reached or its bracket is narrower than 1e-9 or tolerance_change",
        "the history is kept from one call of step() to the next; a missing gradient is zero; complex numbers are "
        "pairs of real ones",
    ),
)
