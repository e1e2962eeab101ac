"""Rprop: step sizes that grow while the gradient keeps its sign."""

from dataclasses import replace

from sympy import Max, Min, Piecewise, sign

from reference.hyperparameters import LR, MAXIMIZE
from reference.rule import Hyperparameter, Options, StateVariable, UpdateRule, Variables
from reference.rules.common import uphill_or_down

HYPERPARAMETERS = (
    replace(LR, default=1e-2),
    Hyperparameter(
        "eta_minus",
        0.5,
        high=1.0,
        low_open=True,
        arguments=("etas[0]", "etaminus", "eta_minus"),
        absent=0.5,
        trials=(0.5, 0.3, 0.9, 0.999),
    ),
    Hyperparameter(
        "eta_plus",
        1.2,
        low=1.0,
        low_open=True,
        arguments=("etas[1]", "etaplus", "eta_plus"),
        absent=1.2,
        trials=(1.2, 2.0, 1.5),
    ),
    Hyperparameter(
        "step_size_min",
        1e-6,
        arguments=("step_sizes[0]", "step_size_min"),
        absent=1e-6,
        trials=(0.05, 1e-6, 0.2),
    ),
    Hyperparameter(
        "step_size_max",
        50.0,
        low_open=True,
        arguments=("step_sizes[1]", "step_size_max"),
        absent=50.0,
        trials=(1.1, 50.0, 0.25),
    ),
)


def rprop_equations(v: Variables, options: Options) -> None:
    g = uphill_or_down(v, options)
    agreement = v.let("agreement", g * v.prev)
    factor = v.let(
        "factor",
        Piecewise((v.eta_plus, agreement > 0), (v.eta_minus, agreement < 0), (1, True)),
    )
    size = v.let("step_size", Min(Max(v.step_size * factor, v.step_size_min), v.step_size_max))
    kept = v.let("prev", Piecewise((0, agreement < 0), (g, True)))
    v.let("p", v.p - sign(kept) * size)


def sizes_are_ordered(values, options) -> bool:
    """An upper limit below the lower one has no meaning (torch accepts it)."""
    return values["step_size_min"] <= values["step_size_max"]


RPROP = UpdateRule(
    name="rprop",
    title="Rprop: signed steps whose size adapts to the agreement of successive gradients",
    source="Riedmiller & Braun 1993, A direct adaptive method for faster backpropagation "
    "learning, equation 4; without backtracking: Igel & Huesken 2000, Improving the Rprop "
    "learning algorithm, iRprop-",
    equations=rprop_equations,
    hyperparameters=HYPERPARAMETERS,
    state=(
        StateVariable("prev"),
        StateVariable("step_size", initial="lr", nonnegative=True),
    ),
    options=(MAXIMIZE,),
    constraint=sizes_are_ordered,
    torch=("torch.optim.Rprop",),
    notes=(
        "lr is the first step size and nothing else: editing it later has no effect",
        "when the sign flips, the parameter stays and the remembered gradient becomes zero, so the "
        "next step neither grows nor shrinks; Riedmiller & Braun 1993 take the last step back",
        "both limits are applied in every step, the first included",
    ),
)
