"""Quasi-hyperbolic momentum: a gradient step averaged with a momentum step."""

from reference import Hyperparameter, Option, StateVariable, UpdateRule


def equations(v, options):
    g = v.let("gradient", (-v.g if options.maximize else v.g) + v.weight_decay * v.p)
    m = v.let("momentum_buffer", v.momentum * v.momentum_buffer + (1 - v.momentum) * g)
    v.let("p", v.p - v.lr * v.nu * m - v.lr * (1 - v.nu) * g)


QHM = UpdateRule(
    name="qhm",
    title="QHM: the weighted mean of a plain gradient step and a momentum step",
    source="Ma & Yarats 2019, Quasi-hyperbolic momentum and Adam for deep learning, Section 3 (arXiv:1810.06801)",
    equations=equations,
    hyperparameters=(
        Hyperparameter("lr", 1e-3, trials=(1.0, 0.5, 0.1)),
        Hyperparameter("momentum", 0.9, high=1.0, trials=(0.5, 0.9, 0.0)),
        Hyperparameter("nu", 0.7, high=1.0, trials=(0.5, 0.7, 0.0)),
        Hyperparameter("weight_decay", 0.0, absent=0.0, trials=(0.5, 0.0, 0.1)),
    ),
    state=(StateVariable("momentum_buffer"),),
    options=(Option("maximize"),),
)
