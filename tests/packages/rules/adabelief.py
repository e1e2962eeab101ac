"""AdaBelief: Adam that divides by the root of how far gradients are from their average."""

from dataclasses import replace

from sympy import Max, sqrt

from reference import Hyperparameter, Option, StateVariable, UpdateRule


def equations(v, options):
    p, g = v.p, v.g
    if options.decoupled_weight_decay:
        p = v.p - v.lr * v.weight_decay * v.p
    else:
        g = v.let("gradient", v.g + v.weight_decay * v.p)
    m = v.let("exp_avg", v.beta1 * v.exp_avg + (1 - v.beta1) * g)
    kept, added = (v.eps, 0) if options.eps_is_kept else (0, v.eps)
    s = v.let("exp_avg_var", v.beta2 * v.exp_avg_var + (1 - v.beta2) * (g - m) ** 2 + kept)
    if options.amsgrad:
        s = v.let("max_exp_avg_var", Max(v.max_exp_avg_var, s))
    v.let("p", p - v.lr * m / (1 - v.beta1**v.t) / (sqrt((s + added) / (1 - v.beta2**v.t)) + v.eps))


ADABELIEF = UpdateRule(
    name="adabelief",
    title="AdaBelief: the step is divided by the root of the gradients' mean squared surprise",
    source="Zhuang et al. 2020, AdaBelief Optimizer, Algorithm 2 (arXiv:2010.07468)",
    equations=equations,
    hyperparameters=(
        Hyperparameter("lr", 1e-3, trials=(1.0, 0.5, 0.1)),
        Hyperparameter("beta1", 0.9, high=1.0, arguments=("betas[0]",), trials=(0.5, 0.9, 0.0)),
        Hyperparameter("beta2", 0.999, high=1.0, arguments=("betas[1]",), trials=(0.8, 0.5, 0.99, 0.0)),
        Hyperparameter("eps", 1e-8, trials=(0.1, 1.0, 1e-4, 1e-8)),
        Hyperparameter("weight_decay", 0.0, absent=0.0, trials=(0.5, 0.0, 0.1)),
    ),
    state=(
        StateVariable("exp_avg"),
        StateVariable("exp_avg_var", nonnegative=True),
        StateVariable("max_exp_avg_var", nonnegative=True, option="amsgrad"),
    ),
    options=(Option("amsgrad"), Option("decoupled_weight_decay"), Option("eps_is_kept", default=True)),
    notes=("epsilon is added to the variance that is kept, at every step, and to the root",),
)

EPS_NOT_KEPT = replace(
    ADABELIEF,
    name="adabelief_eps_not_kept",
    source="labml_nn.optimizers.ada_belief, its own equations for s and s-hat",
    options=(Option("amsgrad"), Option("decoupled_weight_decay"), Option("eps_is_kept")),
    notes=("epsilon is added to the variance where it is used, and to the root",),
    _steps={},
)
